"""Capturing what the sessions of a block would send and write."""

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
from pipecat_dd.names import fields, tags
from pipecat_dd.testing.diverting import diverted
from pipecat_dd.testing.seen import Line, SeenSession, SeenSpan


class Seen:
    """What was captured, so far or in all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[SeenSpan] = []
        self._lines: list[Line] = []

    @property
    def spans(self) -> list[SeenSpan]:
        """All spans that have finished, of sessions and others, in the order they finished."""
        with self._lock:
            return list(self._spans)

    @property
    def lines(self) -> list[Line]:
        """All lines, those that carry no session's id included, in the order of writing."""
        with self._lock:
            return list(self._lines)

    @property
    def session_ids(self) -> list[str]:
        """The ids of the sessions of which a span or a line was seen, the first seen first."""
        spans = (span.tags.get(tags.SESSION_ID) for span in self.spans)
        lines = (line.get(fields.SESSION_ID) for line in self.lines)
        return list(dict.fromkeys(str(id_) for id_ in (*lines, *spans) if id_))

    def session(self, session_id: str | None = None) -> SeenSession:
        """Return what has been seen of one session.

        A span is seen when it has finished, and the session's own when the session has ended:
        ask after the bot has run.

        Args:
            session_id: The session's id; may be left out where there is only one.

        Raises:
            LookupError: There is no such session, or, with no id given, none or several.
        """
        ids = self.session_ids
        if session_id is None:
            if len(ids) != 1:
                raise LookupError(f"{len(ids)} sessions were seen, name one of them: {ids}")
            session_id = ids[0]
        elif session_id not in ids:
            raise LookupError(f"no session {session_id!r} was seen; these were: {ids}")
        spans = self.spans
        # By trace, so that what integrations and the user opened in it belongs to it.
        traces = {s.trace_id for s in spans if s.tags.get(tags.SESSION_ID) == session_id}
        return SeenSession(
            session_id,
            [span for span in spans if span.trace_id in traces],
            [line for line in self.lines if line.get(fields.SESSION_ID) == session_id],
        )

    # Called as things happen

    def _take_span(self, span: SeenSpan) -> None:
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
) -> Iterator[Seen]:
    """Capture, for a block, the spans and lines of all sessions that run in it.

    Spans are not sent meanwhile. Lines are captured beside whatever else writes them, those of
    the standard library's ``logging`` included. Afterwards ddtrace, Loguru and ``logging`` are
    as they were.

    Args:
        level: The least severity of a line that is captured: a name or a number.
        redact: As `configure_logging` takes it: your own `Redactor` to test your own rules.
        capture_content: As `configure_logging` takes it. Whether spans hold content is for the
            observer to be told.

    Yields:
        What was seen; it grows while the block runs, and stays.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: There is no such level.
    """
    least = level_number(level, "level")
    redactor = redactor_of(redact)
    make = LineMaker(redactor, capture_content=capture_content)
    seen = Seen()
    before = put_in_force(redactor) if isinstance(redact, Redactor) else None
    with diverted(seen._take_span), intercepting(least):
        handler_id = logger.add(
            lambda message: seen._take_line(str(message)),
            level=least,
            **_options(make),
        )
        try:
            yield seen
        finally:
            if before is not None:
                put_in_force(before)
            with suppress(ValueError):  # the code under test has removed all handlers
                logger.remove(handler_id)


def _options(make: LineMaker) -> dict[str, Any]:
    # An error in here must fail the test, not be printed and forgotten.
    return {
        "format": json_format(make),
        "backtrace": False,
        "diagnose": False,
        "colorize": False,
        "catch": False,
    }
