"""Processes the other spans in a session's traces, just before ddtrace sends them.

These are the spans of the user's code and of integrations, which nest under our stages. They get
the session's id and tags, so that a search for the session finds them. A cancellation is no longer
marked as an error, and the content of Pipecat's own tracing obeys ``capture_content``.

Spans of a session that sampling rejects wait for the end of their turn: if the user keeps the
turn in the middle (``manual.keep``), all of it is kept, from its beginning.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping

from pipecat_dd import _ddtrace, _guard
from pipecat_dd._ddtrace import Context, Span, StandIn
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.redaction import InForce
from pipecat_dd.export.spans.beside import (
    hold_content,
    hold_strays,
    is_pipecats,
    say_that_it_runs,
)
from pipecat_dd.names.spans import Kind, span_name
from pipecat_dd.names.tags import COMPONENT, ERROR_TYPE, INTERRUPTED

MAX_ASKED = 10_000
"""How many of a session's spans that have others nested under them are remembered."""

MAX_HELD = 300
"""How many spans of a rejected session wait at most, in each trace: as many as ddtrace itself
keeps."""

ENDS = frozenset({span_name(Kind.TURN), span_name(Kind.SESSION)})
"""When one of these spans finishes, the waiting spans of a rejected session are sent."""

CANCELLED = frozenset(
    {"asyncio.exceptions.CancelledError", "concurrent.futures._base.CancelledError"}
)


class Owner:
    """Describes a session for the other spans in its traces: the user's and integrations'.

    Those spans may outlive the session and keep this object alive; it must not refer to the
    session.

    Attributes:
        context: A context of the session's trace, with the sampling decision.
        is_over: Whether the session has ended.
        shared: Set if several sessions share a trace; their owners keep this object alive.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "_captures",
        "_held",
        "_is_alone",
        "_over",
        "_redactor",
        "_tags",
        "context",
        "is_over",
        "shared",
    )

    def __init__(
        self,
        context: Context,
        tags: Mapping[str, str],
        *,
        captures: bool,
        is_alone: bool,
        redactor: InForce,
    ) -> None:
        """Describe a session.

        Args:
            context: A context of its trace, with the sampling decision.
            tags: The tags of all its spans, including ``session_id``.
            captures: Whether content may be sent.
            is_alone: Whether its traces begin with it, so that all spans in them are its own.
            redactor: The rules of redaction.
        """
        self.context = context
        self.is_over = False
        self.shared: _Shared | None = None
        self._tags = {name: value for name, value in tags.items() if name != COMPONENT}
        self._captures = captures
        self._is_alone = is_alone
        self._redactor = redactor
        self._asked: OrderedDict[int, None] = OrderedDict()
        self._held: dict[int, list[Span]] = {}
        self._over: set[int] = set()

    def nests(self, span_id: int) -> None:
        """Remember a span under which others may have nested."""
        self._asked[span_id] = None
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)

    def has_nested(self, span_id: int | None) -> bool:
        """Whether other spans may have nested under this one."""
        return span_id in self._asked

    def owns(self, span: Span) -> bool:
        """Whether a span in one of the session's traces is beneath a stage of the session."""
        return self._is_alone or span.parent_id in self._asked

    def claim(self, span: Span) -> None:
        """Put the session's tags on another span, and correct its errors and content.

        Args:
            span: A finished span.
        """
        if not self._is_alone:
            self.nests(span.span_id)
        for name, value in self._tags.items():
            if span.get_tag(name) is None and span.get_metric(name) is None:
                span.set_tag(name, value)
        if span.error and span.get_tag(ERROR_TYPE) in CANCELLED:
            _ddtrace.clear_error(span)
            span.set_tag(INTERRUPTED, "true")
        if not isinstance(_ddtrace.root_of(span), StandIn):
            # It began beneath a bare context, which may lack later sampling decisions.
            _ddtrace.agree(span.context, self.context)
        if is_pipecats(span):
            say_that_it_runs()
            hold_content(span, self._redactor if self._captures else None)

    def admits(self, trace_id: int, spans: list[Span]) -> list[Span]:
        """Return the spans to send now, including those that waited; keep the others waiting.

        Args:
            trace_id: The id of their trace.
            spans: The spans that have finished in it.
        """
        held = self._held.pop(trace_id, None)
        if held is not None:
            spans = [*held, *spans]
        priority = self.context.sampling_priority
        if priority is None or priority > 0 or self.is_over or trace_id in self._over:
            return spans
        if any(span.name in ENDS and _is_ours(span) for span in spans):
            if trace_id != self.context.trace_id:  # a turn's own trace, which this ends
                self._over.add(trace_id)
            return spans
        if len(spans) < MAX_HELD:
            self._held[trace_id] = spans
            spans = []
        return spans


class _Shared:
    """Marks a trace of several sessions, where only a span's root shows to which it belongs."""


_owners: "weakref.WeakValueDictionary[int, Owner | _Shared]" = weakref.WeakValueDictionary()
# Reentrant: a signal handler may end a session in the very thread that holds the lock.
_lock = threading.RLock()


@in_forked_processes
def _renew() -> None:
    global _lock
    _lock = threading.RLock()
    _owners.clear()


def own(trace_id: int, owner: Owner) -> None:
    """Register a session's owner for one of its traces."""
    with _lock:
        before = _owners.get(trace_id)
        if isinstance(before, Owner) and before is not owner:
            before.shared = owner.shared = _Shared()
        elif isinstance(before, _Shared):
            owner.shared = before
        _owners[trace_id] = owner if owner.shared is None else owner.shared


def send_finished() -> None:
    """Send, at the process's end, the finished spans of all sessions' traces."""
    with _guard.spans.guarded():
        _ddtrace.send_finished(list(_owners.keys()))


def pass_by(spans: list[Span]) -> list[Span]:
    """Process the spans of one trace that are about to be sent.

    Args:
        spans: Finished spans, at least one.

    Returns:
        The spans to send now.
    """
    trace_id = spans[0].trace_id
    found = _owners.get(trace_id)
    if found is None and not isinstance(_ddtrace.root_of(spans[0]), StandIn):
        hold_strays(spans)
        return spans
    of_trace = found if isinstance(found, Owner) else None
    for span in spans:
        if not _is_ours(span):
            with _guard.spans.guarded():
                owner = _owner_of(span, of_trace)
                if owner is None:
                    hold_strays([span])
                else:
                    owner.claim(span)
    if of_trace is None:
        return spans
    spans = of_trace.admits(trace_id, spans)
    if spans:
        # ddtrace applies the sampling decision of the first span to all of them.
        _ddtrace.agree(spans[0].context, of_trace.context)
    return spans


def _owner_of(span: Span, of_trace: Owner | None) -> Owner | None:
    root = _ddtrace.root_of(span)
    if isinstance(root, StandIn):
        found = root.owner
        return found if isinstance(found, Owner) else None
    return of_trace if of_trace is not None and of_trace.owns(span) else None


def _is_ours(span: Span) -> bool:
    return span.get_tag(COMPONENT) == "pipecat"
