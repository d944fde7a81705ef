"""Makes one JSON line of a Loguru record, which Datadog reads without a custom pipeline.

Saved queries depend on the fields (``@session_id:…``, ``@levelname:ERROR``,
``@participant.name:…``): fields may be added, but never renamed. Nothing here raises into the code
that logs: if a line cannot be made, a smaller line with the field ``logging_error`` is written.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd._pipecat import pipecat_version
from pipecat_dd.export import correlation
from pipecat_dd.export.correlation import NOTHING, Correlation
from pipecat_dd.export.logs import pipecat_lines
from pipecat_dd.export.logs.errors import error_fields
from pipecat_dd.export.logs.extra import Extra, ExtraSorter
from pipecat_dd.export.logs.field_roles import UNCUT
from pipecat_dd.export.logs.identity import id_fields, identity_fields, trace_and_span
from pipecat_dd.export.logs.levels import status_of
from pipecat_dd.export.logs.reported import ERROR, exception_of
from pipecat_dd.export.logs.sanitize import Sanitizer
from pipecat_dd.export.logs.size_limit import Json, limit_size
from pipecat_dd.export.logs.structured import FIRST, spread, summary
from pipecat_dd.export.redaction import Redactor, Secrecy
from pipecat_dd.export.secrets import REDACTED
from pipecat_dd.names import fields
from pipecat_dd.settings.table import MAX_LINE_BYTES

if TYPE_CHECKING:
    from loguru import Record

_MAX_NAME_CHARS: Final = 200
_REMEMBERED: Final = 2048
_SUMMARY_CHARS: Final = 200
"""The length of the message that is made of the fields of a line without a message."""
_MIN_SECRET_CHARS: Final = 4
"""Shorter texts may occur in a message by chance."""
_ASCII: Final = Json(ascii_only=True)
_PIPECAT_VERSION: Final = pipecat_version()
_BEGIN: Final = f'{{"{fields.TIMESTAMP}":"'
_MESSAGE: Final = f',"{fields.MESSAGE}":'


class _Depth(threading.local):
    """How many lines this thread is making: while a line is made, a value's repr may log."""

    lines = 0


_depth: Final = _Depth()


class LineMaker:
    """Makes the JSON text of records, for one set of options.

    Args:
        redactor: Redacts secrets and personal data.
        capture_content: Whether Pipecat's lines keep transcripts, prompts and tool arguments;
            None for the session's setting.
        max_message_chars: The most characters of a message; None for no limit but that of the
            line.
        sample_rate_of: Returns the share of a record's level that is kept, 0 to 1; None for a
            level that is not sampled.
        ascii_only: Whether to escape all characters beyond ASCII.
        max_line_bytes: The most bytes of a line, its end included.
    """

    def __init__(
        self,
        redactor: Redactor,
        *,
        capture_content: bool | None = None,
        max_message_chars: int | None = None,
        sample_rate_of: Callable[["Record"], float | None] | None = None,
        ascii_only: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.max_line_bytes = max_line_bytes
        self._redactor = redactor
        self._capture_content = capture_content
        self._max_message_chars = max_message_chars
        self._sample_rate_of = sample_rate_of
        self._json = Json(ascii_only=ascii_only)
        self._version = self._json.members({fields.PIPECAT_VERSION: _PIPECAT_VERSION})
        self._places: dict[tuple[Any, ...], str] = {}
        self._owners: dict[tuple[str | None, ...], str] = {}
        self._last: tuple[Correlation, str] = (NOTHING, "")
        self._sorter = ExtraSorter()

    def __call__(self, record: "Record") -> str:
        """Return a record's line, without a newline. Never raises, never recurses."""
        _depth.lines += 1
        try:
            if _depth.lines > 2:
                return self._smallest(record, NOTHING, "logged while a line was made")
            known = correlation.correlate() if _depth.lines == 1 else NOTHING
            try:
                return limit_size(self._line(record, known), self._json, UNCUT, self.max_line_bytes)
            except Exception as error:
                return self._smallest(record, known, type(error).__name__)
        finally:
            _depth.lines -= 1

    def message(
        self,
        record: "Record",
        known: Correlation,
        plain: Sanitizer,
        text: str | None,
        extra: Mapping[Any, Any],
    ) -> str:
        """Return a record's message, masked, redacted and cut to its limit.

        Args:
            record: The record.
            known: The ids of the code that logged.
            plain: Redacts the message.
            text: The record's message, as `spread` returns it.
            extra: The record's bound values, as `spread` returns them.
        """
        captured = self._capture_content
        is_captured = known.content_captured if captured is None else captured
        hidden = pipecat_lines.mask_pieces if is_captured else pipecat_lines.mask
        masked = hidden(record["name"] or "", text or "", record["file"])
        message = self._without_bound_secrets(masked, extra)
        if self._max_message_chars is None:
            return plain.text(message)
        return plain.text(message, limit=self._max_message_chars)

    def _without_bound_secrets(self, message: str, extra: Mapping[Any, Any]) -> str:
        """Return a message without bound values whose names are those of secrets.

        ``logger.info("logged in with {password}", password=…)`` also binds the password.
        """
        for name, value in (extra or {}).items():
            if (
                type(value) is str
                and len(value) >= _MIN_SECRET_CHARS
                and value in message
                and self._redactor.judge(str(name))[1] in (Secrecy.SECRET, Secrecy.TOKEN)
            ):
                message = message.replace(value, REDACTED)
        return message

    def _line(self, record: "Record", known: Correlation) -> str:
        """Return a record's line, of any length.

        It is joined from pieces of JSON. The pieces for the place in the program and for the
        session and span are cached, since they are the same in many lines.
        """
        plain = Sanitizer(self._redactor)
        text: str | None = record["message"]
        extra: Mapping[Any, Any] = record["extra"]
        if type(text) is not str or text[:1] in FIRST:
            text, extra = spread(record)
        bound = self._sorter.sort(extra)
        message = self.message(record, known, plain, text, extra)
        last = self._last
        if last[0] is known and not (bound.own or bound.ddtrace):
            owner = last[1]
        else:
            owner = self._owner(known, bound, plain) + self._ids(known, bound)
            if not (bound.own or bound.ddtrace):
                self._last = (known, owner)
        others = self._rest(record, bound, plain)
        if text is None:
            message = summary(others, _SUMMARY_CHARS)
        message = self._json.quote(message)
        rest = self._json.members(others)
        place = self._place(record)
        return f'{_BEGIN}{_timestamp(record)}",{place}{_MESSAGE}{message}{owner}{rest}}}'

    def _place(self, record: "Record") -> str:
        """Return the piece with the level and the place in the program."""
        level = record["level"]
        key = (level.name, level.no, record["name"], record["function"], record["line"])
        piece = self._places.get(key)
        if piece is None:
            where: dict[str, Any] = {
                fields.STATUS: status_of(level.name, level.no),
                fields.LEVELNAME: str(level.name),
            }
            if record["name"]:
                where[fields.NAME] = _short(record["name"])
            where[fields.FUNCTION] = _short(record["function"])
            where[fields.LINE] = int(record["line"])
            piece = self._json.members(where)[1:]
            _remember(self._places, key, piece)
        return piece

    def _owner(self, known: Correlation, bound: Extra, plain: Sanitizer) -> str:
        """Return the piece with session, participant and service."""
        if bound.own or bound.ddtrace:
            return self._json.members(identity_fields(known, bound, plain))
        key = (
            known.session_id,
            known.participant_id,
            known.participant_name,
            known.flow_node,
            known.service,
            known.env,
            known.version,
        )
        piece = self._owners.get(key)
        if piece is None:
            piece = self._json.members(identity_fields(known, bound, plain))
            _remember(self._owners, key, piece)
        return piece

    def _ids(self, known: Correlation, bound: Extra) -> str:
        """Return the piece with the ids of trace and span, and Pipecat's version."""
        trace_id, span_id = trace_and_span(known, bound)
        if trace_id is None:
            return self._version
        return self._json.members(id_fields(trace_id, span_id)) + self._version

    def _rest(self, record: "Record", bound: Extra, plain: Sanitizer) -> dict[str, Any]:
        """Return the fields that only some lines have: bound values, errors, marks."""
        made: dict[str, Any] = {}
        exception: Any = record["exception"]
        if exception is None and record["level"].no >= ERROR:
            exception = exception_of(record)
        if (exception is not None or bound.own) and (
            error := error_fields(exception, bound.own, plain)
        ):
            made[fields.ERROR] = error
        plain.add_all(made, bound.top)
        if bound.moved and (pair := plain.item(fields.EXTRA, bound.moved)) is not None:
            made[fields.EXTRA] = pair[1]
        if self._sample_rate_of is not None:
            rate = self._sample_rate_of(record)
            if rate is not None:
                made[fields.SAMPLE_RATE] = rate
        if plain.cut:
            made[fields.TRUNCATED] = True
        return made

    def _smallest(self, record: "Record", known: Correlation, reason: str) -> str:
        """Return a line of what is safe to read, after an error."""
        line: dict[str, Any] = {
            fields.LOGGING_ERROR: f"{reason} while this line was made",
            fields.PIPECAT_VERSION: _PIPECAT_VERSION,
        }
        for key, make in (
            (fields.TIMESTAMP, lambda: _timestamp(record)),
            (fields.STATUS, lambda: status_of(record["level"].name, record["level"].no)),
            (fields.LEVELNAME, lambda: str(record["level"].name)),
            (fields.NAME, lambda: _short(record["name"] or "")),
            (fields.FUNCTION, lambda: _short(record["function"])),
            (fields.LINE, lambda: int(record["line"])),
            (
                fields.MESSAGE,
                lambda: self.message(record, known, Sanitizer(self._redactor), *spread(record)),
            ),
        ):
            try:
                line[key] = make()
            except Exception:
                if key == fields.MESSAGE:  # redaction itself failed, so write nothing of it
                    line[key] = REDACTED
        try:
            line.update(identity_fields(known, Extra(), Sanitizer(self._redactor)))
            trace_id, span_id = trace_and_span(known, Extra())
            if trace_id is not None:
                line.update(id_fields(trace_id, span_id))
            return limit_size(_ASCII.text(line), _ASCII, UNCUT, self.max_line_bytes)
        except Exception:
            return _ASCII.text(
                {
                    fields.STATUS: "error",
                    fields.MESSAGE: "a line could not be made",
                    fields.PIPECAT_VERSION: _PIPECAT_VERSION,
                }
            )


_MILLISECONDS: Final = tuple(f".{ms:03d}Z" for ms in range(1000))


def _timestamp(record: "Record") -> str:
    # ISO 8601 in UTC: a time without a zone might be read as local time.
    time = record["time"]
    return _second(floor(time.timestamp())) + _MILLISECONDS[time.microsecond // 1000]


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    """Format seconds since the epoch as a time in UTC. Cached, since many lines share one."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _short(text: Any) -> str:
    return str(text)[:_MAX_NAME_CHARS]


def _remember(cache: dict[Any, str], key: Any, piece: str) -> None:
    if len(cache) >= _REMEMBERED:  # a program may generate names and ids without end
        cache.clear()
    cache[key] = piece
