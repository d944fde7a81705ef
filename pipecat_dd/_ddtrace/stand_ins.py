"""Stand-ins: what others nest in, and what user code is handed, before a span of ours is started.

ddtrace keeps back what has finished in a trace until all that was *started* in it has. A span
that is made but not started holds nothing back, and its children are what those of a started
span are: of its service, and no entry to it. What is set on it is carried over to the span that
is sent in its place.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ddtrace.constants import ERROR_MSG, ERROR_STACK, SPAN_KIND, VERSION_KEY
from ddtrace.ext import SpanKind

from pipecat_dd._ddtrace.busy import BUSY
from pipecat_dd._ddtrace.public import Context, Span
from pipecat_dd._ddtrace.settings import mapped_service, unified
from pipecat_dd._ddtrace.spans import with_those_above, writable
from pipecat_dd._forks import in_forked_processes
from pipecat_dd._private import peek

_ERROR_TEXTS = (ERROR_MSG, ERROR_STACK)

MAX_BEGUN = 256
"""How many spans beneath a stand-in are looked at, to know whether one is a client's."""

# Spans begin beneath one stand-in in several threads.
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread, which is not here any more, may have held it


in_forked_processes(_renew_lock)


class StandIn(Span):
    """Stands for a span until that is sent.

    Attributes:
        begun: Spans of others beneath it, and beneath no other stand-in, that go on or may be
            clients'; None where nothing depends on it.
        has_client: Whether one of those that have ended was a client's.
        owner: Whose it is: the same object for all stand-ins of one session.
        made_with: The resource, service and tags that it was made with.
        replayed: What was called on it that the span that is sent is to be called with.
    """

    __slots__ = ("begun", "has_client", "made_with", "owner", "replayed")

    begun: list[Span] | None
    has_client: bool
    owner: Any
    made_with: tuple[str, str | None, Mapping[str, str]]
    replayed: list[tuple[str, tuple[Any, ...], dict[str, Any]]] | None

    def set_link(self, *args: Any, **kwargs: Any) -> None:
        """Link another span, here and on the span that is sent."""
        super().set_link(*args, **kwargs)
        self._replay("set_link", args, kwargs)

    def _add_event(self, *args: Any, **kwargs: Any) -> None:
        super()._add_event(*args, **kwargs)
        self._replay("_add_event", args, kwargs)

    def _replay(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.replayed is None:
            self.replayed = []
        self.replayed.append((name, args, kwargs))


def stand_in(
    name: str,
    above: StandIn | Context,
    resource: str,
    start_ns: int,
    span_id: int,
    owner: object,
    *,
    parent_id: int | None = None,
    tags: Mapping[str, str] | None = None,
    may_call: bool = False,
) -> StandIn:
    """Return a span that others can be children of while it has not been started.

    Args:
        name: The name of the span it stands in for.
        above: The stand-in of that span's parent; for a trace's root a context of the trace.
        resource: Its resource.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: Its id.
        owner: Whose it is.
        parent_id: For a trace's root, the id of its remote parent, if it has one.
        tags: For a trace's root, the tags that it can be asked for, and ``version`` is added:
            ddtrace puts that on a span only if the root that it knows carries it.
        may_call: Whether it stands for a call of a provider: then spans that begin beneath it are
            noted, for `has_client`.
    """
    root = isinstance(above, Context)
    context = above if isinstance(above, Context) else above.context
    span = StandIn(
        name,
        service=mapped_service(),
        resource=writable(resource),
        trace_id=context.trace_id,
        span_id=span_id,
        parent_id=parent_id if root else above.span_id,
        context=context,
    )
    span.start_ns = start_ns
    span.owner = owner
    span.begun = [] if may_call else None
    span.has_client = False
    span.replayed = None
    made_with = tags or {}
    if root:
        version = unified()[2]
        if version is not None:
            made_with = {**made_with, VERSION_KEY: version}
        for key, value in made_with.items():
            span.set_tag(key, value)
    else:
        _hang(span, above)
    span.made_with = span.resource, span.service, made_with
    return span


def _hang(span: Any, above: Any) -> None:
    """Have a stand-in lead to the one above it, and so to the root of its trace."""
    try:
        inherit = peek(span, "_inherit_from_parent")
        if inherit is not None:
            inherit(above)
        else:  # before ddtrace 4.16, or whichever brought that
            span._parent = above
            span._local_root = above._local_root
    except Exception:
        return  # then it is a root of its own: what is set on that is on its own span


def root_of(span: Span) -> Span | None:
    """Return the root of what is here of a span's trace, as far as it is known."""
    found: Span | None = peek(span, "_local_root")
    return found


def retire(stand_in: StandIn) -> None:
    """Mark a stand-in as over, so that ddtrace no longer takes it to be active.

    Args:
        stand_in: The span, which was never started and so is not sent.
    """
    with BUSY:
        stand_in.finish()
    stand_in.begun = None


def note_begun(span: Span) -> None:
    """Note a span of others with the stand-in that it is beneath, for as long as that is open.

    What it is, a client's or not, an integration says after it has begun; so it is kept until
    it has finished as something else.

    Args:
        span: The span.
    """
    if isinstance(span, StandIn) or not isinstance(root_of(span), StandIn):
        return
    above = next((one for one in with_those_above(span) if isinstance(one, StandIn)), None)
    if above is None or above.begun is None or above.finished:
        return
    with _lock:
        begun = above.begun
        if begun is None or above.has_client or any(one is span for one in begun):
            return
        if len(begun) >= MAX_BEGUN:
            above.has_client = any(one.finished and _is_client(one) for one in begun)
            begun[:] = [one for one in begun if not one.finished][1 - MAX_BEGUN :]
        begun.append(span)


def has_client(stand_in: StandIn) -> bool:
    """Whether a client's span, an integration's most likely, has begun beneath a stand-in.

    Args:
        stand_in: The stand-in, which is open.
    """
    return stand_in.has_client or any(map(_is_client, list(stand_in.begun or ())))


def _is_client(span: Span) -> bool:
    return span.get_tag(SPAN_KIND) == SpanKind.CLIENT


def carry(
    stand_in: StandIn, span: Span, redact: Callable[[str], str], keep: Collection[str]
) -> None:
    """Carry what was set on a stand-in over to the span that is sent in its place.

    Args:
        stand_in: The stand-in.
        span: The span, with all that is ours on it.
        redact: Takes out of an error's text what must not leave.
        keep: Tags of ours that stay as they are.
    """
    resource, of_service, made_with = stand_in.made_with
    for name, value in stand_in.get_tags().items():
        if name in keep or made_with.get(name) == value:
            continue
        if name in _ERROR_TEXTS:
            value = redact(value)
        span.set_tag(writable(name), writable(value))
    for name, number in stand_in.get_metrics().items():
        if name not in keep:
            span.set_metric(writable(name), number)
    if stand_in.error:
        span.error = stand_in.error
    if stand_in.resource != resource:
        span.resource = writable(stand_in.resource)
    if stand_in.service != of_service:
        span.service = stand_in.service
    if stand_in.span_type and not span.span_type:
        span.span_type = stand_in.span_type
    for name, args, kwargs in stand_in.replayed or ():
        replayed = peek(span, name)
        if replayed is not None:
            replayed(*args, **kwargs)
