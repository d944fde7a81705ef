"""How what other libraries do not make public is asked for.

Everything that begins with an underscore in Pipecat, ddtrace or Loguru is looked up through
:func:`peek`, in the one door to that library, and named in that door's ``PRIVATE``. One way in
means one thing to test: a name that a version has moved reads as missing, and what is missing
is less and never an exception.
"""

from typing import Any


def peek(instance: Any, name: str, default: Any = None) -> Any:
    """Return a private attribute, or what stands for it where it is not there.

    Args:
        instance: What has it; None has nothing.
        name: The attribute's name, which stands in the door's ``PRIVATE``.
        default: What is returned where there is none.
    """
    try:
        return getattr(instance, name, default)
    except Exception:
        return default
