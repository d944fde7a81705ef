"""What an ``ErrorFrame`` says went wrong."""

from typing import Any

from pipecat_dd.knowing.stage import Failure


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
