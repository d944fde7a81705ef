"""Stand-ins: spans that user code gets, and under which others nest, before ours are started.

ddtrace holds back the finished spans of a trace until all spans *started* in it have finished. A
span that is created but not started holds nothing back, and its children are treated like those of
a started span: they have its service, and are no service entries. Whatever is set on a stand-in is
copied to the span that is sent in its place.
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
"""How many spans beneath a stand-in are kept, to find out whether one is a client span."""

# Spans begin beneath one stand-in in several threads.
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread, which is not here any more, may have held it


in_forked_processes(_renew_lock)


class StandIn(Span):
    """Stands for a span until that is sent.

    Attributes:
        begun: The spans directly beneath it (with no other stand-in between) that go on, or may be
            client spans; None if it stands for no call of a provider.
        had_client: Whether one of the spans that have ended was a client span.
        owner: The same object for all stand-ins of one session.
        made_with: The resource, service and tags with which it was created.
        replayed: The calls to repeat on the span that is sent; None if there are none.
    """

    __slots__ = ("begun", "had_client", "made_with", "owner", "replayed")

    begun: list[Span] | None
    had_client: bool
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
    """Return a span that can have children although it has not been started.

    Args:
        name: The name of the span that it stands for.
        above: The stand-in of the parent; for a trace's root, a context of the trace.
        resource: The span's resource.
        start_ns: When the span began, in nanoseconds since the epoch.
        span_id: The id reserved for the span.
        owner: The same object for all stand-ins of one session.
        parent_id: For a trace's root, the id of its remote parent; None if there is none.
        tags: For a trace's root, its tags. ``version`` is added, since ddtrace puts that on a
            span only if the trace's root carries it.
        may_call: Whether it stands for a call of a provider: then `has_client` needs the spans
            that begin beneath it.
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
    span.had_client = False
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
    """Connect a stand-in to the one above it, and thereby to the root of its trace."""
    try:
        inherit = peek(span, "_inherit_from_parent")
        if inherit is not None:
            inherit(above)
        else:  # in an older ddtrace (before about 4.16)
            span._parent = above
            span._local_root = above._local_root
    except Exception:
        return  # it is then its own root: what user code sets on the root is set on this span


def root_of(span: Span) -> Span | None:
    """Return the topmost span of a span's trace in this process; None if unknown."""
    found: Span | None = peek(span, "_local_root")
    return found


def retire(stand_in: StandIn) -> None:
    """Mark a stand-in as finished, so that ddtrace no longer regards it as active.

    It was never started, and so is not sent.
    """
    with BUSY:
        stand_in.finish()
    stand_in.begun = None


def note_begun(span: Span) -> None:
    """Record a span with the stand-in that it is beneath, while that is open.

    An integration marks a span as a client span only after starting it; so each span is kept until
    it has finished without that mark.
    """
    if isinstance(span, StandIn) or not isinstance(root_of(span), StandIn):
        return
    above = next((one for one in with_those_above(span) if isinstance(one, StandIn)), None)
    if above is None or above.begun is None or above.finished:
        return
    with _lock:
        begun = above.begun
        if begun is None or above.had_client or any(one is span for one in begun):
            return
        if len(begun) >= MAX_BEGUN:
            above.had_client = any(one.finished and _is_client(one) for one in begun)
            begun[:] = [one for one in begun if not one.finished][1 - MAX_BEGUN :]
        begun.append(span)


def has_client(stand_in: StandIn) -> bool:
    """Whether a client span, most likely an integration's, has begun beneath an open stand-in."""
    return stand_in.had_client or any(map(_is_client, list(stand_in.begun or ())))


def _is_client(span: Span) -> bool:
    return span.get_tag(SPAN_KIND) == SpanKind.CLIENT


def carry(
    stand_in: StandIn, span: Span, redact: Callable[[str], str], keep: Collection[str]
) -> None:
    """Copy what was set on a stand-in to the span that is sent in its place.

    Args:
        stand_in: The stand-in.
        span: The span, on which our own tags are set already.
        redact: Redacts the text of an error.
        keep: The names of tags that are not copied.
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
