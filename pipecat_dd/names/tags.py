"""The tags and metrics of spans, which are the attributes of a stage.

A tag with a unit is a metric of the span: a number that Datadog can compare. The value of a tag
without a unit is text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipecat_dd.names._family import Family
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.spans import Kind


@dataclass(frozen=True, slots=True)
class TagDoc:
    """A tag, or a metric if it has a unit.

    Attributes:
        name: Its name; ``<…>`` stands for the part that varies.
        meaning: What it means, in sentences that stand alone: the page shows them one at a time.
        unit: A metric's unit; empty for a tag, whose value is text.
        on: The kinds of spans that may have it; empty if all may.
    """

    name: str
    meaning: str
    unit: str = ""
    on: tuple[Kind, ...] = ()


TAGS: Final[list[TagDoc]] = []
"""All tags, in the order of ``docs/spans.md``."""


def tags_of(kind: Kind) -> Iterator[TagDoc]:
    """Yield the tags that a span may have.

    Args:
        kind: The span's kind.
    """
    return (tag for tag in TAGS if not tag.on or kind in tag.on)


def _tag(name: str, meaning: str, *, unit: str = "", on: tuple[Kind, ...] = ()) -> str:
    TAGS.append(TagDoc(name, meaning, unit, on))
    return name


def _family(pattern: str, meaning: str, *, unit: str = "", on: tuple[Kind, ...] = ()) -> Family:
    TAGS.append(TagDoc(pattern, meaning, unit, on))
    return Family(pattern)


_PEOPLE: Final = (Kind.PARTICIPANT, Kind.PARTICIPANT_EVENT)
_SERVICES: Final = (Kind.STT, Kind.LLM, Kind.TTS)
_WORK: Final = (
    Kind.STARTUP,
    Kind.USER_SPEECH,
    Kind.STT,
    Kind.END_OF_TURN,
    Kind.LLM,
    Kind.TOOL,
    Kind.TTS,
    Kind.BOT_SPEECH,
    Kind.FRAME,
    Kind.SERVICE_EVENT,
)
_EVENTS: Final = (Kind.PARTICIPANT_EVENT, Kind.SERVICE_EVENT)

WAIT_PARTS: Final = (
    ("end_of_turn", "for the ruling that the user had finished"),
    ("transcription", "for the final transcription, if that came after the ruling"),
    ("preparation", "until the model was asked: aggregation of the context, retrieval"),
    ("tools", "for responses that only called tools, and for the tools"),
    ("llm", "for the first token of the response that was spoken"),
    ("aggregation", "until there was enough text to synthesize"),
    ("synthesis", "for the first audio"),
    ("output", "until that audio was played"),
)
"""The parts of the user's wait for an answer, in order, and what each was for."""

FRAME_PREFIX: Final = "frame."
USAGE_PREFIX: Final = "gen_ai.usage."
METRICS_PREFIX: Final = "metrics."
"""Prefixes of the names for a frame, for what a model used, and for what Pipecat measured."""

# Every span

SESSION_ID: Final = _tag("session_id", "The session's id.")
COMPONENT: Final = _tag("component", "Always `pipecat`.")
SPAN_KIND: Final = _tag(
    "span.kind",
    "`client` if a service reaches its provider and ddtrace has no client span for that (over a "
    "websocket, or over HTTP with ddtrace's patches off); otherwise `internal`.",
)
PEER_SERVICE: Final = _tag(
    "peer.service", "The provider, if `span.kind` is `client`.", on=(Kind.LLM, Kind.TTS)
)
PARTICIPANT_ID: Final = _tag(
    "participant_id", "The participant that the span is about, if exactly one is possible."
)
RESERVED_TAGS: Final = frozenset({SESSION_ID, PARTICIPANT_ID, COMPONENT, SPAN_KIND, *UNIFIED})
"""Tags that have a meaning on every span, and that the user may not set."""

MAX_TAG_NAME_CHARS: Final = 200
"""How many characters of a tag's name Datadog keeps."""

PROCESSOR_NAME: Final = _tag(
    "processor.name", "Pipecat's name for the processor that did the work."
)
INTERRUPTED: Final = _tag("interrupted", "`true` if the work was cut off. That is not an error.")
ERROR_TYPE: Final = _tag(
    "error.type",
    "The exception's class. Without an exception: `ErrorFrame`, `ToolError`, `ToolTimeout`, "
    "`TransportError`, `ConnectionError`, `ConnectionLost`, `TimeoutError`, `SetupTimeout`, "
    "`JobError`, `WorkerError` or `PipelineError`.",
)
ERROR_MESSAGE: Final = _tag("error.message", "The error's message, redacted.")
ERROR_STACK: Final = _tag("error.stack", "The traceback, redacted. Of a long one, the end is kept.")
ERROR_CATEGORY: Final = _tag(
    "error.category", "The error's category, if Pipecat knows it (`ErrorFrame.category`)."
)
PROCESSOR_USABLE: Final = _tag(
    "processor.usable", "`false` if the processor can no longer do its job."
)
WORKER_NAME: Final = _tag(
    "worker.name",
    "The worker whose processor did the work, if the conversation has several workers or a worker "
    "reports something itself. The speech of the user and of the bot belongs to the worker that "
    "has the transport.",
    on=_WORK,
)

# The session span

PIPECAT_VERSION: Final = _tag("pipecat.version", "Pipecat's version.", on=(Kind.SESSION,))
TRANSPORT: Final = _tag("transport", "The transport's class.", on=(Kind.SESSION,))
CONVERSATION_ID: Final = _tag(
    "conversation_id", "The worker's `conversation_id`, if it has one.", on=(Kind.SESSION,)
)
SESSION_END_REASON: Final = _tag(
    "session.end_reason",
    "`ended` if the EndFrame reached the pipeline's end, `stopped` if the StopFrame did; "
    "`lost_end` if a processor kept that frame; `cancelled`, also before the pipeline had "
    "started; `idle_timeout` if Pipecat cancelled it because nothing happened; `failed` if an "
    "error ended it, or it never started; `exited` if its process or its event loop ended, "
    "`terminated` if a signal ended the process; `removed` if the observer was removed "
    "(`remove_observer`).",
    on=(Kind.SESSION,),
)
SESSION_END_LOST_IN: Final = _tag(
    "session.end_lost_in",
    "The processor that kept the frame, if the reason is `lost_end`: its class, with its index if "
    "there are several. Its `pipecat.frame` shows when.",
    on=(Kind.SESSION,),
)
SESSION_TURN_COUNT: Final = _tag(
    "session.turn_count", "Turns that began.", unit="turns", on=(Kind.SESSION,)
)
SESSION_INTERRUPTION_COUNT: Final = _tag(
    "session.interruption_count", "Turns that the user cut off.", unit="turns", on=(Kind.SESSION,)
)
SESSION_ERROR_COUNT: Final = _tag(
    "session.error_count", "Errors that were reported or raised.", unit="errors", on=(Kind.SESSION,)
)
SESSION_SHED_COUNT: Final = _tag(
    "session.shed_count",
    "Events that the observer dropped because too many waited; absent if there were none.",
    unit="events",
    on=(Kind.SESSION,),
)
SESSION_FAILOVER_COUNT: Final = _tag(
    "session.failover_count",
    "Times that a `ServiceSwitcher` changed to another service because the current one had failed.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_BOT_SPEECH_COUNT: Final = _tag(
    "session.bot_speech_count",
    "Times that the bot began to speak.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_PARTICIPANT_COUNT: Final = _tag(
    "session.participant_count",
    "Participants, each counted once.",
    unit="participants",
    on=(Kind.SESSION,),
)

SESSION_OUTCOME: Final = _tag(
    "session.outcome",
    "What came of the conversation, as the bot reported it (`Session.set_outcome`).",
    on=(Kind.SESSION,),
)
SESSION_FIRST_SPEECH_SECONDS: Final = _tag(
    "session.first_speech_seconds",
    "From the first participant's joining to the bot's first audio; without participants, from "
    "the session's start.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_USER_SPEECH_SECONDS: Final = _tag(
    "session.user_speech_seconds",
    "How long the user spoke, in all.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_BOT_SPEECH_SECONDS: Final = _tag(
    "session.bot_speech_seconds",
    "How long the bot spoke, in all.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_SILENCE_SECONDS: Final = _tag(
    "session.silence_seconds",
    "How long neither the user nor the bot spoke, in all.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_SILENCE_SECONDS: Final = _tag(
    "session.longest_silence_seconds",
    "The longest time in which neither the user nor the bot spoke.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_BOT_SILENCE_SECONDS: Final = _tag(
    "session.longest_bot_silence_seconds",
    "The longest silence in which the bot owed an answer; 0 if it never did.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_SILENCE_OF: Final = _tag(
    "session.longest_silence_of",
    "Whose turn it was to speak in the longest silence: `bot` if the bot owed an answer, else "
    "`user`.",
    on=(Kind.SESSION,),
)
SESSION_IDLE_COUNT: Final = _tag(
    "session.idle_count",
    "Times that Pipecat reported the user as idle.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_RECONNECT_COUNT: Final = _tag(
    "session.reconnect_count",
    "Times that a service lost its connection and connected again.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_RECONNECT_SECONDS: Final = _tag(
    "session.reconnect_seconds",
    "How long services were without their connections, in all.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_BLOCKED_COUNT: Final = _tag(
    "session.blocked_count",
    "Times that the event loop was blocked while the session ran, by any session's code.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_BLOCKED_SECONDS: Final = _tag(
    "session.blocked_seconds",
    "How long the event loop was blocked while the session ran, in all.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_BLOCKED_SECONDS: Final = _tag(
    "session.longest_blocked_seconds",
    "The longest time for which the event loop was blocked.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_NOT_RUNNING_SECONDS: Final = _tag(
    "session.not_running_seconds",
    "How long the process did not run during the session, because it was suspended or the machine "
    "had no CPU for it.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_VOICE_GAP_COUNT: Final = _tag(
    "session.voice_gap_count",
    "Gaps within the bot's speech that the user heard.",
    unit="gaps",
    on=(Kind.SESSION,),
)
SESSION_VOICE_GAP_SECONDS: Final = _tag(
    "session.voice_gap_seconds",
    "How long the gaps in the bot's speech were, in all.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_VOICE_GAP_SECONDS: Final = _tag(
    "session.longest_voice_gap_seconds",
    "The longest gap in the bot's speech.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_NO_USER_AUDIO_COUNT: Final = _tag(
    "session.no_user_audio_count",
    "Times that a participant was connected and sent no audio.",
    unit="times",
    on=(Kind.SESSION,),
)
TELEPHONY_CALL_ID: Final = _tag(
    "telephony.call_id", "The telephony provider's id of the call.", on=(Kind.SESSION,)
)
FLOW_NODE: Final = _tag(
    "flow.node",
    "The flow's node (`pipecat.flows`) that was current when the span began. A turn that began "
    "before the first node has the first node. `unnamed` if the node has no name.",
    on=(Kind.TURN, Kind.LLM, Kind.TOOL),
)

# The participant span

PARTICIPANT_NAME: Final = _tag(
    "participant.name", "The participant's display name.", on=(Kind.PARTICIPANT,)
)
PARTICIPANT_ROLE: Final = _tag(
    "participant.role",
    "The participant's role: as your own data on the participant says, else as the transport "
    "reports it (`owner`, `guest`).",
    on=(Kind.PARTICIPANT,),
)
PARTICIPANT_LEAVE_REASON: Final = _tag(
    "participant.leave_reason",
    "The transport's own reason (`leftCall`), or `disconnected`, `connection_lost`, `replaced` "
    "(by the transport's next peer), `stream_stopped` or `session_end`.",
    on=_PEOPLE,
)
PARTICIPANT_PHONE_HASH: Final = _tag(
    "participant.phone_hash",
    "The first 32 hexadecimal digits of the HMAC-SHA256 of the participant's telephone number, "
    "with your `phone_hash_key`.",
    on=(Kind.PARTICIPANT,),
)
TELEPHONY_PROVIDER: Final = _tag(
    "telephony.provider",
    "The telephony provider: `twilio`, `telnyx`, `plivo` or `exotel`.",
    on=(Kind.PARTICIPANT,),
)

# The participant.event and service.event spans

EVENT_COUNT: Final = _tag(
    "event.count",
    "Events that the span stands for: more than one if many came at once.",
    unit="events",
    on=_EVENTS,
)
EVENT_HANDLER_COUNT: Final = _tag(
    "event.handler_count",
    "Handlers that were registered for the event.",
    unit="handlers",
    on=_EVENTS,
)

# The service.event span

EVENT_DETAIL: Final = _tag(
    "event.detail",
    "What the event reports, in Pipecat's word or your code's: a menu's status, the class of the "
    "service that was switched to, the worker that is ready, `microphone_off`.",
    on=_EVENTS,
)
CONNECTION_WAIT_SECONDS: Final = _tag(
    "connection.wait_seconds",
    "How long it took to connect or to be refused.",
    unit="seconds",
    on=(Kind.SERVICE_EVENT,),
)
CONNECTION_LOST_SECONDS: Final = _tag(
    "connection.lost_seconds",
    "How long the service was without the connection that it has made again.",
    unit="seconds",
    on=(Kind.SERVICE_EVENT,),
)
JOB_NAME: Final = _tag(
    "job.name", "The job that one worker requested from another.", on=(Kind.SERVICE_EVENT,)
)
JOB_ID: Final = _tag("job.id", "Pipecat's id of the job.", on=(Kind.SERVICE_EVENT,))
JOB_STATUS: Final = _tag("job.status", "How the job ended.", on=(Kind.SERVICE_EVENT,))

# The participant.event span

MESSAGE_KIND: Final = _tag("message.kind", "The message's `type`.", on=(Kind.PARTICIPANT_EVENT,))
MESSAGE_SIZE_BYTES: Final = _tag(
    "message.size_bytes", "The message's size.", unit="bytes", on=(Kind.PARTICIPANT_EVENT,)
)
DTMF_TONE: Final = _tag(
    "dtmf.tone",
    "The key that was pressed, or that the bot sent (`output_dtmf`). Without `capture_content`, "
    "only the first of several digits in a row, and none if the bot sends several at once.",
    on=(Kind.PARTICIPANT_EVENT,),
)
DIALIN_STATE: Final = _tag(
    "dialin.state",
    "`connected`, `ready`, `stopped`, `error` or `warning`.",
    on=(Kind.PARTICIPANT_EVENT,),
)
DIALOUT_STATE: Final = _tag(
    "dialout.state",
    "`answered`, `connected`, `stopped`, `error` or `warning`.",
    on=(Kind.PARTICIPANT_EVENT,),
)
CALL_STATE: Final = _tag("call.state", "The call's new state.", on=(Kind.PARTICIPANT_EVENT,))
NETWORK_EVENT: Final = _tag(
    "network.event", "What happened to the connection.", on=(Kind.PARTICIPANT_EVENT,)
)
NETWORK_CONNECTION: Final = _tag(
    "network.connection", "The connection that it happened to.", on=(Kind.PARTICIPANT_EVENT,)
)

# The turn span

TURN_NUMBER: Final = _tag(
    "turn.number", "The turn's number, from 1.", unit="turns", on=(Kind.TURN,)
)
TURN_WAS_INTERRUPTED: Final = _tag(
    "turn.was_interrupted", "`true` only if the user cut the bot off.", on=(Kind.TURN,)
)
TURN_END_REASON: Final = _tag(
    "turn.end_reason",
    "`bot_finished`, `interrupted`, `user_turn` (the user began the next) or `session_end`.",
    on=(Kind.TURN,),
)
TURN_OUTCOME: Final = _tag(
    "turn.outcome", "`answered`, `interrupted`, `unanswered` or `failed`.", on=(Kind.TURN,)
)
TURN_LEFT_WAITING: Final = _tag(
    "turn.left_waiting",
    "On a turn without an answer: `true` if the user waited three seconds or more, `false` if "
    "they went on sooner or hung up.",
    on=(Kind.TURN,),
)
TURN_ERROR_COUNT: Final = _tag(
    "turn.error_count",
    "Errors that were reported or raised in the turn.",
    unit="errors",
    on=(Kind.TURN,),
)
TURN_USER_BOT_LATENCY_SECONDS: Final = _tag(
    "turn.user_bot_latency_seconds",
    "From the end of the user's speech to the bot's first audio; `turn.wait.*` add up to it.",
    unit="seconds",
    on=(Kind.TURN,),
)
turn_wait_seconds: Final = Family("turn.wait.<part>_seconds")
for _part, _what in WAIT_PARTS:
    _tag(turn_wait_seconds(_part), f"Waited {_what}.", unit="seconds", on=(Kind.TURN,))
TURN_END_OF_TURN_INCOMPLETE_COUNT: Final = _tag(
    "turn.end_of_turn.incomplete_count",
    "Rulings that the user had not finished; each may have cost a wait.",
    unit="rulings",
    on=(Kind.TURN,),
)
TURN_END_OF_TURN_OUTCOME: Final = _tag(
    "turn.end_of_turn.outcome",
    "What ended the user's part of the turn: as `end_of_turn.outcome`.",
    on=(Kind.TURN,),
)
TURN_END_OF_TURN_PROBABILITY: Final = _tag(
    "turn.end_of_turn.probability",
    "How sure the model was at its last ruling that the user had finished, from 0 to 1.",
    unit="fraction",
    on=(Kind.TURN,),
)
TURN_BLOCKED_SECONDS: Final = _tag(
    "turn.blocked_seconds",
    "How long the event loop was blocked during the turn, by any session's code.",
    unit="seconds",
    on=(Kind.TURN,),
)
TURN_VOICE_GAP_COUNT: Final = _tag(
    "turn.voice_gap_count",
    "Gaps within the bot's speech that the user heard.",
    unit="gaps",
    on=(Kind.TURN,),
)
TURN_VOICE_GAP_SECONDS: Final = _tag(
    "turn.voice_gap_seconds",
    "How long the gaps in the bot's speech were, in all.",
    unit="seconds",
    on=(Kind.TURN,),
)
failovers: Final = _family(
    "failovers.<provider>",
    "Times that a `ServiceSwitcher` changed to a service of this provider because of an error: on "
    "the turn in which it happened, else on the session.",
    unit="times",
    on=(Kind.TURN, Kind.SESSION),
)
processor_frames: Final = _family(
    "processor.<key>.frames",
    "Frames that the processor worked on. `<key>` is its class, with its index if there are "
    "several of that class.",
    unit="frames",
    on=(Kind.TURN, Kind.SESSION),
)
processor_busy_ms: Final = _family(
    "processor.<key>.busy_ms",
    "How long the processor worked on frames, in all; media is not timed.",
    unit="milliseconds",
    on=(Kind.TURN, Kind.SESSION),
)
processor_longest_ms: Final = _family(
    "processor.<key>.longest_ms",
    "How long the processor's longest work on a frame took.",
    unit="milliseconds",
    on=(Kind.TURN, Kind.SESSION),
)

# The services' spans: stt, llm, tts

GEN_AI_PROVIDER_NAME: Final = _tag(
    "gen_ai.provider.name",
    "The provider, by OpenTelemetry's names.",
    on=(*_SERVICES, Kind.SERVICE_EVENT),
)
GEN_AI_REQUEST_MODEL: Final = _tag("gen_ai.request.model", "The model.", on=_SERVICES)
GEN_AI_OPERATION_NAME: Final = _tag("gen_ai.operation.name", "`chat`.", on=(Kind.LLM,))
GEN_AI_OUTPUT_TYPE: Final = _tag(
    "gen_ai.output.type", "`speech` if the model itself speaks.", on=(Kind.LLM,)
)
gen_ai_request: Final = _family(
    "gen_ai.request.<setting>",
    "A setting of the request: temperature, max_tokens, top_p and the like.",
    unit="as the provider's",
    on=(Kind.LLM,),
)
METRICS_TTFB: Final = _tag(
    "metrics.ttfb", "Time to the first byte; absent if none came.", unit="seconds", on=_SERVICES
)
METRICS_TTFAT: Final = _tag(
    "metrics.ttfat", "Time to the first token of the answer.", unit="seconds", on=(Kind.LLM,)
)
METRICS_TTFA: Final = _tag(
    "metrics.ttfa", "Time to the first audible audio.", unit="seconds", on=(Kind.TTS,)
)
GEN_AI_USAGE_INPUT_TOKENS: Final = _tag(
    "gen_ai.usage.input_tokens", "Tokens of the prompt.", unit="tokens", on=(Kind.LLM,)
)
GEN_AI_USAGE_OUTPUT_TOKENS: Final = _tag(
    "gen_ai.usage.output_tokens", "Tokens generated.", unit="tokens", on=(Kind.LLM,)
)
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Final = _tag(
    "gen_ai.usage.cache_read.input_tokens",
    "Prompt tokens read from the cache.",
    unit="tokens",
    on=(Kind.LLM,),
)
GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = _tag(
    "gen_ai.usage.cache_creation.input_tokens",
    "Prompt tokens written to the cache.",
    unit="tokens",
    on=(Kind.LLM,),
)
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Final = _tag(
    "gen_ai.usage.reasoning.output_tokens", "Tokens spent reasoning.", unit="tokens", on=(Kind.LLM,)
)
GEN_AI_USAGE_AUDIO_INPUT_TOKENS: Final = _tag(
    "gen_ai.usage.audio.input_tokens", "Audio tokens of the prompt.", unit="tokens", on=(Kind.LLM,)
)
GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS: Final = _tag(
    "gen_ai.usage.audio.output_tokens", "Audio tokens generated.", unit="tokens", on=(Kind.LLM,)
)
LLM_MESSAGE_COUNT: Final = _tag(
    "llm.message_count", "Messages in the context.", unit="messages", on=(Kind.LLM,)
)
LLM_TOOL_COUNT: Final = _tag(
    "llm.tool_count", "Tools the model may call.", unit="tools", on=(Kind.LLM,)
)
LLM_OUTCOME: Final = _tag(
    "llm.outcome",
    "`completed`, `failed`, `interrupted`, or `discarded` if the user heard nothing of it.",
    on=(Kind.LLM,),
)
LLM_PURPOSE: Final = _tag(
    "llm.purpose",
    "`inference` if the request is not part of the conversation: a summary, a classification.",
    on=(Kind.LLM,),
)
LLM_SPECULATIVE: Final = _tag(
    "llm.speculative",
    "`true` if the request began before it was known that the user had finished.",
    on=(Kind.LLM,),
)
STT_LANGUAGE: Final = _tag(
    "stt.language",
    "The language of the transcription, as the service reports it: `en`. (The tag `language` is "
    "ddtrace's: the programming language.)",
    on=(Kind.STT,),
)
USER_ID: Final = _tag(
    "user_id",
    "The id of the user who spoke, if the transport reports it (`TranscriptionFrame.user_id`).",
    on=(Kind.STT,),
)
METRICS_AUDIO_SECONDS: Final = _tag(
    "metrics.audio_seconds", "Audio sent to be transcribed.", unit="seconds", on=(Kind.STT,)
)
STT_FINALIZATION_SECONDS: Final = _tag(
    "stt.finalization_seconds",
    "From the end of speech to its final transcription.",
    unit="seconds",
    on=(Kind.STT,),
)
TTS_VOICE: Final = _tag("tts.voice", "The voice.", on=(Kind.TTS,))
TTS_AUDIO_SECONDS: Final = _tag(
    "tts.audio_seconds", "Audio synthesized.", unit="seconds", on=(Kind.TTS,)
)
METRICS_CHARACTER_COUNT: Final = _tag(
    "metrics.character_count", "Characters synthesized.", unit="characters", on=(Kind.TTS,)
)

# The tool span

TOOL_NAME: Final = _tag("tool.name", "The function's name.", on=(Kind.TOOL,))
TOOL_CALL_ID: Final = _tag("tool.call_id", "The model's id of the call.", on=(Kind.TOOL,))
TOOL_OUTCOME: Final = _tag(
    "tool.outcome",
    "`completed`, `timed_out`, `cancelled` or `failed`. A call fails if it raises, or if its "
    "result reports a failure as in Pipecat Flows and MCP.",
    on=(Kind.TOOL,),
)
TOOL_WAIT_SECONDS: Final = _tag(
    "tool.wait_seconds",
    "From the model's request until the tool ran.",
    unit="seconds",
    on=(Kind.TOOL,),
)

# The user_speech span

USER_AUDIO_GAP_COUNT: Final = _tag(
    "user_audio.gap_count",
    "Gaps in the user's audio while they spoke: pieces that came late, or never.",
    unit="gaps",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_GAP_SECONDS: Final = _tag(
    "user_audio.gap_seconds",
    "How long the gaps in the user's audio were, in all.",
    unit="seconds",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_LONGEST_GAP_SECONDS: Final = _tag(
    "user_audio.longest_gap_seconds",
    "The longest gap in the user's audio.",
    unit="seconds",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_GAPS: Final = _tag(
    "user_audio.gaps",
    "Where the first gaps in the user's audio were, in seconds: `1.600+0.480 …` is a gap of 0.48 "
    "that began 1.6 after the speech did. The last one may go on after the speech.",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_LEVEL_DBFS: Final = _tag(
    "user_audio.level_dbfs",
    "How loud the speech was, in decibels relative to full scale (0 is the loudest), from a "
    "sample of its audio.",
    unit="decibels",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_CLIPPED_FRACTION: Final = _tag(
    "user_audio.clipped_fraction",
    "The share of that sample that was at full scale, from 0 to 1.",
    unit="fraction",
    on=(Kind.USER_SPEECH,),
)

# The end_of_turn span

END_OF_TURN_PROBABILITY: Final = _tag(
    "end_of_turn.probability",
    "How sure the model was at its last ruling that the user had finished, from 0 to 1.",
    unit="fraction",
    on=(Kind.END_OF_TURN,),
)
END_OF_TURN_INFERENCE_SECONDS: Final = _tag(
    "end_of_turn.inference_seconds",
    "How long the model took for its rulings, in all.",
    unit="seconds",
    on=(Kind.END_OF_TURN,),
)
END_OF_TURN_INCOMPLETE_COUNT: Final = _tag(
    "end_of_turn.incomplete_count",
    "Rulings that the user had not finished.",
    unit="rulings",
    on=(Kind.END_OF_TURN,),
)
END_OF_TURN_OUTCOME: Final = _tag(
    "end_of_turn.outcome",
    "What ended the user's turn: `completed`, a ruling; `resumed`, a ruling after the user had "
    "gone on after an earlier ruling or a prediction; `timed_out`, the end of the wait for more "
    "speech.",
    on=(Kind.END_OF_TURN,),
)
END_OF_TURN_AFTER_RULING_SECONDS: Final = _tag(
    "end_of_turn.after_ruling_seconds",
    "From the model's last ruling to the end of the user's turn: the wait for the transcription "
    "if it ruled that the user had finished, the wait for more speech if it ruled that they had "
    "not.",
    unit="seconds",
    on=(Kind.END_OF_TURN,),
)

# The bot_speech span

BOT_SPEECH_AUDIO_SECONDS: Final = _tag(
    "bot_speech.audio_seconds",
    "Audio that was written to the transport.",
    unit="seconds",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_UNHEARD_SECONDS: Final = _tag(
    "bot_speech.unheard_seconds",
    "Audio that was synthesized for it, and that the user did not hear because they cut in.",
    unit="seconds",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_GAP_COUNT: Final = _tag(
    "bot_speech.gap_count",
    "Gaps within the speech: all audio that was written had played before more came.",
    unit="gaps",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_GAP_SECONDS: Final = _tag(
    "bot_speech.gap_seconds",
    "How long the gaps in the speech were, in all.",
    unit="seconds",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_LONGEST_GAP_SECONDS: Final = _tag(
    "bot_speech.longest_gap_seconds",
    "The longest gap in the speech.",
    unit="seconds",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_GAPS: Final = _tag(
    "bot_speech.gaps",
    "Where the first gaps were, in seconds: `1.600+0.480 …` is a gap of 0.48 that began 1.6 after "
    "the speech did.",
    on=(Kind.BOT_SPEECH,),
)

# The blocked span

BLOCKED_CAUSE: Final = _tag(
    "blocked.cause",
    "`code`; `import` if a module was being imported; `garbage_collection` if that took most of "
    "the time.",
    on=(Kind.BLOCKED,),
)
BLOCKED_LOCATION: Final = _tag(
    "blocked.location", "The file and line that blocked the event loop.", on=(Kind.BLOCKED,)
)
BLOCKED_STACK: Final = _tag(
    "blocked.stack",
    "The calls that led there, the innermost last: places only, no values.",
    on=(Kind.BLOCKED,),
)
BLOCKED_TASK: Final = _tag("blocked.task", "The name of the task that ran.", on=(Kind.BLOCKED,))
BLOCKED_CPU_SECONDS: Final = _tag(
    "blocked.cpu_seconds",
    "For how much of that time the thread used the CPU; the rest of it, it waited.",
    unit="seconds",
    on=(Kind.BLOCKED,),
)
BLOCKED_GC_SECONDS: Final = _tag(
    "blocked.gc_seconds",
    "For how much of that time Python collected garbage.",
    unit="seconds",
    on=(Kind.BLOCKED,),
)
BLOCKED_IMPORT: Final = _tag(
    "blocked.import", "The module that was being imported.", on=(Kind.BLOCKED,)
)

# The frame span

FRAME_CLASS: Final = _tag(
    "frame.class", "The frame's class, or the event that failed.", on=(Kind.FRAME,)
)
FRAME_ID: Final = _tag(
    "frame.id", "Pipecat's id of the frame; absent on a run of frames.", on=(Kind.FRAME,)
)
FRAME_DIRECTION: Final = _tag(
    "frame.direction", "`downstream` or `upstream`; absent on a run of both.", on=(Kind.FRAME,)
)
FRAME_COUNT: Final = _tag(
    "frame.count",
    "Frames that the span stands for; 0 for an error.",
    unit="frames",
    on=(Kind.FRAME,),
)

# Content, which is sent only with capture_content

STT_TRANSCRIPT: Final = _tag(
    "stt.transcript", "The transcription. Only with `capture_content`.", on=(Kind.STT,)
)
GEN_AI_INPUT_MESSAGES: Final = _tag(
    "gen_ai.input.messages", "The messages, as JSON. Only with `capture_content`.", on=(Kind.LLM,)
)
GEN_AI_OUTPUT_MESSAGES: Final = _tag(
    "gen_ai.output.messages", "The model's answer. Only with `capture_content`.", on=(Kind.LLM,)
)
TTS_TEXT: Final = _tag(
    "tts.text", "The text that was synthesized. Only with `capture_content`.", on=(Kind.TTS,)
)
GEN_AI_TOOL_CALL_ARGUMENTS: Final = _tag(
    "gen_ai.tool.call.arguments",
    "The arguments of the call. Only with `capture_content`.",
    on=(Kind.TOOL,),
)
GEN_AI_TOOL_CALL_RESULT: Final = _tag(
    "gen_ai.tool.call.result",
    "The result of the call. Only with `capture_content`.",
    on=(Kind.TOOL,),
)
