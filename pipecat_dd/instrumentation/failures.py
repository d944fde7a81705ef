"""Reads failures from ``ErrorFrame`` and from tools' results."""

from typing import Any

from pipecat_dd.conversation.failure import Failure


def failure_of(frame: Any) -> Failure:
    """Describe an error that a processor reports.

    Args:
        frame: The ``ErrorFrame``. If it holds no exception, its own class is the error's type.
    """
    category = getattr(frame, "category", None)
    if category is not None:
        category = str(getattr(category, "value", category))
    usable = getattr(getattr(frame, "processor", None), "is_usable", None)
    usable = usable if isinstance(usable, bool) else None
    message = str(getattr(frame, "error", ""))
    exception = getattr(frame, "exception", None)
    if isinstance(exception, BaseException):
        return Failure.of(exception, message=message, category=category, usable=usable)
    return Failure("ErrorFrame", message, category=category, usable=usable)


REPORTED = "the tool's result reports a failure"
"""The message of a failure that a tool reports, where results may not be sent."""

_ABOUT_FAILURE = frozenset(
    {"status", "error", "message", "reason", "detail", "details", "code", "error_code", "type"}
)
"""The fields of a result that does nothing but report a failure."""


def reported_failure(result: Any, function_name: str) -> str | None:
    """Return the failure that a tool's result reports; None if it reports none.

    Pipecat Flows reports an exception as ``{"status": "error", "error": "…"}``, and Pipecat's MCP
    client as a sentence. A result with only a field ``status``, or with ``error`` among other
    fields, is the requested data, not a failure: the status of an order, the errors of a machine.

    Args:
        result: As the tool returned it.
        function_name: The tool's name, which is part of the MCP client's sentences.
    """
    if isinstance(result, str):
        said, _, _ = result.partition(": ")
        return result if said in _sentences(function_name) else None
    if type(result) is not dict or not result:
        return None
    error = result.get("error")
    if "status" not in result:
        return error if set(result) == {"error"} and isinstance(error, str) and error else None
    if result["status"] != "error":
        return None
    if isinstance(error, str) and (error or len(result) == 2):
        return error or REPORTED
    only_failure = error is None and _ABOUT_FAILURE.issuperset(result)
    return str(result.get("message") or REPORTED) if only_failure else None


def _sentences(function_name: str) -> tuple[str, ...]:
    """Return the sentences with which the result of a failed MCP call begins, up to the colon."""
    return (
        f"Error calling mcp tool {function_name}",
        "Sorry, could not call the mcp tool",
        # From servers built with MCP's Python SDK. They mark it as an error, but Pipecat drops
        # that mark.
        f"Error executing tool {function_name}",
    )
