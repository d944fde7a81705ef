"""What the environment can set of log lines, beside `configure_logging`'s arguments."""

from typing import Any, Final

from pipecat_dd.export.logs.size_limit import LEAST_LINE_BYTES, MAX_LINE_BYTES
from pipecat_dd.variables import ENV_PREFIX, number, setting

_ARGUMENT: Final = "max_line_bytes"


def max_line_bytes(given: int | None, default: int) -> int:
    """Return how long a line may be, in bytes, its end included.

    Args:
        given: The argument; None for what ``PIPECAT_DD_MAX_LINE_BYTES`` says.
        default: What counts where neither is set.

    Raises:
        TypeError: The argument is no number.
        ValueError: The argument is less, or more, than is allowed.
    """
    return setting(_ARGUMENT, given, _line_bytes, default)


def variables() -> frozenset[str]:
    """Return the names of all environment variables that are read here."""
    return frozenset({ENV_PREFIX + _ARGUMENT.upper()})


def read() -> None:
    """Note what is wrong with them."""
    max_line_bytes(None, MAX_LINE_BYTES)


def _line_bytes(name: str, value: Any, from_environment: bool) -> int:
    allowed = f"must be a whole number of bytes, {LEAST_LINE_BYTES} to {MAX_LINE_BYTES}"
    bytes_ = number(name, value, from_environment, allowed)
    if not LEAST_LINE_BYTES <= bytes_ <= MAX_LINE_BYTES or bytes_ % 1:
        raise ValueError(f"{name}={value!r}: {allowed}")
    return int(bytes_)
