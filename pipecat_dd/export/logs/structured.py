"""Turns a message that is a mapping into fields of the line.

structlog passes an event to ``logging`` as a mapping, or as the JSON text of one. Users of
python-json-logger and of Loguru also log dicts. Each member of such a mapping becomes a bound
value, and one of them, such as ``message`` or ``event``, the line's message.
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
"""The keys that structlog adds for its own formatter."""
_BEGINNINGS: Final = ("{", "OrderedDict(", "defaultdict(", "Counter(", "mappingproxy(", "ChainMap(")
"""How the text of a common mapping begins."""
FIRST: Final = frozenset(beginning[0] for beginning in _BEGINNINGS)
"""Their first characters. Checking these first is fast, and most lines begin otherwise."""
_MAX_JSON_CHARS: Final = 100_000
_MAX_FRAMES: Final = 40
_NAMED: Final = re.compile(r"%\(([^)]{1,200})\)")
_LAST_OF_TRACEBACK: Final = re.compile(r"([\w.]+)(?:: (.*))?", re.DOTALL)


class NoText(str):
    """The text of a mapping without a message, which is not written: its members are values."""

    __slots__ = ()


class Structured(NamedTuple):
    """The parts of a mapping.

    Attributes:
        text: The message; None if it has none.
        values: The members that become bound values.
        exc_info: The mapping's exception, in any form that ``logging`` accepts as ``exc_info``.
    """

    text: str | None
    values: dict[Any, Any]
    exc_info: Any = None


def of_record(record: "LogRecord") -> Structured | None:
    """Return the parts of a record of ``logging`` whose message is a mapping; else None."""
    message: Any = record.msg
    if isinstance(message, str):
        given = _rendered_by_structlog(message)
        return None if given is None else _of_structlog(given)
    if not isinstance(message, Mapping):
        return None
    try:
        given = dict(message)
    except Exception:  # the code of a custom mapping has raised
        return None
    if _is_masked(record.name, readable(message)):
        return None
    if "_logger" in record.__dict__:
        return _of_structlog(given)
    return _with_exception(_of(given, _TEXTS))


def named_values(record: "LogRecord") -> dict[str, Any]:
    """Return the values that a record's message names: ``logger.info("%(a)s", {"a": 1})``.

    Other values of the dict are left out: ``logging`` itself would not write them either.
    """
    args, message = record.args, record.msg
    if not isinstance(args, Mapping) or type(message) is not str:
        return {}
    return {name: args[name] for name in _NAMED.findall(message) if name in args}


def is_structlogs(key: str) -> bool:
    """Whether structlog adds an attribute of this name to records for its own formatter."""
    return key in _STRUCTLOGS


def spread(record: "Record") -> tuple[str | None, Mapping[Any, Any]]:
    """Return a Loguru record's message and bound values, which include a mapping's members.

    Call it while Loguru runs a format function: the mapping is found through the stack.

    Returns:
        The message, or None for a mapping without one; and the values.
    """
    message: Any = record["message"]
    extra: Mapping[Any, Any] = record["extra"]
    if type(message) is not str:
        return (None, extra) if type(message) is NoText else (str(message), extra)
    if not message.startswith(_BEGINNINGS):
        return message, extra
    given = _loguru.message_object()
    # If the texts differ, a patcher has replaced the message.
    if not isinstance(given, Mapping) or str(given) != message:
        return message, extra
    if _is_masked(record["name"] or "", message):
        return message, extra
    found = _of(dict(given), _TEXTS)
    return found.text, {**extra, **found.values}


def readable(value: object, text_of: Callable[[object], str] = str) -> str:
    """Return the text of a value, or a placeholder if the value's own code raises.

    Args:
        value: An object of any type.
        text_of: Makes the text: ``str`` or ``repr``.
    """
    try:
        return text_of(value)
    except Exception:
        return f"<unreadable {type(value).__name__}>"


def summary(values: Mapping[str, Any], chars: int) -> str:
    """Return a message for a mapping without one, so that lists of lines are readable.

    Args:
        values: The line's fields, redacted.
        chars: The most characters of the message, without the ellipsis.
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
            # Without structlog, "event" is kept as a field, too, since people search for it.
            if name != "event" or texts is _TEXTS_OF_STRUCTLOG:
                del given[name]
            break
    return Structured(text, given)


def _with_exception(found: Structured) -> Structured:
    """Move the exception from the values to ``exc_info``."""
    exc_info = found.values.get("exc_info")
    if exc_info is True:
        exc_info = sys.exc_info()
    is_triple = isinstance(exc_info, tuple) and len(exc_info) == 3
    if not is_triple and not isinstance(exc_info, BaseException):
        return found
    del found.values["exc_info"]
    return Structured(found.text, found.values, exc_info)


def _is_masked(name: str, text: str) -> bool:
    """Whether a line has content that is masked in its text, so that it must stay a text."""
    return name.startswith("pipecat.") or pipecat_lines.mask(name, text) != text


def _of_structlog(given: dict[Any, Any]) -> Structured:
    for name in _STRUCTLOGS & given.keys():
        del given[name]
    if "error" not in given and (error := _error_of(given.get("exception"))) is not None:
        del given["exception"]
        given["error"] = error
    return _with_exception(_of(given, _TEXTS_OF_STRUCTLOG))


def _rendered_by_structlog(message: str) -> dict[Any, Any] | None:
    """Return the values of a message that structlog has rendered as JSON; else None."""
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
    """Return a line's ``error`` for structlog's rendering of an exception.

    That is the text of a traceback, or a list of its parts. The list may have values of local
    variables, which are left out: they may be conversations.
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
    except Exception:  # a list that structlog did not make
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
