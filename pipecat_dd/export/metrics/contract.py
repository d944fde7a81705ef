"""Every metric that is sent, with its type, unit, tags and meaning.

``docs/metrics.md`` is written from this, and a test holds what is sent against it: what stands
here is what dashboards and monitors may rely on. Tags have few values only: never a session's,
participant's or call's id.
"""

from dataclasses import dataclass
from enum import StrEnum

UNIFIED = ("service", "env", "version")
"""Tags on every metric, from ``DD_SERVICE``, ``DD_ENV`` and ``DD_VERSION``."""


WITHIN_SECS = (1, 2, 3, 5, 8)
"""The seconds within which an answer may have come, as a tag says it: `2s`."""

BEYOND = "later"
"""What the tag says of an answer that took longer than all of these."""


def within(secs: float) -> str:
    """Return how soon an answer came, as one of few values: `1s`, `2s` … or `later`.

    Args:
        secs: From the end of the user's speech to the bot's voice, in seconds.
    """
    return next((f"{most}s" for most in WITHIN_SECS if secs <= most), BEYOND)


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
        unit: What one of it is.
        tags: The tags it may carry besides those on every metric.
        meaning: What it says.
    """

    name: str
    type: Type
    unit: str
    tags: tuple[str, ...]
    meaning: str

    @property
    def datadog_unit(self) -> str:
        """The unit by the name that Datadog knows it by."""
        return _DATADOG_UNITS[self.unit]


_DATADOG_UNITS = {
    "seconds": "second",
    "sessions": "session",
    "errors": "error",
    "tokens": "token",
    "participants": "user",
    "events": "event",
    "failovers": "occurrence",
    # Of what Datadog has no name for, the nearest.
    "turns": "item",
    "characters": "item",
    "parts": "item",
    "lines": "record",
}

_SERVICE = ("stage", "provider", "model")

METRICS = (
    MetricDoc(
        "pipecat.turn.user_bot_latency_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("transport",),
        "From the end of the user's speech to the bot's voice.",
    ),
    MetricDoc(
        "pipecat.turn.wait_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("transport", "part"),
        "What that wait was made of; the parts of a turn add up to it.",
    ),
    MetricDoc(
        "pipecat.turn.duration_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("transport", "outcome"),
        "How long turns last.",
    ),
    MetricDoc(
        "pipecat.session.duration_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("transport", "end_reason"),
        "How long sessions last.",
    ),
    MetricDoc(
        "pipecat.service.ttfb_seconds",
        Type.DISTRIBUTION,
        "seconds",
        _SERVICE,
        "Time to a service's first byte.",
    ),
    MetricDoc(
        "pipecat.llm.ttfat_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("provider", "model"),
        "Time to the first token of an answer.",
    ),
    MetricDoc(
        "pipecat.tts.ttfa_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("provider", "model"),
        "Time to the first audible audio.",
    ),
    MetricDoc(
        "pipecat.end_of_turn_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("strategy",),
        "From the end of speech to the ruling that the turn is over.",
    ),
    MetricDoc(
        "pipecat.tool.duration_seconds",
        Type.DISTRIBUTION,
        "seconds",
        ("tool", "outcome"),
        "How long tool calls take.",
    ),
    MetricDoc(
        "pipecat.sessions.started", Type.COUNT, "sessions", ("transport",), "Sessions begun."
    ),
    MetricDoc(
        "pipecat.sessions.ended",
        Type.COUNT,
        "sessions",
        ("transport", "end_reason", "bot_spoke"),
        "Sessions over. `bot_spoke` is `false` where the bot was never heard.",
    ),
    MetricDoc(
        "pipecat.turns",
        Type.COUNT,
        "turns",
        ("transport", "outcome", "began_by", "answered_within", "left_waiting"),
        "Turns over, by what came of them: `outcome:unanswered` and so on. `began_by` is "
        "`user` or `bot`. `answered_within` is "
        "`1s`, `2s`, `3s`, `5s`, `8s` or `later`. `left_waiting` is `true` where the user waited "
        "three seconds or more and no answer came, and `false` on their other turns.",
    ),
    MetricDoc("pipecat.interruptions", Type.COUNT, "turns", ("transport",), "Turns cut off."),
    MetricDoc(
        "pipecat.errors",
        Type.COUNT,
        "errors",
        ("stage", "category", "provider", "usable"),
        "Stages that failed. `usable:false` where a service can no longer do its job.",
    ),
    MetricDoc(
        "pipecat.failovers",
        Type.COUNT,
        "failovers",
        ("provider",),
        "Times a switcher turned to another service, since the one at work had failed; `provider` "
        "is the one turned to. Told with the turn's end.",
    ),
    MetricDoc(
        "pipecat.tokens",
        Type.COUNT,
        "tokens",
        ("provider", "model", "type"),
        "Tokens used, by `type`: `input`, `output`, `cache_read`, `cache_creation`, `reasoning`, "
        "`audio_input`, `audio_output`.",
    ),
    MetricDoc(
        "pipecat.characters",
        Type.COUNT,
        "characters",
        ("provider", "model"),
        "Characters synthesized.",
    ),
    MetricDoc(
        "pipecat.audio_seconds",
        Type.COUNT,
        "seconds",
        _SERVICE,
        "Audio transcribed (`stage:stt`) and synthesized (`stage:tts`).",
    ),
    MetricDoc("pipecat.participants.joined", Type.COUNT, "participants", ("transport",), "Joins."),
    MetricDoc(
        "pipecat.participants.left", Type.COUNT, "participants", ("transport",), "Departures."
    ),
    MetricDoc(
        "pipecat.sessions.active", Type.GAUGE, "sessions", (), "Sessions running in the process."
    ),
    MetricDoc(
        "pipecat.event_loop.lag_seconds",
        Type.DISTRIBUTION,
        "seconds",
        (),
        "How late the event loop got to what was due: what everything in the bot waits for.",
    ),
    MetricDoc(
        "pipecat.observer.shed",
        Type.COUNT,
        "events",
        (),
        "Events that the observer let go, since it was too far behind.",
    ),
    MetricDoc(
        "pipecat.observer.failures",
        Type.COUNT,
        "errors",
        ("part",),
        "Errors of this package's own, none of which reached the bot.",
    ),
    MetricDoc(
        "pipecat.observer.parts_off",
        Type.GAUGE,
        "parts",
        (),
        "Parts of this package that have turned themselves off.",
    ),
    MetricDoc("pipecat.logs.shipped", Type.COUNT, "lines", (), "Lines accepted by the log intake."),
    MetricDoc(
        "pipecat.logs.dropped",
        Type.COUNT,
        "lines",
        ("reason",),
        "Lines that could not be shipped.",
    ),
)


def tables() -> str:
    """Return the part of ``docs/metrics.md`` that is written from here."""
    rows = ["| metric | type | unit | tags | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in METRICS:
        tags = ", ".join(f"`{tag}`" for tag in metric.tags) or "none"
        cells = (f"`{metric.name}`", metric.type, metric.unit, tags, metric.meaning)
        rows.append(f"| {' | '.join(cells)} |")
    return "## Metrics\n\n" + "\n".join(rows) + "\n"
