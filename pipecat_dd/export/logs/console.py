"""Coloured lines for people, for development."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd.export import correlation
from pipecat_dd.export.correlation import Correlation
from pipecat_dd.export.logs.errors import error_fields
from pipecat_dd.export.logs.extra import ExtraSorter
from pipecat_dd.export.logs.field_roles import FieldRole
from pipecat_dd.export.logs.identity import identity_fields, trace_and_span
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.reported import exception_of
from pipecat_dd.export.logs.sanitize import Sanitizer
from pipecat_dd.export.logs.structured import spread
from pipecat_dd.export.logs.template import KEY, format_function
from pipecat_dd.export.redaction import Redactor
from pipecat_dd.export.secrets import REDACTED
from pipecat_dd.names import fields

if TYPE_CHECKING:
    from loguru import Record

_TEMPLATE: Final = (
    "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <8}</level> "
    f"<magenta>{{{KEY}:identity}}</magenta>"
    f"<cyan>{{name}}:{{function}}:{{line}}</cyan> <level>{{{KEY}:message}}</level>"
    f"<dim>{{{KEY}:bound}}</dim>{{{KEY}:error}}"
)
_LAST_PART: Final = "error"
_SPAN_CHARS: Final = 6


class ConsoleMaker:
    """Makes the parts of a console line.

    Args:
        redactor: Redacts bound values and errors.
        lines: Makes the message as in JSON lines.
    """

    def __init__(self, redactor: Redactor, lines: LineMaker) -> None:
        self._redactor = redactor
        self._lines = lines
        self._sorter = ExtraSorter()

    def __call__(self, record: "Record") -> Mapping[str, str]:
        """Return a record's line in parts. Never raises."""
        try:
            return self._parts(record, correlation.correlate())
        except Exception as error:
            return {
                "identity": "",
                "message": REDACTED,
                "bound": f" ({type(error).__name__} while this line was made)",
                "error": "",
            }

    def _parts(self, record: "Record", known: Correlation) -> dict[str, str]:
        plain = Sanitizer(self._redactor)
        given = spread(record)
        bound = self._sorter.sort(given[1])
        exception = exception_of(record)
        error = error_fields(exception, bound.own, plain)
        values = dict(filter(None, (plain.item(*item) for item in bound.top.items())))
        values |= dict(filter(None, (plain.item(*item) for item in bound.moved.items())))
        trace_id, span_id = trace_and_span(known, bound)
        owner = identity_fields(known, bound, plain)
        person = owner.get(fields.PARTICIPANT, {})
        said = [
            owner.get(fields.SESSION_ID),
            person.get(fields.NAME_KEY) or person.get(fields.ID_KEY),
            f"…{span_id[-_SPAN_CHARS:]}" if trace_id and span_id else None,
        ]
        who = " ".join(str(part) for part in said if part)
        stack = error.get(fields.STACK_KEY)
        if stack is None and error and FieldRole.ERROR in bound.own:
            stack = json.dumps(error, ensure_ascii=False)
        return {
            "identity": f"[{who}] " if who else "",
            "message": self._lines.message(record, known, plain, *given),
            "bound": "".join(f" {name}={_shown(value)}" for name, value in values.items()),
            "error": f"\n{stack}" if stack else "",
        }


def console_format(
    console: ConsoleMaker, end: str, ship: Callable[["Record"], str] | None
) -> Callable[["Record"], str]:
    """Return a Loguru format function that writes console lines.

    Args:
        console: Makes the parts of a line.
        end: What follows each line: a newline, or nothing if the sink adds it.
        ship: Also called with each record, to ship its JSON line; None to ship none.
    """

    def make(record: "Record") -> Mapping[str, str]:
        if ship is not None:
            ship(record)
        return console(record)

    return format_function(make, _TEMPLATE + end, _LAST_PART)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
