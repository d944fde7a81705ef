"""Handing a finished line to Loguru.

Loguru takes what a format function returns for a *template* and formats it once more with the
record, so a line cannot simply be returned: its braces and ``<tags>`` would be read as markup.
Escaping them would be right but would have Loguru parse every line anew. The line is instead
left in the record as a slip, and the template, always the same one, names it. The slip takes
itself out of the record when Loguru has read it, so that no other sink (``serialize=True``, a
callable that dumps the record, a queue that pickles it) ever meets it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd._loguru import mark

if TYPE_CHECKING:
    from loguru import Record

KEY: Final = "pipecat_dd_line"
"""Where in the record (not in its ``extra``) the slip lies between two calls of Loguru's."""

_LINE: Final = "{" + KEY + ":line}"


class _Pending:
    """Parts of a line, until the last of them is read."""

    __slots__ = ("_last", "_parts", "_record")

    def __init__(self, parts: Mapping[str, str], last: str, record: dict[str, Any]) -> None:
        self._parts = parts
        self._last = last
        self._record = record

    def __format__(self, part: str) -> str:
        if part == self._last:
            self._record.pop(KEY, None)
        return self._parts[part]

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # Only a line written with opt(raw=True), which reads no template, has its slip still
        # when it is queued: leave nothing of it but a string.
        return (str, ("",))


class _Line(_Pending):
    """A line that has but one part."""

    __slots__ = ("_line",)

    def __init__(self, line: str, record: dict[str, Any]) -> None:
        self._line = line
        self._record = record

    def __format__(self, part: str) -> str:
        self._record.pop(KEY, None)
        return self._line


def format_function(
    make: Callable[["Record"], Mapping[str, str]], template: str, last: str
) -> Callable[["Record"], str]:
    """Return a Loguru format function that writes what ``make`` returns, to the letter.

    Args:
        make: Returns the parts of a record's line by name. Must not raise.
        template: Loguru's template, always the same, that names the parts as
            ``{pipecat_dd_line:<part>}``. Not ``{exception}``: Loguru's own rendering of it
            is not redacted.
        last: The part that the template names last.
    """

    def format_record(record: "Record") -> str:
        slots: dict[str, Any] = record  # type: ignore[assignment]
        slots[KEY] = _Pending(make(record), last, slots)
        return template

    # By which a handler whose sink fails is known as one of ours.
    return mark(format_record)


def json_format(make: Callable[["Record"], str], end: str = "\n") -> Callable[["Record"], str]:
    """Return a Loguru format function whose lines are what ``make`` returns, and ``end``."""
    template = _LINE + end

    def format_record(record: "Record") -> str:
        slots: dict[str, Any] = record  # type: ignore[assignment]
        slots[KEY] = _Line(make(record), slots)
        return template

    return mark(format_record)
