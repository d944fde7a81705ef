"""The settings of a :class:`~pipecat_dd.DatadogObserver`, read once when it is created."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipecat_dd.settings import table
from pipecat_dd.settings.choices import FrameSpans, TraceScope

if TYPE_CHECKING:
    from pipecat_dd._ddtrace import Context


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a :class:`~pipecat_dd.DatadogObserver`.

    :mod:`pipecat_dd.settings.table` describes each of them.

    Attributes:
        transports: The argument ``transport``, as a tuple.
    """

    session_id: str | None
    name: str
    tags: dict[str, str]
    parent: "Context | None"
    capture_content: bool
    turn_end_timeout_secs: float
    frame_spans: FrameSpans
    slow_frame_ms: float
    trace_scope: TraceScope
    transports: tuple[Any, ...]
    participant_names: bool
    phone_hash_key: bytes | None
    llmobs: bool | None
    metrics: bool
    blocked_ms: float

    @classmethod
    def read(
        cls,
        *,
        session_id: object = None,
        name: object = None,
        tags: object = None,
        parent: object = None,
        capture_content: object = None,
        turn_end_timeout_secs: object = None,
        frame_spans: object = None,
        slow_frame_ms: object = None,
        trace_scope: object = None,
        transport: object = None,
        participant_names: object = None,
        phone_hash_key: object = None,
        llmobs: object = None,
        metrics: object = None,
        blocked_ms: object = None,
    ) -> "Settings":
        """Check the arguments, and fill in the others from environment variables and defaults.

        An invalid variable counts as not set (see :mod:`pipecat_dd.settings.notes`).

        Raises:
            ValueError: An argument has an invalid value.
            TypeError: An argument has the wrong type.
            ImportError: An argument needs an extra that is not installed.
        """
        return cls(
            session_id=table.SESSION_ID.read(session_id),
            name=table.NAME.read(name, _service_name()),
            tags=dict(table.TAGS.read(tags)),
            parent=table.PARENT.read(parent),
            capture_content=table.CAPTURE_CONTENT.read(capture_content),
            turn_end_timeout_secs=table.TURN_END_TIMEOUT_SECS.read(turn_end_timeout_secs),
            frame_spans=table.FRAME_SPANS.read(frame_spans),
            slow_frame_ms=table.SLOW_FRAME_MS.read(slow_frame_ms),
            trace_scope=table.TRACE_SCOPE.read(trace_scope),
            transports=table.TRANSPORT.read(transport),
            participant_names=table.PARTICIPANT_NAMES.read(participant_names),
            phone_hash_key=table.PHONE_HASH_KEY.read(phone_hash_key),
            llmobs=table.LLMOBS.read(llmobs),
            metrics=table.METRICS.read(metrics),
            blocked_ms=table.BLOCKED_MS.read(blocked_ms),
        )


def _service_name() -> str | None:
    # Imported here: the table must be importable without ddtrace.
    from pipecat_dd import _ddtrace

    try:
        return _ddtrace.service() or None
    except Exception:
        return None
