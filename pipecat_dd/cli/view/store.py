"""The conversations that were received lately, within a bound.

A span belongs to the session that its tag names. Spans of ddtrace's own integrations have no such
tag: they belong to the session of the span around them, else to the only session of their trace.
Those that come before any span of their session wait a little. What belongs to no conversation is
not kept.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

from pipecat_dd.cli.view.call import Call, Summary
from pipecat_dd.cli.view.changes import Changes
from pipecat_dd.cli.view.payloads import RawSpan
from pipecat_dd.names import fields, tags

DEFAULT_MAX_BYTES: Final = 256 * 2**20
QUIET_SECS: Final = 15 * 60.0
"""A conversation of which nothing was received for so long does not go on any more."""
_MAX_CALLS: Final = 10_000
_MAX_WAITING: Final = 2_000
_MAX_WAITING_CHARS: Final = 16 * 2**20
_WAITS_SECS: Final = 60.0
_MAX_ID_CHARS: Final = 200
_SHARE_FORGOTTEN: Final = 0.1
_LOW_64: Final = 2**64 - 1


class Store:
    """Conversations, from what is received of them.

    Args:
        max_bytes: About how much memory they may take.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        max_bytes: int = DEFAULT_MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changes = Changes()
        self._max_bytes = max_bytes
        self._clock = clock
        self._calls: OrderedDict[str, Call] = OrderedDict()
        """By session id; the one that something came of last is the last."""
        self._size = 0
        self._by_trace: dict[int, list[str]] = {}
        self._waiting: OrderedDict[int, tuple[float, list[RawSpan]]] = OrderedDict()
        self._waiting_count = self._waiting_chars = 0

    # What comes in

    def add_spans(self, spans: Iterable[RawSpan]) -> None:
        """Take spans in."""
        given = list(spans)
        of_session: dict[str, list[RawSpan]] = {}
        others: list[RawSpan] = []
        for span in given:
            session_id = span.meta.get(tags.SESSION_ID, "")[:_MAX_ID_CHARS]
            if session_id:
                of_session.setdefault(session_id, []).append(span)
                trace_id = span.trace_id & _LOW_64
                known = self._by_trace.setdefault(trace_id, [])
                if session_id not in known:
                    known.append(session_id)
                    self._call(session_id).trace_ids.add(trace_id)
            else:
                others.append(span)
        for trace_id in {span.trace_id & _LOW_64 for span in given}:
            if trace_id in self._waiting and trace_id in self._by_trace:
                _, waited = self._waiting.pop(trace_id)
                self._no_longer_wait(waited)
                others += waited
        owners = {
            span.span_id: session_id for session_id, own in of_session.items() for span in own
        }
        for span in others:
            owner = self._owner(span, owners)
            if owner is None:
                self._wait(span)
            else:
                owners[span.span_id] = owner
                of_session.setdefault(owner, []).append(span)
        for session_id, own in of_session.items():
            call = self._call(session_id)
            before = call.size
            for item in call.add_spans(own):
                self.changes.add("spans", session_id, item)
            self._changed(call, before)

    def _owner(self, span: RawSpan, owners: dict[int, str]) -> str | None:
        """Return the session of a span that does not name it."""
        if span.parent_id in owners:
            return owners[span.parent_id]
        known = self._by_trace.get(span.trace_id & _LOW_64, ())
        if len(known) == 1:
            return known[0]
        parent = str(span.parent_id)
        return next((one for one in known if parent in self._calls[one].span_ids), None)

    def _wait(self, span: RawSpan) -> None:
        now = self._clock()
        key = span.trace_id & _LOW_64
        self._waiting.setdefault(key, (now, []))[1].append(span)
        self._waiting_count += 1
        self._waiting_chars += _chars(span)
        while self._waiting:
            since, first = next(iter(self._waiting.values()))
            is_within = (
                self._waiting_count <= _MAX_WAITING and self._waiting_chars <= _MAX_WAITING_CHARS
            )
            if is_within and now - since <= _WAITS_SECS:
                break
            self._waiting.popitem(last=False)
            self._no_longer_wait(first)

    def _no_longer_wait(self, spans: list[RawSpan]) -> None:
        self._waiting_count -= len(spans)
        self._waiting_chars -= sum(map(_chars, spans))

    def add_lines(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines in. Those of no session are left out."""
        for line in lines:
            session_id = self._session_of(line)
            if session_id is None:
                continue
            call = self._call(session_id)
            before = call.size
            try:
                item = call.add_line(line)
            except RecursionError:  # nested too deep
                continue
            self.changes.add("lines", session_id, item)
            self._changed(call, before)

    def _session_of(self, line: dict[str, Any]) -> str | None:
        session_id = line.get(fields.SESSION_ID)
        if isinstance(session_id, str) and session_id:
            return session_id[:_MAX_ID_CHARS]
        trace_id = line.get(fields.DD_TRACE_ID)
        if not isinstance(trace_id, str) or not 0 < len(trace_id) <= 40:
            return None
        try:
            known = self._by_trace.get(int(trace_id, 16) & _LOW_64, ())
        except ValueError:
            return None
        return known[0] if len(known) == 1 else None

    def end_all(self) -> None:
        """Record that no conversation goes on any more: the bot's process has ended."""
        for call in self._calls.values():
            if call.is_live:
                call.is_over = True
                self.changes.add("sessions", call.id)

    def end_quiet(self) -> None:
        """Record that conversations of which nothing comes any more do not go on."""
        now = self._clock()
        for call in self._calls.values():
            if call.is_live and now - call.heard_at > QUIET_SECS:
                call.is_over = True
                self.changes.add("sessions", call.id)

    # What goes out

    def summaries(self) -> list[Summary]:
        """Return what each conversation adds up to, the one that changed last first."""
        return [call.summary() for call in reversed(self._calls.values())]

    def summary(self, session_id: str) -> Summary | None:
        """Return what a conversation adds up to; None if it is not there."""
        call = self._calls.get(session_id)
        return None if call is None else call.summary()

    def call_json(self, session_id: str) -> bytes | None:
        """Return all of a conversation as JSON; None if it is not there."""
        call = self._calls.get(session_id)
        return None if call is None else call.json(self.changes.number)

    @property
    def size(self) -> int:
        """About how many bytes of memory the conversations take."""
        return self._size

    # The bound

    def _call(self, session_id: str) -> Call:
        call = self._calls.get(session_id)
        if call is None:
            call = self._calls[session_id] = Call(session_id)
        return call

    def _changed(self, call: Call, size_before: int) -> None:
        call.heard_at = self._clock()
        call.is_over = False
        self._size += call.size - size_before
        self._calls.move_to_end(call.id)
        self._keep_within_bound(call)

    def _keep_within_bound(self, changed: Call) -> None:
        while len(self._calls) > 1 and (
            self._size > self._max_bytes or len(self._calls) > _MAX_CALLS
        ):
            # Those that have ended go first, and of each the one that is quiet for longest.
            others = [call for call in self._calls.values() if call is not changed]
            self._drop(next((call for call in others if not call.is_live), others[0]))
        if self._size > self._max_bytes:
            before = changed.size
            changed.forget(int(self._size - self._max_bytes * (1 - _SHARE_FORGOTTEN)))
            self._size += changed.size - before

    def _drop(self, call: Call) -> None:
        del self._calls[call.id]
        self._size -= call.size
        for trace_id in call.trace_ids:
            known = self._by_trace.get(trace_id, [])
            if call.id in known:
                known.remove(call.id)
            if not known:
                self._by_trace.pop(trace_id, None)
        self.changes.add("gone", call.id)


def _chars(span: RawSpan) -> int:
    return sum(len(name) + len(value) for name, value in span.meta.items())
