"""Capturing what the sessions of a block would send and write."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from loguru import logger

from pipecat_dd.export.logs.arguments import redactor_of
from pipecat_dd.export.logs.configure import intercepting
from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.template import json_format
from pipecat_dd.export.redaction import Redactor, put_in_force
from pipecat_dd.names import fields, tags
from pipecat_dd.settings import table
from pipecat_dd.settings.checks import shown
from pipecat_dd.testing.diverting import diverted
from pipecat_dd.testing.seen import Line, SeenSession, SeenSpan


class Seen:
    """What `capture` has captured so far; after the block, all of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[SeenSpan] = []
        self._lines: list[Line] = []

    @property
    def spans(self) -> list[SeenSpan]:
        """All spans that have finished, also those of no session, in the order they finished."""
        with self._lock:
            return list(self._spans)

    @property
    def lines(self) -> list[Line]:
        """All log lines, also those without a session's id, in the order they were written."""
        with self._lock:
            return list(self._lines)

    @property
    def session_ids(self) -> list[str]:
        """The ids of the sessions that finished a span or wrote a line, in that order."""
        spans = (span.tags.get(tags.SESSION_ID) for span in self.spans)
        lines = (line.get(fields.SESSION_ID) for line in self.lines)
        return list(dict.fromkeys(str(id_) for id_ in (*lines, *spans) if id_))

    def session(self, session_id: str | None = None) -> SeenSession:
        """Return the spans and log lines of one session.

        Call it after the bot has run: a span is captured when it finishes, and the session's own
        span finishes when the session ends.

        Args:
            session_id: The session's id. None if there is only one session.

        Raises:
            LookupError: There is no such session, or, with no id given, none or several.
            TypeError: The id is not a string.
        """
        ids = self.session_ids
        if session_id is None:
            if len(ids) != 1:
                raise LookupError(
                    f"session_id=None: {len(ids)} sessions were seen, and it must be the id of one "
                    f"of them: {_listed(ids)}"
                )
            session_id = ids[0]
        elif not isinstance(session_id, str):
            raise TypeError(f"session_id={shown(session_id)}: must be a string or None")
        elif session_id not in ids:
            raise LookupError(
                f"session_id={shown(session_id, is_id=True)}: must be the id of a session that was "
                f"seen: {_listed(ids)}"
            )
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
    """Capture the spans and log lines of all sessions that run in a block.

    No span is sent from the block. Log lines are captured in addition to being written, also those
    of the standard library's ``logging``. After the block, ddtrace, Loguru and ``logging`` are as
    before.

    Args:
        level: The lowest severity that is captured: a name, or a number on Loguru's scale.
        redact: As in `configure_logging`; pass a `Redactor` to test your own rules.
        capture_content: Whether Pipecat's own lines keep transcripts, prompts and tool arguments,
            as in `configure_logging`. For spans, the observer's ``capture_content`` decides.

    Yields:
        What has been captured; it grows while the block runs.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such level.
    """
    least = level_number(level, "level")
    redactor = redactor_of(redact)
    make = LineMaker(redactor, capture_content=table.LINE_CONTENT.read(capture_content))
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


_MAX_LISTED: Final = 10


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _MAX_LISTED} more" if len(ids) > _MAX_LISTED else ""
    first = ", ".join(shown(one, is_id=True) for one in ids[:_MAX_LISTED])
    return (first + more) or "none was"


def _options(make: LineMaker) -> dict[str, Any]:
    # An error in here must fail the test, not be printed and forgotten.
    return {
        "format": json_format(make),
        "backtrace": False,
        "diagnose": False,
        "colorize": False,
        "catch": False,
    }
