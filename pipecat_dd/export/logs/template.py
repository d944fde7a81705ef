"""Passes a finished line to Loguru.

Loguru formats what a format function returns as a *template* with the record. So a line cannot
simply be returned: its braces and ``<tags>`` would be read as markup. Escaping them would work,
but Loguru would parse every line as a new template. Instead, the line is put into the record, and
a constant template refers to it. When Loguru has read the line, it is removed from the record, so
that no other sink (``serialize=True``, a function that dumps the record, a queue that pickles it)
gets it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd._loguru import mark

if TYPE_CHECKING:
    from loguru import Record

KEY: Final = "pipecat_dd_line"
"""The key of the line in the record (not in its ``extra``)."""

_LINE: Final = "{" + KEY + ":line}"


class _Pending:
    """The parts of a line, in the record until the last of them is read."""

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
        # A line written with opt(raw=True) uses no template, so this is still in the record when
        # it is queued: it is pickled as an empty string.
        return (str, ("",))


class _Line(_Pending):
    """A line of one part."""

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
    """Return a Loguru format function that writes the parts that ``make`` returns, unchanged.

    Args:
        make: Returns the parts of a record's line by their names. It must not raise.
        template: A template of Loguru's that refers to the parts as
            ``{pipecat_dd_line:<part>}``. It must not refer to ``{exception}``: Loguru's rendering
            of it is not redacted.
        last: The name of the last part in the template.
    """

    def format_record(record: "Record") -> str:
        slots: dict[str, Any] = record  # type: ignore[assignment]
        slots[KEY] = _Pending(make(record), last, slots)
        return template

    # The mark identifies our handlers when a sink fails.
    return mark(format_record)


def json_format(make: Callable[["Record"], str], end: str = "\n") -> Callable[["Record"], str]:
    """Return a Loguru format function whose lines are what ``make`` returns, and ``end``."""
    template = _LINE + end

    def format_record(record: "Record") -> str:
        slots: dict[str, Any] = record  # type: ignore[assignment]
        slots[KEY] = _Line(make(record), slots)
        return template

    return mark(format_record)
