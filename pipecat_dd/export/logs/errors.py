"""Formats an exception as ``error.kind``, ``error.message`` and ``error.stack``.

Those are the attributes that Datadog's Error Tracking reads
(https://docs.datadoghq.com/logs/error_tracking/backend/).
"""

import json
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from pipecat_dd.export.logs.field_roles import FieldRole
from pipecat_dd.export.logs.sanitize import MAX_TEXT_CHARS, Sanitizer
from pipecat_dd.names import fields

_KIND, _MESSAGE, _STACK = fields.KIND_KEY, fields.MESSAGE_KEY, fields.STACK_KEY

_LEFT_OUT = "\n  …\n"


def error_fields(
    exception: tuple[Any, Any, Any] | None, own: Mapping[FieldRole, Any], plain: Sanitizer
) -> dict[str, Any]:
    """Return a line's ``error`` object; empty if there is no error.

    Args:
        exception: Type, value and traceback, each possibly None, as Loguru keeps them.
        own: The values bound under ``error`` (an object or an exception), ``error_type`` and
            ``error_details``. They take precedence over the exception.
        plain: Redacts values and converts them to JSON types.
    """
    bound = own.get(FieldRole.ERROR)
    if exception is None and isinstance(bound, BaseException):
        exception = (type(bound), bound, bound.__traceback__)
    error = {} if exception is None else _of_exception(*exception, plain)
    if isinstance(bound, Mapping):
        made = plain.value(bound, fields.ERROR)
        if isinstance(made, dict):
            error.update(made)
    for place, name in ((FieldRole.ERROR_TYPE, _KIND), (FieldRole.ERROR_DETAILS, _MESSAGE)):
        about = own.get(place)
        if isinstance(about, type):
            error[name] = about.__qualname__
        elif about is not None:
            error[name] = plain.value(about, place.value)
    for name in (_KIND, _MESSAGE, _STACK):  # Error Tracking reads text
        if name in error:
            text = error[name]
            if text is None or text == "":
                del error[name]
            elif not isinstance(text, str):
                error[name] = json.dumps(text, ensure_ascii=False)
    return error


def _of_exception(
    type_: type[BaseException] | None,
    value: BaseException | None,
    trace: TracebackType | None,
    plain: Sanitizer,
) -> dict[str, Any]:
    # logger.exception() outside of an except block passes three times None.
    if type_ is None and value is None:
        return {}
    kind = type_ if isinstance(type_, type) else type(value)
    error: dict[str, Any] = {
        # Without its module: what people search for.
        _KIND: kind.__qualname__,
        _MESSAGE: plain.text(message_of(value)),
    }
    stack = _stack_of(type_, value, trace)
    if stack:
        error[_STACK] = plain.text(_without_its_middle(stack))
    return error


def message_of(value: BaseException | None) -> str:
    """Return an exception's message, or a placeholder if its own code raises."""
    if value is None:
        return ""
    try:
        return str(value)
    except Exception:
        return f"<unreadable {type(value).__name__}>"


def _without_its_middle(stack: str) -> str:
    """Return a traceback without lines from its middle if it is too long.

    The exception is at its end, which would be cut otherwise.
    """
    if len(stack) <= MAX_TEXT_CHARS:
        return stack
    half = MAX_TEXT_CHARS // 2 - len(_LEFT_OUT)
    head, tail = stack[:half].rpartition("\n")[0], stack[-half:].partition("\n")[2]
    return f"{head}{_LEFT_OUT}{tail}" if tail else stack


def _stack_of(
    type_: type[BaseException] | None,
    value: BaseException | None,
    trace: TracebackType | None,
) -> str:
    """Return the traceback as Python prints it, with causes, contexts and groups.

    It has no values of local variables, which may be conversations and secrets.
    """
    if value is None and trace is None:
        return ""
    try:
        return "".join(traceback.format_exception(type_, value, trace)).rstrip("\n")
    except Exception:  # an exception's own attributes can be anything
        frames = "".join(traceback.format_tb(trace)) if trace is not None else ""
        return f"{frames}{type(value).__qualname__}: {message_of(value)}"
