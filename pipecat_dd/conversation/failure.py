"""What went wrong in a stage."""

import traceback
from dataclasses import dataclass

MAX_FAILURE_CHARS = 20_000
"""How much is kept of what an error says, and of its traceback: again more than is sent."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a stage.

    Attributes:
        type: The exception's class, or the kind of error where there was no exception.
        message: What it says.
        stack: Its traceback, empty where there was none.
        category: Why it happened, in Pipecat's words (``ErrorFrame.category``).
        usable: Whether the processor can still do its job, where Pipecat knows.
    """

    type: str
    message: str
    stack: str = ""
    category: str | None = None
    usable: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", self.message[:MAX_FAILURE_CHARS])
        object.__setattr__(self, "stack", self.stack[-MAX_FAILURE_CHARS:])

    @classmethod
    def of(
        cls,
        error: BaseException,
        *,
        message: str | None = None,
        category: str | None = None,
        usable: bool | None = None,
    ) -> "Failure":
        """Describe an exception.

        Args:
            error: The exception.
            message: What to say instead of the exception's own text.
            category: Why it happened, where that is known.
            usable: Whether the processor can still do its job, where that is known.
        """
        kind = type(error)
        name = kind.__qualname__
        if kind.__module__ not in ("builtins", "__main__"):
            name = f"{kind.__module__}.{name}"
        return cls(name, message or _text(error), _stack(error), category, usable)

    @property
    def in_short(self) -> "Failure":
        """What went wrong, for what failed because of it: its type and message alone."""
        return Failure(self.type, self.message)


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def _stack(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # an exception's own attributes can be anything
        return "".join(traceback.format_tb(trace))
