"""The tags and metrics of spans, which are the attributes of a stage.

What has a unit is a metric: a number that Datadog can compare. What has none is a tag, whose value
is text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipecat_dd.names._family import Family
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.spans import Kind


@dataclass(frozen=True, slots=True)
class TagDoc:
    """A tag, or a metric where it has a unit.

    Attributes:
        name: Its name; ``<…>`` stands for what differs.
        meaning: What it says.
        unit: A metric's unit; empty for a tag, whose value is text.
        on: The spans it may stand on; none given for all.
    """

    name: str
    meaning: str
    unit: str = ""
    on: tuple[Kind, ...] = ()


TAGS: Final[list[TagDoc]] = []
"""All of them, in the order in which ``docs/spans.md`` has them."""


def tags_of(kind: Kind) -> Iterator[TagDoc]:
    """Yield the tags that may stand on a span.

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
    ("end_of_turn", "until it was ruled that the user had finished"),
    ("transcription", "for the final transcription, where that came after the ruling"),
    ("preparation", "until the model was asked: aggregation of the context, retrieval"),
    ("tools", "for responses that only called tools, and for the tools"),
    ("llm", "for the first token of the response that was spoken"),
    ("aggregation", "until there was enough text to synthesize"),
    ("synthesis", "for the first audio"),
    ("output", "until that audio was heard"),
)
"""The parts of what a user waits for, in order, and what was waited for in each."""

FRAME_PREFIX: Final = "frame."
USAGE_PREFIX: Final = "gen_ai.usage."
METRICS_PREFIX: Final = "metrics."
"""What the names begin with that say which frame, what a model used, what Pipecat measured."""

# Every span

SESSION_ID: Final = _tag("session_id", "The session's id.")
COMPONENT: Final = _tag("component", "Always `pipecat`.")
SPAN_KIND: Final = _tag(
    "span.kind",
    "`internal`; `client` where a service reaches its provider with no client span of "
    "ddtrace's beneath it: over a websocket, say, or over HTTP with ddtrace's patches "
    "off.",
)
PEER_SERVICE: Final = _tag(
    "peer.service", "The provider, where `span.kind` is `client`.", on=(Kind.LLM, Kind.TTS)
)
PARTICIPANT_ID: Final = _tag(
    "participant_id", "Whom it is of, where there is exactly one participant it can mean."
)
RESERVED_TAGS: Final = frozenset({SESSION_ID, PARTICIPANT_ID, COMPONENT, SPAN_KIND, *UNIFIED})
"""Tags with a meaning of their own on every span, which the user may not set."""

MAX_TAG_NAME_CHARS: Final = 200
"""The most characters of a tag's name that Datadog keeps."""

PROCESSOR_NAME: Final = _tag(
    "processor.name", "Pipecat's name for the processor that did the work."
)
INTERRUPTED: Final = _tag("interrupted", "`true` where it was cut off. That is no error.")
ERROR_TYPE: Final = _tag(
    "error.type",
    "The exception's class, or `ErrorFrame`, `ToolError`, `ToolTimeout`, "
    "`TransportError`, `PipelineError` where there was none.",
)
ERROR_MESSAGE: Final = _tag("error.message", "What the error says, redacted.")
ERROR_STACK: Final = _tag("error.stack", "Its traceback, redacted, the end of it kept.")
ERROR_CATEGORY: Final = _tag(
    "error.category", "Why it happened, where Pipecat knows (`ErrorFrame.category`)."
)
PROCESSOR_USABLE: Final = _tag(
    "processor.usable", "`false` where the processor can no longer do its job."
)
WORKER_NAME: Final = _tag(
    "worker.name",
    "The worker whose processor did the work, where the conversation has several "
    "workers, and on what a worker itself reports. The user's speech and the bot's are put "
    "down to the worker that has the transport.",
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
    "`ended` or `stopped` where the frame that asked for it came out at the pipeline's "
    "end; `lost_end` where a processor kept it; `cancelled`, also before the pipeline "
    "had started; `idle_timeout` where Pipecat cancelled it for silence; `failed` "
    "where an error brought it down, or it never started; `exited` or `terminated` with "
    "its process, or with its event loop; `removed` with the observer "
    "(`remove_observer`).",
    on=(Kind.SESSION,),
)
SESSION_END_LOST_IN: Final = _tag(
    "session.end_lost_in",
    "The processor that had the frame last that should have ended the pipeline, where "
    "that is `lost_end`: its class, with its place among several. Its `pipecat.frame` "
    "shows when.",
    on=(Kind.SESSION,),
)
SESSION_TURN_COUNT: Final = _tag(
    "session.turn_count", "Turns begun.", unit="turns", on=(Kind.SESSION,)
)
SESSION_INTERRUPTION_COUNT: Final = _tag(
    "session.interruption_count", "Turns the user cut off.", unit="turns", on=(Kind.SESSION,)
)
SESSION_ERROR_COUNT: Final = _tag(
    "session.error_count", "Errors reported or raised.", unit="errors", on=(Kind.SESSION,)
)
SESSION_SHED_COUNT: Final = _tag(
    "session.shed_count",
    "Events that were dropped because too many waited; absent if none were.",
    unit="events",
    on=(Kind.SESSION,),
)
SESSION_FAILOVER_COUNT: Final = _tag(
    "session.failover_count",
    "Times a switcher turned to another service, since the one at work had failed.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_BOT_SPEECH_COUNT: Final = _tag(
    "session.bot_speech_count", "Times the bot began to speak.", unit="times", on=(Kind.SESSION,)
)
SESSION_PARTICIPANT_COUNT: Final = _tag(
    "session.participant_count",
    "Participants there were, each counted once.",
    unit="participants",
    on=(Kind.SESSION,),
)

SESSION_OUTCOME: Final = _tag(
    "session.outcome",
    "What came of the conversation, in the bot's own word (`Session.set_outcome`).",
    on=(Kind.SESSION,),
)
SESSION_FIRST_SPEECH_SECONDS: Final = _tag(
    "session.first_speech_seconds",
    "From the first participant's joining, or from the session's start where none is reported, "
    "to the bot's first audio.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_USER_SPEECH_SECONDS: Final = _tag(
    "session.user_speech_seconds", "How long the user spoke.", unit="seconds", on=(Kind.SESSION,)
)
SESSION_BOT_SPEECH_SECONDS: Final = _tag(
    "session.bot_speech_seconds", "How long the bot spoke.", unit="seconds", on=(Kind.SESSION,)
)
SESSION_SILENCE_SECONDS: Final = _tag(
    "session.silence_seconds",
    "How long neither the user nor the bot spoke.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_SILENCE_SECONDS: Final = _tag(
    "session.longest_silence_seconds",
    "The longest time without speech.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_BOT_SILENCE_SECONDS: Final = _tag(
    "session.longest_bot_silence_seconds",
    "The longest time without speech in which the bot owed an answer; 0 if it never did.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_LONGEST_SILENCE_OF: Final = _tag(
    "session.longest_silence_of",
    "Whose turn it was to speak in the longest silence: `bot`, which owed an answer, or `user`.",
    on=(Kind.SESSION,),
)
SESSION_IDLE_COUNT: Final = _tag(
    "session.idle_count",
    "Times Pipecat reported that the user was idle.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_RECONNECT_COUNT: Final = _tag(
    "session.reconnect_count",
    "Times a service lost its connection and made it again.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_RECONNECT_SECONDS: Final = _tag(
    "session.reconnect_seconds",
    "How long services were without their connections, summed.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_BLOCKED_COUNT: Final = _tag(
    "session.blocked_count",
    "Times the event loop was blocked while the session ran, by any session's code.",
    unit="times",
    on=(Kind.SESSION,),
)
SESSION_BLOCKED_SECONDS: Final = _tag(
    "session.blocked_seconds", "How long it was blocked.", unit="seconds", on=(Kind.SESSION,)
)
SESSION_LONGEST_BLOCKED_SECONDS: Final = _tag(
    "session.longest_blocked_seconds",
    "The longest time for which it was blocked.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_NOT_RUNNING_SECONDS: Final = _tag(
    "session.not_running_seconds",
    "How long the process did not run while the session did: it was suspended, or the machine "
    "had no CPU for it.",
    unit="seconds",
    on=(Kind.SESSION,),
)
SESSION_VOICE_GAP_COUNT: Final = _tag(
    "session.voice_gap_count",
    "Gaps in the bot's voice, in mid-speech, that the user heard.",
    unit="gaps",
    on=(Kind.SESSION,),
)
SESSION_VOICE_GAP_SECONDS: Final = _tag(
    "session.voice_gap_seconds", "How long they were, summed.", unit="seconds", on=(Kind.SESSION,)
)
SESSION_LONGEST_VOICE_GAP_SECONDS: Final = _tag(
    "session.longest_voice_gap_seconds", "The longest of them.", unit="seconds", on=(Kind.SESSION,)
)
SESSION_NO_USER_AUDIO_COUNT: Final = _tag(
    "session.no_user_audio_count",
    "Times a participant was connected and no audio of theirs came.",
    unit="times",
    on=(Kind.SESSION,),
)
TELEPHONY_CALL_ID: Final = _tag(
    "telephony.call_id", "The telephony provider's id of the call.", on=(Kind.SESSION,)
)
FLOW_NODE: Final = _tag(
    "flow.node",
    "The node of the conversation's flow (`pipecat.flows`) that was current when it began; on a "
    "turn that began before the first node, that one. `unnamed` where the node has no name.",
    on=(Kind.TURN, Kind.LLM, Kind.TOOL),
)

# The participant span

PARTICIPANT_NAME: Final = _tag(
    "participant.name", "The name that is shown.", on=(Kind.PARTICIPANT,)
)
PARTICIPANT_ROLE: Final = _tag(
    "participant.role",
    "The participant's part in it, where the transport tells: `owner`, `guest`, or what "
    "your own data on the participant says.",
    on=(Kind.PARTICIPANT,),
)
PARTICIPANT_LEAVE_REASON: Final = _tag(
    "participant.leave_reason",
    "The transport's word for it (`leftCall`), `disconnected`, `connection_lost`, "
    "`replaced` by the transport's next peer, `stream_stopped` or `session_end`.",
    on=_PEOPLE,
)
PARTICIPANT_PHONE_HASH: Final = _tag(
    "participant.phone_hash",
    "The telephone number of who is at the other end, hashed with your `phone_hash_key`.",
    on=(Kind.PARTICIPANT,),
)
TELEPHONY_PROVIDER: Final = _tag(
    "telephony.provider",
    "Whose call it is: `twilio`, `telnyx`, `plivo` or `exotel`.",
    on=(Kind.PARTICIPANT,),
)

# The participant.event and service.event spans

EVENT_COUNT: Final = _tag(
    "event.count",
    "Events it stands for: more than one where many came at once.",
    unit="events",
    on=_EVENTS,
)
EVENT_HANDLER_COUNT: Final = _tag(
    "event.handler_count",
    "Handlers that were registered.",
    unit="handlers",
    on=_EVENTS,
)

# The service.event span

EVENT_DETAIL: Final = _tag(
    "event.detail",
    "What it says, in a word of Pipecat's or of your code's: a menu's status, the class of the "
    "service that was turned to, the worker that is ready, `microphone_off`.",
    on=_EVENTS,
)
CONNECTION_WAIT_SECONDS: Final = _tag(
    "connection.wait_seconds",
    "How long it took to connect, or to be refused.",
    unit="seconds",
    on=(Kind.SERVICE_EVENT,),
)
CONNECTION_LOST_SECONDS: Final = _tag(
    "connection.lost_seconds",
    "How long the service had been without the connection that it has made again.",
    unit="seconds",
    on=(Kind.SERVICE_EVENT,),
)
JOB_NAME: Final = _tag(
    "job.name", "The job that one worker asked of another.", on=(Kind.SERVICE_EVENT,)
)
JOB_ID: Final = _tag("job.id", "Pipecat's id of the job.", on=(Kind.SERVICE_EVENT,))
JOB_STATUS: Final = _tag("job.status", "How it ended.", on=(Kind.SERVICE_EVENT,))

# The participant.event span

MESSAGE_KIND: Final = _tag("message.kind", "The message's `type`.", on=(Kind.PARTICIPANT_EVENT,))
MESSAGE_SIZE_BYTES: Final = _tag(
    "message.size_bytes", "The message's size.", unit="bytes", on=(Kind.PARTICIPANT_EVENT,)
)
DTMF_TONE: Final = _tag(
    "dtmf.tone",
    "The key that was pressed, or that the bot sends (`output_dtmf`); of digits in a row only the "
    "first, and of several that the bot sends at once none, without `capture_content`.",
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
CALL_STATE: Final = _tag(
    "call.state", "The state the call is in now.", on=(Kind.PARTICIPANT_EVENT,)
)
NETWORK_EVENT: Final = _tag("network.event", "What happened to it.", on=(Kind.PARTICIPANT_EVENT,))
NETWORK_CONNECTION: Final = _tag(
    "network.connection", "Which connection.", on=(Kind.PARTICIPANT_EVENT,)
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
    "On a turn without an answer: `true` where the user waited three seconds or more for "
    "it, `false` where they went on sooner or hung up.",
    on=(Kind.TURN,),
)
TURN_ERROR_COUNT: Final = _tag(
    "turn.error_count", "Errors reported or raised in it.", unit="errors", on=(Kind.TURN,)
)
TURN_USER_BOT_LATENCY_SECONDS: Final = _tag(
    "turn.user_bot_latency_seconds",
    "From the end of the user's speech to the bot's voice; `turn.wait.*` add up to it.",
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
    "What ended the user's part of it: as `end_of_turn.outcome`.",
    on=(Kind.TURN,),
)
TURN_END_OF_TURN_PROBABILITY: Final = _tag(
    "turn.end_of_turn.probability",
    "How sure the model was, at its last ruling, that the user had finished, from 0 to 1.",
    unit="fraction",
    on=(Kind.TURN,),
)
TURN_BLOCKED_SECONDS: Final = _tag(
    "turn.blocked_seconds",
    "How long the event loop was blocked in it, by any session's code.",
    unit="seconds",
    on=(Kind.TURN,),
)
TURN_VOICE_GAP_COUNT: Final = _tag(
    "turn.voice_gap_count",
    "Gaps in the bot's voice, in mid-speech, that the user heard.",
    unit="gaps",
    on=(Kind.TURN,),
)
TURN_VOICE_GAP_SECONDS: Final = _tag(
    "turn.voice_gap_seconds", "How long they were, summed.", unit="seconds", on=(Kind.TURN,)
)
failovers: Final = _family(
    "failovers.<provider>",
    "Times a switcher turned to a service of that provider's for an error: on the turn "
    "it was in, else on the session.",
    unit="times",
    on=(Kind.TURN, Kind.SESSION),
)
processor_frames: Final = _family(
    "processor.<key>.frames",
    "Frames that a processor worked on. `<key>` is its class, with its place among several.",
    unit="frames",
    on=(Kind.TURN, Kind.SESSION),
)
processor_busy_ms: Final = _family(
    "processor.<key>.busy_ms",
    "How long that took it in all; media is not timed.",
    unit="milliseconds",
    on=(Kind.TURN, Kind.SESSION),
)
processor_longest_ms: Final = _family(
    "processor.<key>.longest_ms",
    "How long the longest took.",
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
    "gen_ai.output.type", "`speech` where the model itself speaks.", on=(Kind.LLM,)
)
gen_ai_request: Final = _family(
    "gen_ai.request.<setting>",
    "Settings of the request: temperature, max_tokens, top_p and the like.",
    unit="as the provider's",
    on=(Kind.LLM,),
)
METRICS_TTFB: Final = _tag(
    "metrics.ttfb", "Time to the first byte; none where none came.", unit="seconds", on=_SERVICES
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
    "Prompt tokens from cache.",
    unit="tokens",
    on=(Kind.LLM,),
)
GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = _tag(
    "gen_ai.usage.cache_creation.input_tokens",
    "Prompt tokens written to cache.",
    unit="tokens",
    on=(Kind.LLM,),
)
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Final = _tag(
    "gen_ai.usage.reasoning.output_tokens", "Tokens spent reasoning.", unit="tokens", on=(Kind.LLM,)
)
GEN_AI_USAGE_AUDIO_INPUT_TOKENS: Final = _tag(
    "gen_ai.usage.audio.input_tokens", "Audio tokens heard.", unit="tokens", on=(Kind.LLM,)
)
GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS: Final = _tag(
    "gen_ai.usage.audio.output_tokens", "Audio tokens spoken.", unit="tokens", on=(Kind.LLM,)
)
LLM_MESSAGE_COUNT: Final = _tag(
    "llm.message_count", "Messages in the context.", unit="messages", on=(Kind.LLM,)
)
LLM_TOOL_COUNT: Final = _tag(
    "llm.tool_count", "Tools the model may call.", unit="tools", on=(Kind.LLM,)
)
LLM_OUTCOME: Final = _tag(
    "llm.outcome",
    "`completed`, `failed`, `interrupted`, or `discarded` where the user heard nothing of it.",
    on=(Kind.LLM,),
)
LLM_PURPOSE: Final = _tag(
    "llm.purpose",
    "`inference` where it was asked beside the conversation: a summary, a classification.",
    on=(Kind.LLM,),
)
LLM_SPECULATIVE: Final = _tag(
    "llm.speculative",
    "`true` where it was begun before the user was known to have finished.",
    on=(Kind.LLM,),
)
STT_LANGUAGE: Final = _tag(
    "stt.language",
    "The language that was transcribed. (ddtrace sets a `language` of its own: `python`.)",
    on=(Kind.STT,),
)
USER_ID: Final = _tag("user_id", "Who spoke, where the transport says so.", on=(Kind.STT,))
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
    "`completed`, `timed_out`, `cancelled` or `failed`: it raised, or its result reports "
    "a failure as Pipecat Flows and MCP do.",
    on=(Kind.TOOL,),
)
TOOL_WAIT_SECONDS: Final = _tag(
    "tool.wait_seconds", "From being asked for until running.", unit="seconds", on=(Kind.TOOL,)
)

# The user_speech span

USER_AUDIO_GAP_COUNT: Final = _tag(
    "user_audio.gap_count",
    "Gaps in the user's audio: pieces that came late, or never.",
    unit="gaps",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_GAP_SECONDS: Final = _tag(
    "user_audio.gap_seconds", "How long they were, summed.", unit="seconds", on=(Kind.USER_SPEECH,)
)
USER_AUDIO_LONGEST_GAP_SECONDS: Final = _tag(
    "user_audio.longest_gap_seconds",
    "The longest of them.",
    unit="seconds",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_GAPS: Final = _tag(
    "user_audio.gaps",
    "Where the first of them were, in seconds, as in `bot_speech.gaps`: the last may go on after "
    "the speech.",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_LEVEL_DBFS: Final = _tag(
    "user_audio.level_dbfs",
    "How loud the speech was, in decibels below full scale: a sample of its pieces.",
    unit="decibels",
    on=(Kind.USER_SPEECH,),
)
USER_AUDIO_CLIPPED_FRACTION: Final = _tag(
    "user_audio.clipped_fraction",
    "The share of its samples that were at full scale, from 0 to 1.",
    unit="fraction",
    on=(Kind.USER_SPEECH,),
)

# The end_of_turn span

END_OF_TURN_PROBABILITY: Final = _tag(
    "end_of_turn.probability",
    "How sure the model was that the user had finished, from 0 to 1: of the last ruling.",
    unit="fraction",
    on=(Kind.END_OF_TURN,),
)
END_OF_TURN_INFERENCE_SECONDS: Final = _tag(
    "end_of_turn.inference_seconds",
    "How long the model took for its rulings, summed.",
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
    "gone on from an earlier one, or from a prediction; `timed_out`, the wait for more.",
    on=(Kind.END_OF_TURN,),
)
END_OF_TURN_AFTER_RULING_SECONDS: Final = _tag(
    "end_of_turn.after_ruling_seconds",
    "From the model's last ruling to the end of the turn: waited for the transcription where it "
    "ruled that the user had finished, for more speech where it ruled that they had not.",
    unit="seconds",
    on=(Kind.END_OF_TURN,),
)

# The bot_speech span

BOT_SPEECH_AUDIO_SECONDS: Final = _tag(
    "bot_speech.audio_seconds", "Audio written.", unit="seconds", on=(Kind.BOT_SPEECH,)
)
BOT_SPEECH_UNHEARD_SECONDS: Final = _tag(
    "bot_speech.unheard_seconds",
    "Audio that was synthesized for it and that the user did not hear, since they cut in.",
    unit="seconds",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_GAP_COUNT: Final = _tag(
    "bot_speech.gap_count",
    "Gaps in mid-speech: all that was written had played before more of it came.",
    unit="gaps",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_GAP_SECONDS: Final = _tag(
    "bot_speech.gap_seconds", "How long they were, summed.", unit="seconds", on=(Kind.BOT_SPEECH,)
)
BOT_SPEECH_LONGEST_GAP_SECONDS: Final = _tag(
    "bot_speech.longest_gap_seconds",
    "The longest of them.",
    unit="seconds",
    on=(Kind.BOT_SPEECH,),
)
BOT_SPEECH_GAPS: Final = _tag(
    "bot_speech.gaps",
    "Where the first of them were, in seconds: `1.600+0.480 …` is a gap of 0.48 that began 1.6 "
    "after the speech did.",
    on=(Kind.BOT_SPEECH,),
)

# The blocked span

BLOCKED_CAUSE: Final = _tag(
    "blocked.cause",
    "`code`; `import` where a module was being imported; `garbage_collection` where that took most "
    "of the time.",
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
    "How much of that time the thread used the CPU; the rest it waited.",
    unit="seconds",
    on=(Kind.BLOCKED,),
)
BLOCKED_GC_SECONDS: Final = _tag(
    "blocked.gc_seconds",
    "How much of it Python's garbage collection took.",
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
FRAME_ID: Final = _tag("frame.id", "Pipecat's id of the frame; none on a run.", on=(Kind.FRAME,))
FRAME_DIRECTION: Final = _tag(
    "frame.direction", "`downstream` or `upstream`; none on a run of both.", on=(Kind.FRAME,)
)
FRAME_COUNT: Final = _tag(
    "frame.count", "Frames taken together; 0 for an error.", unit="frames", on=(Kind.FRAME,)
)

# Content, which is sent with capture_content alone

STT_TRANSCRIPT: Final = _tag(
    "stt.transcript", "What was transcribed. Only with `capture_content`.", on=(Kind.STT,)
)
GEN_AI_INPUT_MESSAGES: Final = _tag(
    "gen_ai.input.messages", "The messages, as JSON. Only with `capture_content`.", on=(Kind.LLM,)
)
GEN_AI_OUTPUT_MESSAGES: Final = _tag(
    "gen_ai.output.messages", "What it answered. Only with `capture_content`.", on=(Kind.LLM,)
)
TTS_TEXT: Final = _tag(
    "tts.text", "What was synthesized. Only with `capture_content`.", on=(Kind.TTS,)
)
GEN_AI_TOOL_CALL_ARGUMENTS: Final = _tag(
    "gen_ai.tool.call.arguments",
    "What it was called with. Only with `capture_content`.",
    on=(Kind.TOOL,),
)
GEN_AI_TOOL_CALL_RESULT: Final = _tag(
    "gen_ai.tool.call.result", "What it returned. Only with `capture_content`.", on=(Kind.TOOL,)
)
