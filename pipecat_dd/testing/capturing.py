"""Capture the spans and log lines of the sessions in a block."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from loguru import logger

from pipecat_dd.export.logs.arguments import redactor_of
from pipecat_dd.export.logs.configure import intercepting
from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.template import json_format
from pipecat_dd.export.redaction import Redactor, put_in_force
from pipecat_dd.testing.captured import CapturedSession, CapturedSpan, Line
from pipecat_dd.testing.span_capture import capture_spans


class Captured:
    """The spans and log lines that have been captured so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[CapturedSpan] = []
        self._lines: list[Line] = []

    @property
    def spans(self) -> list[CapturedSpan]:
        """All finished spans, also those outside of sessions, in the order they finished."""
        with self._lock:
            return list(self._spans)

    @property
    def lines(self) -> list[Line]:
        """All log lines, also those without a session id, in the order they were written."""
        with self._lock:
            return list(self._lines)

    @property
    def session_ids(self) -> list[str]:
        """The ids of all captured sessions."""
        spans = (span.tags.get("session_id") for span in self.spans)
        lines = (line.get("session_id") for line in self.lines)
        return list(dict.fromkeys(str(id_) for id_ in (*lines, *spans) if id_))

    def session(self, session_id: str | None = None) -> CapturedSession:
        """Return the spans and log lines of a session.

        Spans are captured when they finish, and the session's own span when the session ends, so
        call this after the bot has run.

        Args:
            session_id: The session's id; None if there is only one session.

        Raises:
            LookupError: The session was not captured, or no id was given and there is not exactly
                one session.
        """
        ids = self.session_ids
        if session_id is None:
            if len(ids) != 1:
                raise LookupError(f"{len(ids)} sessions were captured; pass the id of one: {ids}")
            session_id = ids[0]
        elif session_id not in ids:
            raise LookupError(f"session {session_id!r} was not captured; captured were: {ids}")
        spans = self.spans
        # Select by trace, so that spans of integrations and of the user are included.
        traces = {s.trace_id for s in spans if s.tags.get("session_id") == session_id}
        return CapturedSession(
            session_id,
            [span for span in spans if span.trace_id in traces],
            [line for line in self.lines if line.get("session_id") == session_id],
        )

    # Called for each span and line

    def _take_span(self, span: CapturedSpan) -> None:
        with self._lock:
            self._spans.append(span)

    def _take_line(self, text: str) -> None:
        line = json.loads(text)
        with self._lock:
            self._lines.append(line)


@contextmanager
def capture(
    *,
    level: str | int = "DEBUG",
    redact: bool | Redactor = True,
    capture_content: bool | None = None,
) -> Iterator[Captured]:
    """Capture the spans and log lines of all sessions that run in a block.

    Spans are captured instead of being sent. Log lines are captured in addition to other sinks,
    including those of the standard library's ``logging``. After the block, ddtrace, Loguru and
    ``logging`` are restored.

    Args:
        level: The minimum level of captured lines, by name or number.
        redact: The same as for `configure_logging`. Pass a `Redactor` to test your own rules.
        capture_content: The same as for `configure_logging`. It applies to log lines; for spans,
            pass it to the observer.

    Yields:
        The captured spans and lines. They are added while the block runs, and can be read during
        and after it.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The level does not exist.
    """
    least = level_number(level, "level")
    redactor = redactor_of(redact)
    make = LineMaker(redactor, capture_content=capture_content)
    captured = Captured()
    before = put_in_force(redactor) if isinstance(redact, Redactor) else None
    with capture_spans(captured._take_span), intercepting(least):
        handler_id = logger.add(
            lambda message: captured._take_line(str(message)),
            level=least,
            **_options(make),
        )
        try:
            yield captured
        finally:
            if before is not None:
                put_in_force(before)
            with suppress(ValueError):  # the code under test has removed all handlers
                logger.remove(handler_id)


def _options(make: LineMaker) -> dict[str, Any]:
    # An error here must fail the test instead of being printed and ignored (catch=False).
    return {
        "format": json_format(make),
        "backtrace": False,
        "diagnose": False,
        "colorize": False,
        "catch": False,
    }
