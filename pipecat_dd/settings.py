"""What can be set: by argument, else by environment variable, else by default."""

import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pipecat_dd import _ddtrace, _llmobs
from pipecat_dd.conversation.frames import FrameSpans
from pipecat_dd.export.spans.tree import TraceScope
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.tags import COMPONENT, PARTICIPANT_ID, SESSION_ID, SPAN_KIND
from pipecat_dd.variables import ENV_PREFIX, number, pairs, setting, switch

DEFAULT_NAME = "pipecat-bot"
DEFAULT_TURN_END_TIMEOUT_SECS = 2.5
DEFAULT_SLOW_FRAME_MS = 10.0
MAX_SESSION_ID_CHARS = 200
MIN_KEY_BYTES = 16

RESERVED_TAGS = frozenset({SESSION_ID, PARTICIPANT_ID, COMPONENT, SPAN_KIND, *UNIFIED})
"""Tags with a meaning of their own, which the user's may not take."""

_T = TypeVar("_T")
_C = TypeVar("_C", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a :class:`~pipecat_dd.DatadogObserver` goes by.

    Attributes:
        session_id: The session's id; None where it is to be found or made.
        name: The bot's name.
        tags: Tags on every span of the session.
        parent: A remote parent whose trace the session continues.
        capture_content: Whether content is sent.
        turn_end_timeout_secs: How long the bot must be quiet for a turn to be over.
        frame_spans: Which of a processor's visits get a span.
        slow_frame_ms: How long a visit takes for that to be notable, in milliseconds.
        trace_scope: What is one trace: the session, or each turn.
        transports: Transports that the pipeline does not lead to.
        participant_names: Whether participants' names are sent.
        phone_hash_key: The key for hashes of telephone numbers; None for no hashes.
        llmobs: Whether LLM Observability is told too; None where its own setting decides.
        metrics: Whether metrics are sent.
    """

    session_id: str | None
    name: str
    tags: dict[str, str]
    parent: _ddtrace.Context | None
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
    ) -> "Settings":
        """Check the arguments and fill in what the environment says.

        A variable that is wrong counts as not set (see :mod:`pipecat_dd.variables`).

        Raises:
            ValueError: An argument has a value that is not allowed.
            TypeError: An argument is of a type that is not allowed.
            ImportError: An argument asks for something whose extra is not installed.
        """
        return cls(
            session_id=setting("session_id", session_id, _session_id, None),
            name=setting("name", name, _name, _default_name()),
            tags=setting("tags", tags, _tags, {}),
            parent=_parent(parent),
            capture_content=setting("capture_content", capture_content, switch, False),
            turn_end_timeout_secs=setting(
                "turn_end_timeout_secs",
                turn_end_timeout_secs,
                _seconds,
                DEFAULT_TURN_END_TIMEOUT_SECS,
            ),
            frame_spans=setting("frame_spans", frame_spans, _frame_spans, FrameSpans.NOTABLE),
            slow_frame_ms=setting(
                "slow_frame_ms", slow_frame_ms, _milliseconds, DEFAULT_SLOW_FRAME_MS
            ),
            trace_scope=setting("trace_scope", trace_scope, _trace_scope, TraceScope.SESSION),
            transports=_transports(transport),
            participant_names=setting("participant_names", participant_names, switch, True),
            phone_hash_key=setting("phone_hash_key", phone_hash_key, _secret, None),
            llmobs=setting("llmobs", llmobs, _llm_observability, None),
            metrics=setting("metrics", metrics, _metrics, False),
        )


ARGUMENTS_ONLY = frozenset({"parent", "transport"})
"""What no environment variable can hold."""


def variables() -> frozenset[str]:
    """Return the names of all environment variables that settings are read from."""
    arguments = inspect.signature(Settings.read).parameters.keys() - ARGUMENTS_ONLY
    return frozenset(ENV_PREFIX + name.upper() for name in arguments)


def _default_name() -> str:
    try:
        return _ddtrace.service() or DEFAULT_NAME
    except Exception:
        return DEFAULT_NAME


def _session_id(name: str, value: Any, _: bool) -> str | None:
    text = _of_type(name, value, str, "a string").strip()
    if not text or len(text) > MAX_SESSION_ID_CHARS:
        raise ValueError(
            f"{name}={value!r}: must be 1 to {MAX_SESSION_ID_CHARS} characters, not only spaces"
        )
    return text


def _name(name: str, value: Any, _: bool) -> str:
    text = _of_type(name, value, str, "a string").strip()
    if not text or len(text) > 100:
        raise ValueError(f"{name}={value!r}: must be 1 to 100 characters, not only spaces")
    return text


def _tags(name: str, value: Any, from_environment: bool) -> dict[str, str]:
    if from_environment:
        value = pairs(name, value)
    tags = {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}={value!r}: must be a mapping of names to values")
    for key, tag in value.items():
        if not isinstance(key, str) or not key.strip() or len(key) > 200:
            raise ValueError(f"{name}: the tag {key!r} must be a string of 1 to 200 characters")
        if key in RESERVED_TAGS:
            raise ValueError(
                f"{name}: the tag {key!r} is reserved; choose a name other than "
                f"{', '.join(sorted(RESERVED_TAGS))}"
            )
        if not isinstance(tag, (str, int, float, bool)):
            raise TypeError(
                f"{name}: the tag {key!r} has the value {tag!r}; "
                "must be a string, a number or a truth value"
            )
        tags[key] = str(tag).lower() if isinstance(tag, bool) else str(tag)
    return tags


def _parent(value: object) -> _ddtrace.Context | None:
    if value is None:
        return None
    if not isinstance(value, _ddtrace.Context):
        raise TypeError(
            f"parent={value!r}: must be a ddtrace.trace.Context, as "
            "HTTPPropagator.extract(headers) returns it; a span of this process is linked "
            "by itself where it is active"
        )
    return value if value.trace_id and value.span_id else None


def _transports(value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    # Who only writes lines has no need of Pipecat.
    from pipecat_dd import _pipecat

    given = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for transport in given:
        if not _pipecat.is_transport(transport):
            raise TypeError(
                f"transport={value!r}: must be a transport of Pipecat's (a BaseTransport), or "
                "a list of them"
            )
    return given


def _secret(name: str, value: Any, _: bool) -> bytes | None:
    # A secret: what is wrong with it is said without saying it.
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{name}: must be a string or bytes, not {type(value).__name__}")
    key = value.encode() if isinstance(value, str) else value
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(
            f"{name}: must be at least {MIN_KEY_BYTES} bytes: there are few enough telephone "
            "numbers for all to be tried with a key that is guessed"
        )
    return key


def _llm_observability(name: str, value: Any, from_environment: bool) -> bool | None:
    is_on = switch(name, value, from_environment)
    if is_on and not _application_has_name():
        raise ValueError(
            f"{name}={value!r}: LLM Observability needs a name for the application: must be "
            "with DD_LLMOBS_ML_APP or DD_SERVICE set"
        )
    return is_on


def _application_has_name() -> bool:
    try:
        return _llmobs.has_name() or _llmobs.is_on()
    except Exception:
        return True  # not known to have none


def _metrics(name: str, value: Any, from_environment: bool) -> bool:
    is_on = switch(name, value, from_environment)
    if is_on and importlib.util.find_spec("datadog") is None:
        raise ImportError(
            f"{name}={value!r}: needs the datadog package; pip install 'pipecat-dd[metrics]'"
        )
    return is_on


def _seconds(name: str, value: Any, from_environment: bool) -> float:
    allowed = "must be a number of seconds above 0 and at most 3600"
    secs = number(name, value, from_environment, allowed)
    if not 0 < secs <= 3600:
        raise ValueError(f"{name}={value!r}: {allowed}")
    return secs


def _milliseconds(name: str, value: Any, from_environment: bool) -> float:
    allowed = "must be a number of milliseconds, 0 to 60000"
    millis = number(name, value, from_environment, allowed)
    if not 0 <= millis <= 60_000:
        raise ValueError(f"{name}={value!r}: {allowed}")
    return millis


def _frame_spans(name: str, value: Any, _: bool) -> FrameSpans:
    return _choice(name, value, FrameSpans)


def _trace_scope(name: str, value: Any, _: bool) -> TraceScope:
    return _choice(name, value, TraceScope)


def _choice(name: str, value: Any, kind: type[_C]) -> _C:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(repr(str(choice)) for choice in kind)
        raise ValueError(f"{name}={value!r}: must be one of {allowed}") from None


def _of_type(name: str, value: Any, kind: type[_T], allowed: str) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{name}={value!r}: must be {allowed}, not {type(value).__name__}")
    return value
