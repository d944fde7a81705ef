"""Messages that are mappings: their members are fields of the line, not the text of a dict.

structlog hands an event over to ``logging`` as a mapping, or as the JSON text of one; users of
python-json-logger, and of Loguru, log a dict themselves. Each member then counts as a value that
was bound. One of them, where there is one, is the line's text.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipecat_dd import _loguru
from pipecat_dd.export.logs import pipecat_lines
from pipecat_dd.names import fields

if TYPE_CHECKING:
    from logging import LogRecord

    from loguru import Record

_TEXTS: Final = ("message", "msg", "event")
_TEXTS_OF_STRUCTLOG: Final = ("event", "message", "msg")
_STRUCTLOGS: Final = frozenset({"_logger", "_name", "_record", "_from_structlog"})
"""What structlog puts beside the values for its own formatter."""
_BEGINNINGS: Final = ("{", "OrderedDict(", "defaultdict(", "Counter(", "mappingproxy(", "ChainMap(")
"""How the texts of the usual mappings begin."""
FIRST: Final = frozenset(beginning[0] for beginning in _BEGINNINGS)
"""Their first characters: most lines begin with none of these, and each line is asked."""
_MAX_JSON_CHARS: Final = 100_000
_MAX_FRAMES: Final = 40
_NAMED: Final = re.compile(r"%\(([^)]{1,200})\)")
_LAST_OF_TRACEBACK: Final = re.compile(r"([\w.]+)(?:: (.*))?", re.DOTALL)


class NoText(str):
    """The text of a mapping that has no message: its members stand beside it, as values."""

    __slots__ = ()


class Structured(NamedTuple):
    """What a mapping says.

    Attributes:
        text: Its message; None where it has none.
        values: What counts as bound.
        exc_info: The exception that it names: what ``logging`` takes as ``exc_info``.
    """

    text: str | None
    values: dict[Any, Any]
    exc_info: Any = None


def of_record(record: "LogRecord") -> Structured | None:
    """Return what a record of ``logging`` says, whose message is a mapping; else None.

    Args:
        record: The record.
    """
    message: Any = record.msg
    if isinstance(message, str):
        given = _rendered_by_structlog(message)
        return None if given is None else _of_structlog(given)
    if not isinstance(message, Mapping):
        return None
    try:
        given = dict(message)
    except Exception:  # a mapping of somebody's own: then its text has to do
        return None
    if _is_masked(record.name, readable(message)):
        return None
    if "_logger" in record.__dict__:
        return _of_structlog(given)
    return _with_exception(_of(given, _TEXTS))


def named_values(record: "LogRecord") -> dict[str, Any]:
    """Return the values that a record's message names: ``logger.info("%(a)s", {"a": 1})``.

    Not the others that it was given: they may be anything, and are not written without us.

    Args:
        record: A record of ``logging``.
    """
    args, message = record.args, record.msg
    if not isinstance(args, Mapping) or type(message) is not str:
        return {}
    return {name: args[name] for name in _NAMED.findall(message) if name in args}


def is_structlogs(key: str) -> bool:
    """Tell whether structlog put this on a record for its own formatter.

    Args:
        key: The name of the record's attribute.
    """
    return key in _STRUCTLOGS


def spread(record: "Record") -> tuple[str | None, Mapping[Any, Any]]:
    """Return a Loguru record's message and bound values; a mapping's members are among these.

    Asked from within Loguru's call of a format function.

    Args:
        record: The record.

    Returns:
        The message, None where it is a mapping without one, and the values.
    """
    message: Any = record["message"]
    extra: Mapping[Any, Any] = record["extra"]
    if type(message) is not str:
        return (None, extra) if type(message) is NoText else (str(message), extra)
    if not message.startswith(_BEGINNINGS):
        return message, extra
    given = _loguru.message_given()
    # A patcher's word for it stands.
    if not isinstance(given, Mapping) or str(given) != message:
        return message, extra
    if _is_masked(record["name"] or "", message):
        return message, extra
    found = _of(dict(given), _TEXTS)
    return found.text, {**extra, **found.values}


def readable(value: object, text_of: Callable[[object], str] = str) -> str:
    """Return the text of a value, or what stands for it where its own code fails.

    Args:
        value: The value.
        text_of: Makes it: ``str`` or ``repr``.
    """
    try:
        return text_of(value)
    except Exception:
        return f"<unreadable {type(value).__name__}>"


def summary(values: Mapping[str, Any], chars: int) -> str:
    """Return a text for a mapping that has none, so that a list of lines can be read.

    Args:
        values: The line's fields, redacted.
        chars: The most characters that it may have.
    """
    text = " ".join(
        f"{name}={value}"
        for name, value in values.items()
        if isinstance(value, (str, int, float)) and "\n" not in str(value)
    )
    return text if len(text) <= chars else text[:chars] + "…"


def _of(given: dict[Any, Any], texts: tuple[str, ...]) -> Structured:
    text = None
    for name in texts:
        value = given.get(name)
        if isinstance(value, (str, int, float, BaseException)):
            text = readable(value)
            # Where nothing else is the text, "event" is that and a field: people search by it.
            if name != "event" or texts is _TEXTS_OF_STRUCTLOG:
                del given[name]
            break
    return Structured(text, given)


def _with_exception(found: Structured) -> Structured:
    """Return the same with the exception that is named among the values, as in ``logging``."""
    exc_info = found.values.get("exc_info")
    if exc_info is True:
        exc_info = sys.exc_info()
    is_triple = isinstance(exc_info, tuple) and len(exc_info) == 3
    if not is_triple and not isinstance(exc_info, BaseException):
        return found
    del found.values["exc_info"]
    return Structured(found.text, found.values, exc_info)


def _is_masked(name: str, text: str) -> bool:
    """Tell whether a line is one whose content is masked in its text: it has to stay text."""
    return name.startswith("pipecat.") or pipecat_lines.mask(name, text) != text


def _of_structlog(given: dict[Any, Any]) -> Structured:
    for name in _STRUCTLOGS & given.keys():
        del given[name]
    if "error" not in given and (error := _error_of(given.get("exception"))) is not None:
        del given["exception"]
        given["error"] = error
    return _with_exception(_of(given, _TEXTS_OF_STRUCTLOG))


def _rendered_by_structlog(message: str) -> dict[Any, Any] | None:
    """Return the values of a message that structlog has made JSON text of."""
    if message[:1] != "{" or message[-1:] != "}" or "structlog" not in sys.modules:
        return None
    if len(message) > _MAX_JSON_CHARS or not _is_below_structlog():
        return None
    try:
        given = json.loads(message)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def _is_below_structlog() -> bool:
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return False
        if str(frame.f_globals.get("__name__", "")).startswith("structlog."):
            return True
        frame = frame.f_back
    return False


def _error_of(exception: Any) -> dict[str, str] | None:
    """Return a line's ``error`` for what structlog has made of an exception.

    That is the text of its traceback, or a list of what is in it. The list may hold the values of
    local variables, which are what a caller said: they are left out.
    """
    if isinstance(exception, str):
        last = _LAST_OF_TRACEBACK.fullmatch(exception.rstrip().rpartition("\n")[2])
        if last is None:
            return {fields.STACK_KEY: exception}
        kind, message = last.groups()
        kind = kind.rpartition(".")[2]
        return {
            fields.KIND_KEY: kind,
            fields.MESSAGE_KEY: message or "",
            fields.STACK_KEY: exception,
        }
    if not isinstance(exception, (list, tuple)) or not exception:
        return None
    try:
        first = exception[0]
        stacks = [_stack_of(one) for one in reversed(exception)]
        kind, message = str(first["exc_type"]), str(first["exc_value"])
    except Exception:  # somebody else's list
        return None
    return {
        fields.KIND_KEY: kind,
        fields.MESSAGE_KEY: message,
        fields.STACK_KEY: "\n\n".join(stacks),
    }


def _stack_of(one: Mapping[str, Any]) -> str:
    lines = ["Traceback (most recent call last):"]
    for frame in one["frames"]:
        lines.append(f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}')
        if frame.get("line"):
            lines.append(f"    {frame['line']}")
    lines.append(f"{one['exc_type']}: {one['exc_value']}")
    return "\n".join(lines)
