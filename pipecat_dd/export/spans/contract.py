"""Every span, tag and metric that is sent, with its meaning and unit.

``docs/spans.md`` is written from this, and a test holds what is sent against it: what stands
here is what dashboards may rely on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipecat_dd.conversation.latency import PARTS
from pipecat_dd.conversation.model import Kind


@dataclass(frozen=True, slots=True)
class SpanDoc:
    """A span: what its resource is, when it opens and when it closes."""

    kind: Kind
    resource: str
    opens: str
    closes: str


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


SPANS = (
    SpanDoc(Kind.SESSION, "the bot's name", "the pipeline is set up", "it is cleaned up"),
    SpanDoc(
        Kind.STARTUP,
        "processor class; `pipeline` for the whole",
        "its `setup()` began",
        "its `setup()` returned; for the whole, the StartFrame has passed through all of it",
    ),
    SpanDoc(
        Kind.PARTICIPANT,
        "transport class",
        "somebody joined or connected, or was there before the bot",
        "they left or disconnected, or the session ended",
    ),
    SpanDoc(
        Kind.PARTICIPANT_EVENT,
        "the transport's event name",
        "the event is dispatched",
        "the last handler of it returned; of several taken together, the last came",
    ),
    SpanDoc(
        Kind.TURN,
        "`user` or `bot`: who began it",
        "the user starts speaking, or the bot starts responding unasked",
        "the bot fell silent with nothing under way, the user began the next, or the session ended",
    ),
    SpanDoc(
        Kind.USER_SPEECH,
        "the class of the voice activity detector, or of the service that heard it where no "
        "detector did",
        "speech began",
        "speech ended",
    ),
    SpanDoc(
        Kind.STT, "service class and model", "speech began", "the last final transcription of it"
    ),
    SpanDoc(
        Kind.END_OF_TURN,
        "the strategy's class, where one is known",
        "speech ended",
        "it was ruled that the user's turn had ended",
    ),
    SpanDoc(
        Kind.LLM,
        "service class and model",
        "the service begins on a context, or announces a response of its own",
        "the response ended, failed or was interrupted",
    ),
    SpanDoc(
        Kind.TOOL,
        "the function's name",
        "the call is in progress",
        "it completed, failed, timed out or was cancelled",
    ),
    SpanDoc(
        Kind.TTS,
        "service class and model",
        "the first text was handed to synthesis",
        "synthesis stopped, failed or was interrupted",
    ),
    SpanDoc(
        Kind.BOT_SPEECH,
        "`bot`",
        "the bot is heard",
        "the last audio was written, or the user cut in",
    ),
    SpanDoc(
        Kind.FRAME,
        "`<processor class> <frame class>`",
        "`process_frame` begins; for a run of frames, with the first",
        "it returns, raises or is cancelled; for a run, with the last",
    ),
)

_PEOPLE = (Kind.PARTICIPANT, Kind.PARTICIPANT_EVENT)
_SERVICES = (Kind.STT, Kind.LLM, Kind.TTS)

TAGS = (
    TagDoc("session_id", "The session's id."),
    TagDoc("component", "Always `pipecat`."),
    TagDoc(
        "span.kind",
        "`internal`; `client` where a service reaches its provider with no client span of "
        "ddtrace's beneath it: over a websocket, say, or over HTTP with ddtrace's patches off.",
    ),
    TagDoc(
        "peer.service", "The provider, where `span.kind` is `client`.", "", (Kind.LLM, Kind.TTS)
    ),
    TagDoc("participant_id", "Whom it is of, where there is exactly one participant it can mean."),
    TagDoc("processor.name", "Pipecat's name for the processor that did the work."),
    TagDoc("interrupted", "`true` where it was cut off. That is no error."),
    TagDoc(
        "error.type",
        "The exception's class, or `ErrorFrame`, `ToolError`, `ToolTimeout`, `TransportError`, "
        "`PipelineError` where there was none.",
    ),
    TagDoc("error.message", "What the error says, redacted."),
    TagDoc("error.stack", "Its traceback, redacted, the end of it kept."),
    TagDoc("error.category", "Why it happened, where Pipecat knows (`ErrorFrame.category`)."),
    TagDoc("processor.usable", "`false` where the processor can no longer do its job."),
    TagDoc(
        "worker.name",
        "The worker whose processor did the work, where the conversation has several workers. The "
        "user's speech and the bot's are put down to the worker that has the transport.",
        "",
        (
            Kind.STARTUP,
            Kind.USER_SPEECH,
            Kind.STT,
            Kind.END_OF_TURN,
            Kind.LLM,
            Kind.TOOL,
            Kind.TTS,
            Kind.BOT_SPEECH,
            Kind.FRAME,
        ),
    ),
    # session
    TagDoc("pipecat.version", "Pipecat's version.", "", (Kind.SESSION,)),
    TagDoc("transport", "The transport's class.", "", (Kind.SESSION,)),
    TagDoc(
        "conversation_id", "The worker's `conversation_id`, if it has one.", "", (Kind.SESSION,)
    ),
    TagDoc(
        "session.end_reason",
        "`ended` or `stopped` where the frame that asked for it came out at the pipeline's end; "
        "`lost_end` where a processor kept it; `cancelled`, also before the pipeline had started; "
        "`idle_timeout` where Pipecat cancelled it since nobody spoke; `failed` where an error "
        "brought it down, or it never started; `exited` or `terminated` with its process, or with "
        "its event loop; `removed` with the observer (`remove_observer`).",
        "",
        (Kind.SESSION,),
    ),
    TagDoc(
        "session.end_lost_in",
        "The processor that had the frame last that should have ended the pipeline, where that is "
        "`lost_end`: its class, with its place among several. Its `pipecat.frame` shows when.",
        "",
        (Kind.SESSION,),
    ),
    TagDoc("session.turn_count", "Turns begun.", "turns", (Kind.SESSION,)),
    TagDoc("session.interruption_count", "Turns the user cut off.", "turns", (Kind.SESSION,)),
    TagDoc("session.error_count", "Errors reported or raised.", "errors", (Kind.SESSION,)),
    TagDoc(
        "session.shed_count",
        "Events that were let go, since too many waited to be told of; absent where none were.",
        "events",
        (Kind.SESSION,),
    ),
    TagDoc(
        "session.failover_count",
        "Times a switcher turned to another service, since the one at work had failed.",
        "times",
        (Kind.SESSION,),
    ),
    TagDoc("session.bot_speech_count", "Times the bot began to speak.", "times", (Kind.SESSION,)),
    TagDoc(
        "session.participant_count",
        "Participants there were, each counted once.",
        "participants",
        (Kind.SESSION,),
    ),
    # participant
    TagDoc("participant.name", "The name that is shown.", "", (Kind.PARTICIPANT,)),
    TagDoc(
        "participant.role",
        "The participant's part in it, where the transport tells: `owner`, `guest`, or what your "
        "own data on the participant says.",
        "",
        (Kind.PARTICIPANT,),
    ),
    TagDoc(
        "participant.leave_reason",
        "The transport's word for it (`leftCall`), `disconnected`, `connection_lost`, "
        "`replaced` by the transport's next peer, `stream_stopped` or `session_end`.",
        "",
        _PEOPLE,
    ),
    TagDoc(
        "participant.phone_hash",
        "The telephone number of who is at the other end, hashed with your `phone_hash_key`.",
        "",
        (Kind.PARTICIPANT,),
    ),
    TagDoc(
        "telephony.provider",
        "Whose call it is: `twilio`, `telnyx`, `plivo` or `exotel`.",
        "",
        (Kind.PARTICIPANT,),
    ),
    # participant.event
    TagDoc(
        "event.count",
        "Events it stands for: more than one where they came in floods and nobody handled them.",
        "events",
        (Kind.PARTICIPANT_EVENT,),
    ),
    TagDoc(
        "event.handler_count",
        "Handlers that were registered.",
        "handlers",
        (Kind.PARTICIPANT_EVENT,),
    ),
    TagDoc("message.kind", "The message's `type`.", "", (Kind.PARTICIPANT_EVENT,)),
    TagDoc("message.size_bytes", "The message's size.", "bytes", (Kind.PARTICIPANT_EVENT,)),
    TagDoc(
        "dtmf.tone",
        "The key that was pressed; of digits in a row only the first, without `capture_content`.",
        "",
        (Kind.PARTICIPANT_EVENT,),
    ),
    TagDoc(
        "dialin.state",
        "`connected`, `ready`, `stopped`, `error` or `warning`.",
        "",
        (Kind.PARTICIPANT_EVENT,),
    ),
    TagDoc(
        "dialout.state",
        "`answered`, `connected`, `stopped`, `error` or `warning`.",
        "",
        (Kind.PARTICIPANT_EVENT,),
    ),
    TagDoc("call.state", "The state the call is in now.", "", (Kind.PARTICIPANT_EVENT,)),
    TagDoc("network.event", "What happened to it.", "", (Kind.PARTICIPANT_EVENT,)),
    TagDoc("network.connection", "Which connection.", "", (Kind.PARTICIPANT_EVENT,)),
    # turn
    TagDoc("turn.number", "The turn's number, from 1.", "turns", (Kind.TURN,)),
    TagDoc("turn.was_interrupted", "`true` only if the user cut the bot off.", "", (Kind.TURN,)),
    TagDoc(
        "turn.end_reason",
        "`bot_finished`, `interrupted`, `user_turn` (the user began the next) or `session_end`.",
        "",
        (Kind.TURN,),
    ),
    TagDoc(
        "turn.outcome", "`answered`, `interrupted`, `unanswered` or `failed`.", "", (Kind.TURN,)
    ),
    TagDoc(
        "turn.left_waiting",
        "On a turn without an answer: `true` where the user waited three seconds or more for it, "
        "`false` where they went on sooner or hung up.",
        "",
        (Kind.TURN,),
    ),
    TagDoc("turn.error_count", "Errors reported or raised in it.", "errors", (Kind.TURN,)),
    TagDoc(
        "turn.user_bot_latency_seconds",
        "From the end of the user's speech to the bot's voice; `turn.wait.*` add up to it.",
        "seconds",
        (Kind.TURN,),
    ),
    *(
        TagDoc(f"turn.wait.{name}_seconds", f"Waited {what}.", "seconds", (Kind.TURN,))
        for name, what in PARTS
    ),
    TagDoc(
        "failovers.<provider>",
        "Times a switcher turned to a service of that provider's for an error: on the turn it "
        "was in, else on the session.",
        "times",
        (Kind.TURN, Kind.SESSION),
    ),
    TagDoc(
        "processor.<key>.frames",
        "Frames that a processor worked on. `<key>` is its class, with its place among several.",
        "frames",
        (Kind.TURN, Kind.SESSION),
    ),
    TagDoc(
        "processor.<key>.busy_ms",
        "How long that took it in all; media is not timed.",
        "milliseconds",
        (Kind.TURN, Kind.SESSION),
    ),
    TagDoc(
        "processor.<key>.longest_ms",
        "How long the longest took.",
        "milliseconds",
        (Kind.TURN, Kind.SESSION),
    ),
    # services
    TagDoc("gen_ai.provider.name", "The provider, by OpenTelemetry's names.", "", _SERVICES),
    TagDoc("gen_ai.request.model", "The model.", "", _SERVICES),
    TagDoc("gen_ai.operation.name", "`chat`.", "", (Kind.LLM,)),
    TagDoc("gen_ai.output.type", "`speech` where the model itself speaks.", "", (Kind.LLM,)),
    TagDoc(
        "gen_ai.request.<setting>",
        "Settings of the request: temperature, max_tokens, top_p and the like.",
        "as the provider's",
        (Kind.LLM,),
    ),
    TagDoc("metrics.ttfb", "Time to the first byte; none where none came.", "seconds", _SERVICES),
    TagDoc("metrics.ttfat", "Time to the first token of the answer.", "seconds", (Kind.LLM,)),
    TagDoc("metrics.ttfa", "Time to the first audible audio.", "seconds", (Kind.TTS,)),
    TagDoc("gen_ai.usage.input_tokens", "Tokens of the prompt.", "tokens", (Kind.LLM,)),
    TagDoc("gen_ai.usage.output_tokens", "Tokens generated.", "tokens", (Kind.LLM,)),
    TagDoc(
        "gen_ai.usage.cache_read.input_tokens", "Prompt tokens from cache.", "tokens", (Kind.LLM,)
    ),
    TagDoc(
        "gen_ai.usage.cache_creation.input_tokens",
        "Prompt tokens written to cache.",
        "tokens",
        (Kind.LLM,),
    ),
    TagDoc(
        "gen_ai.usage.reasoning.output_tokens", "Tokens spent reasoning.", "tokens", (Kind.LLM,)
    ),
    TagDoc("gen_ai.usage.audio.input_tokens", "Audio tokens heard.", "tokens", (Kind.LLM,)),
    TagDoc("gen_ai.usage.audio.output_tokens", "Audio tokens spoken.", "tokens", (Kind.LLM,)),
    TagDoc("llm.message_count", "Messages in the context.", "messages", (Kind.LLM,)),
    TagDoc("llm.tool_count", "Tools the model may call.", "tools", (Kind.LLM,)),
    TagDoc(
        "llm.outcome",
        "`completed`, `failed`, `interrupted`, or `discarded` where nobody heard anything of it.",
        "",
        (Kind.LLM,),
    ),
    TagDoc(
        "llm.purpose",
        "`inference` where it was asked beside the conversation: a summary, a classification.",
        "",
        (Kind.LLM,),
    ),
    TagDoc(
        "llm.speculative",
        "`true` where it was begun before the user was known to have finished.",
        "",
        (Kind.LLM,),
    ),
    TagDoc("language", "The language that was transcribed.", "", (Kind.STT,)),
    TagDoc("user_id", "Who spoke, where the transport says so.", "", (Kind.STT,)),
    TagDoc("metrics.audio_seconds", "Audio sent to be transcribed.", "seconds", (Kind.STT,)),
    TagDoc(
        "stt.finalization_seconds",
        "From the end of speech to its final transcription.",
        "seconds",
        (Kind.STT,),
    ),
    TagDoc("tts.voice", "The voice.", "", (Kind.TTS,)),
    TagDoc("tts.audio_seconds", "Audio synthesized.", "seconds", (Kind.TTS,)),
    TagDoc("metrics.character_count", "Characters synthesized.", "characters", (Kind.TTS,)),
    # tool
    TagDoc("tool.name", "The function's name.", "", (Kind.TOOL,)),
    TagDoc("tool.call_id", "The model's id of the call.", "", (Kind.TOOL,)),
    TagDoc(
        "tool.outcome",
        "`completed`, `timed_out`, `cancelled` or `failed`: it raised, or its result reports a "
        "failure as Pipecat Flows and MCP do.",
        "",
        (Kind.TOOL,),
    ),
    TagDoc("tool.wait_seconds", "From being asked for until running.", "seconds", (Kind.TOOL,)),
    # frame
    TagDoc("frame.class", "The frame's class, or the event that failed.", "", (Kind.FRAME,)),
    TagDoc("frame.id", "Pipecat's id of the frame; none on a run.", "", (Kind.FRAME,)),
    TagDoc(
        "frame.direction",
        "`downstream` or `upstream`; none on a run of both.",
        "",
        (Kind.FRAME,),
    ),
    TagDoc("frame.count", "Frames taken together; 0 for an error.", "frames", (Kind.FRAME,)),
    # content
    TagDoc("stt.transcript", "What was transcribed. Only with `capture_content`.", "", (Kind.STT,)),
    TagDoc(
        "gen_ai.input.messages",
        "The messages, as JSON. Only with `capture_content`.",
        "",
        (Kind.LLM,),
    ),
    TagDoc(
        "gen_ai.output.messages", "What it answered. Only with `capture_content`.", "", (Kind.LLM,)
    ),
    TagDoc("tts.text", "What was synthesized. Only with `capture_content`.", "", (Kind.TTS,)),
    TagDoc(
        "gen_ai.tool.call.arguments",
        "What it was called with. Only with `capture_content`.",
        "",
        (Kind.TOOL,),
    ),
    TagDoc(
        "gen_ai.tool.call.result",
        "What it returned. Only with `capture_content`.",
        "",
        (Kind.TOOL,),
    ),
)


def tags_of(kind: Kind) -> Iterator[TagDoc]:
    """Yield the tags that may stand on a span.

    Args:
        kind: The span's kind.
    """
    return (tag for tag in TAGS if not tag.on or kind in tag.on)


def span_table() -> str:
    """Return all spans as a table in Markdown."""
    rows = ["| span | resource | opens | closes |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `pipecat.{span.kind}` | {span.resource} | {span.opens} | {span.closes} |"
        for span in SPANS
    ]
    return "\n".join(rows)


def tag_table(kind: Kind | None) -> str:
    """Return the tags of a span as a table in Markdown.

    Args:
        kind: The span's kind; None for the tags that may stand on every span.
    """
    rows = ["| name | unit | meaning |", "| --- | --- | --- |"]
    rows += [
        f"| `{tag.name}` | {tag.unit or 'tag'} | {tag.meaning} |"
        for tag in TAGS
        if (kind in tag.on if kind is not None else not tag.on)
    ]
    return "\n".join(rows)


def tables() -> str:
    """Return the part of ``docs/spans.md`` that is written from here."""
    parts = ["## Spans", span_table(), "## On every span", tag_table(None)]
    for span in SPANS:
        if any(span.kind in tag.on for tag in TAGS):
            parts += [f"## On `pipecat.{span.kind}`", tag_table(span.kind)]
    return "\n\n".join(parts) + "\n"
