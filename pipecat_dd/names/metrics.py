"""The metrics that are sent, each with its type, unit and tags."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipecat_dd.names import metric_tags

PREFIX: Final = "pipecat."
"""The prefix of every metric's name."""


class Type(StrEnum):
    """DogStatsD's types of metrics."""

    DISTRIBUTION = "distribution"
    COUNT = "count"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class MetricDoc:
    """A metric.

    Attributes:
        name: Its name.
        type: DogStatsD's type.
        unit: The unit of its values.
        tags: The tags that it may have in addition to those on every metric.
        meaning: What it means.
    """

    name: str
    type: Type
    unit: str
    tags: tuple[str, ...]
    meaning: str


METRICS: Final[list[MetricDoc]] = []
"""All metrics, in the order of ``docs/metrics.md``."""


def _metric(name: str, type_: Type, unit: str, tags: tuple[str, ...], meaning: str) -> str:
    METRICS.append(MetricDoc(name, type_, unit, tags, meaning))
    return name


_SERVICE: Final = (metric_tags.STAGE, metric_tags.PROVIDER, metric_tags.MODEL)

TURN_USER_BOT_LATENCY_SECONDS: Final = _metric(
    "pipecat.turn.user_bot_latency_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT,),
    "From the end of the user's speech to the bot's first audio.",
)
TURN_WAIT_SECONDS: Final = _metric(
    "pipecat.turn.wait_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.PART),
    "The parts of `pipecat.turn.user_bot_latency_seconds`, by `part`. The parts of a turn add up "
    "to its latency.",
)
TURN_DURATION_SECONDS: Final = _metric(
    "pipecat.turn.duration_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.OUTCOME),
    "How long turns last.",
)
SESSION_DURATION_SECONDS: Final = _metric(
    "pipecat.session.duration_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.END_REASON),
    "How long sessions last.",
)
SERVICE_TTFB_SECONDS: Final = _metric(
    "pipecat.service.ttfb_seconds",
    Type.DISTRIBUTION,
    "seconds",
    _SERVICE,
    "Time to a service's first byte.",
)
LLM_TTFAT_SECONDS: Final = _metric(
    "pipecat.llm.ttfat_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.PROVIDER, metric_tags.MODEL),
    "Time to the first token of an answer.",
)
TTS_TTFA_SECONDS: Final = _metric(
    "pipecat.tts.ttfa_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.PROVIDER, metric_tags.MODEL),
    "Time to the first audible audio.",
)
END_OF_TURN_SECONDS: Final = _metric(
    "pipecat.end_of_turn_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.STRATEGY, metric_tags.OUTCOME),
    "From the end of speech to the ruling that the user's turn is over, by `outcome`: "
    "`completed`, `timed_out`, or `resumed` if the user went on.",
)
TOOL_DURATION_SECONDS: Final = _metric(
    "pipecat.tool.duration_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TOOL, metric_tags.OUTCOME),
    "How long tool calls take.",
)
SESSIONS_STARTED: Final = _metric(
    "pipecat.sessions.started",
    Type.COUNT,
    "sessions",
    (metric_tags.TRANSPORT,),
    "Sessions that began.",
)
SESSIONS_ENDED: Final = _metric(
    "pipecat.sessions.ended",
    Type.COUNT,
    "sessions",
    (
        metric_tags.TRANSPORT,
        metric_tags.END_REASON,
        metric_tags.BOT_SPOKE,
        metric_tags.SESSION_OUTCOME,
    ),
    "Sessions that ended. `bot_spoke` is `false` if the bot never spoke. `session_outcome` is "
    "what the bot set with `set_outcome`.",
)
TURNS: Final = _metric(
    "pipecat.turns",
    Type.COUNT,
    "turns",
    (
        metric_tags.TRANSPORT,
        metric_tags.OUTCOME,
        metric_tags.BEGAN_BY,
        metric_tags.ANSWERED_WITHIN,
        metric_tags.LEFT_WAITING,
    ),
    "Turns that ended, by their outcome: `outcome:unanswered` and so on. `began_by` is `user` or "
    "`bot`. `answered_within` is `1s`, `2s`, `3s`, `5s`, `8s` or `later`. `left_waiting` is "
    "`true` if the user waited three seconds or more and no answer came, and `false` on the "
    "user's other turns.",
)
INTERRUPTIONS: Final = _metric(
    "pipecat.interruptions",
    Type.COUNT,
    "turns",
    (metric_tags.TRANSPORT,),
    "Turns that the user cut off.",
)
ERRORS: Final = _metric(
    "pipecat.errors",
    Type.COUNT,
    "errors",
    (metric_tags.STAGE, metric_tags.CATEGORY, metric_tags.PROVIDER, metric_tags.USABLE),
    "Stages that failed. `usable:false` if the service can no longer do its job.",
)
FAILOVERS: Final = _metric(
    "pipecat.failovers",
    Type.COUNT,
    "failovers",
    (metric_tags.PROVIDER,),
    "How often a `ServiceSwitcher` changed to another service because the current one had failed. "
    "`provider` is the new one. Sent when the turn ends.",
)
TOKENS: Final = _metric(
    "pipecat.tokens",
    Type.COUNT,
    "tokens",
    (metric_tags.PROVIDER, metric_tags.MODEL, metric_tags.TYPE),
    "Tokens used, by `type`: `input`, `output`, `cache_read`, `cache_creation`, "
    "`reasoning`, `audio_input`, `audio_output`.",
)
CHARACTERS: Final = _metric(
    "pipecat.characters",
    Type.COUNT,
    "characters",
    (metric_tags.PROVIDER, metric_tags.MODEL),
    "Characters synthesized.",
)
AUDIO_SECONDS: Final = _metric(
    "pipecat.audio_seconds",
    Type.COUNT,
    "seconds",
    _SERVICE,
    "Audio transcribed (`stage:stt`) and synthesized (`stage:tts`).",
)
PARTICIPANTS_JOINED: Final = _metric(
    "pipecat.participants.joined",
    Type.COUNT,
    "participants",
    (metric_tags.TRANSPORT,),
    "Participants who joined.",
)
PARTICIPANTS_LEFT: Final = _metric(
    "pipecat.participants.left",
    Type.COUNT,
    "participants",
    (metric_tags.TRANSPORT,),
    "Participants who left.",
)
SESSION_FIRST_SPEECH_SECONDS: Final = _metric(
    "pipecat.session.first_speech_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.WITHIN),
    "From the first participant's joining to the bot's first audio; without participants, from "
    "the session's start. `within` is `1s`, `2s`, `3s`, `5s`, `8s` or `later`.",
)
SESSION_LONGEST_SILENCE_SECONDS: Final = _metric(
    "pipecat.session.longest_silence_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.SILENCE_OF, metric_tags.WITHIN),
    "The longest silence of each session: neither the user nor the bot spoke. `silence_of` is "
    "whose turn it was to speak: `bot` or `user`. `within` is `1s`, `2s`, `3s`, `5s`, `8s` or "
    "`later`.",
)
SESSION_LONGEST_BOT_SILENCE_SECONDS: Final = _metric(
    "pipecat.session.longest_bot_silence_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.WITHIN),
    "The longest silence of each session in which the bot owed an answer. `within` is `1s`, `2s`, "
    "`3s`, `5s`, `8s` or `later`.",
)
SPEECH_SECONDS: Final = _metric(
    "pipecat.speech_seconds",
    Type.COUNT,
    "seconds",
    (metric_tags.TRANSPORT, metric_tags.SPEAKER),
    "How long the `user` and the `bot` spoke, by `speaker`.",
)
BOT_SPEECHES: Final = _metric(
    "pipecat.bot_speeches",
    Type.COUNT,
    "times",
    (metric_tags.TRANSPORT,),
    "Times that the bot spoke.",
)
VOICE_GAPS: Final = _metric(
    "pipecat.voice_gaps",
    Type.COUNT,
    "gaps",
    (metric_tags.TRANSPORT,),
    "Gaps within the bot's speech that the user heard.",
)
VOICE_GAP_SECONDS: Final = _metric(
    "pipecat.voice_gap_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT,),
    "The longest gap of each of the bot's speeches that had one.",
)
USER_AUDIO_GAPS: Final = _metric(
    "pipecat.user_audio.gaps",
    Type.COUNT,
    "gaps",
    (metric_tags.TRANSPORT,),
    "Gaps in the user's audio while they spoke.",
)
USER_AUDIO_GAP_SECONDS: Final = _metric(
    "pipecat.user_audio.gap_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.TRANSPORT,),
    "The longest gap of each of the user's speeches that had one.",
)
USER_AUDIO_LEVEL_DBFS: Final = _metric(
    "pipecat.user_audio.level_dbfs",
    Type.DISTRIBUTION,
    "decibels",
    (metric_tags.TRANSPORT,),
    "How loud the user's speech was, in decibels relative to full scale (0 is the loudest).",
)
USER_AUDIO_MISSING: Final = _metric(
    "pipecat.user_audio.missing",
    Type.COUNT,
    "times",
    (metric_tags.TRANSPORT,),
    "Times that a participant was connected and sent no audio.",
)
SERVICE_EVENTS: Final = _metric(
    "pipecat.service.events",
    Type.COUNT,
    "events",
    (metric_tags.EVENT, metric_tags.PROVIDER, metric_tags.OUTCOME),
    "Events of services, by Pipecat's name: `on_connection_error`, `on_disconnected` and so on. "
    "`outcome` is `failed` if the event reports a failure, such as a lost connection, else "
    "`completed`.",
)
SERVICE_RECONNECT_SECONDS: Final = _metric(
    "pipecat.service.reconnect_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.PROVIDER,),
    "How long a service was without its connection.",
)
END_OF_TURN_INCOMPLETE: Final = _metric(
    "pipecat.end_of_turn.incomplete",
    Type.COUNT,
    "rulings",
    (metric_tags.STRATEGY,),
    "Rulings that the user had not finished.",
)
EVENT_LOOP_BLOCKED_SECONDS: Final = _metric(
    "pipecat.event_loop.blocked_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (metric_tags.CAUSE,),
    "How long the event loop was blocked each time, by `cause`: `code`, `import`, "
    "`garbage_collection`, or `not_running` if the process did not run at all.",
)
SESSIONS_ACTIVE: Final = _metric(
    "pipecat.sessions.active", Type.GAUGE, "sessions", (), "Sessions running in the process."
)
EVENT_LOOP_LAG_SECONDS: Final = _metric(
    "pipecat.event_loop.lag_seconds",
    Type.DISTRIBUTION,
    "seconds",
    (),
    "How late the event loop runs what is due. Everything in the bot waits that long.",
)
OBSERVER_SHED: Final = _metric(
    "pipecat.observer.shed",
    Type.COUNT,
    "events",
    (),
    "Events that the observer dropped because it was too far behind.",
)
OBSERVER_FAILURES: Final = _metric(
    "pipecat.observer.failures",
    Type.COUNT,
    "errors",
    (metric_tags.PART,),
    "Errors in this package. None of them reached the bot.",
)
OBSERVER_PARTS_OFF: Final = _metric(
    "pipecat.observer.parts_off",
    Type.GAUGE,
    "parts",
    (),
    "Parts of this package that have turned themselves off.",
)
LOGS_SHIPPED: Final = _metric(
    "pipecat.logs.shipped", Type.COUNT, "lines", (), "Lines accepted by the log intake."
)
LOGS_DROPPED: Final = _metric(
    "pipecat.logs.dropped",
    Type.COUNT,
    "lines",
    (metric_tags.REASON,),
    "Lines that could not be shipped.",
)
