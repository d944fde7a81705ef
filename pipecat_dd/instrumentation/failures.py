"""What an ``ErrorFrame``, or a tool's result, says went wrong."""

from typing import Any

from pipecat_dd.conversation.failure import Failure


def failure_of(frame: Any) -> Failure:
    """Describe an error that a processor reports.

    Args:
        frame: The ``ErrorFrame``. Without an exception its own class is the error's.
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
"""What is said of a failure that a tool reports, where results may not be sent."""

_ABOUT_FAILURE = frozenset(
    {"status", "error", "message", "reason", "detail", "details", "code", "error_code", "type"}
)
"""What a result may hold that is about a failure and nothing else."""


def reported_failure(result: Any, function_name: str) -> str | None:
    """Return what a tool's result says went wrong; None where it reports no failure.

    Pipecat Flows reports what a function raised as ``{"status": "error", "error": "…"}``, and its
    MCP client by a sentence. A result that merely holds a field ``status``, or ``error`` among
    others, is what was asked for: the status of an order, the errors of a machine.

    Args:
        result: The result.
        function_name: The function's name.
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
    """Return what the result of a call over MCP that failed is, up to a colon."""
    return (
        f"Error calling mcp tool {function_name}",
        "Sorry, could not call the mcp tool",
        # What a server answers that MCP's SDK for Python makes. It marks that as an error, which
        # Pipecat does not keep.
        f"Error executing tool {function_name}",
    )
