"""Reads attributes that other libraries keep private.

Everything that begins with an underscore in Pipecat, ddtrace or Loguru is read with :func:`peek`,
only in the module that wraps that library, and is listed in that module's ``PRIVATE``, which a
test checks. A name that a version has moved reads as missing: then a bot is observed in less
detail, and nothing raises.
"""

from typing import Any


def peek(instance: Any, name: str, default: Any = None) -> Any:
    """Return a private attribute, or the default if it is missing or cannot be read.

    Args:
        instance: The object, class or module; None has no attributes.
        name: The attribute's name, which must be listed in ``PRIVATE``.
        default: Returned if the attribute is missing.
    """
    try:
        return getattr(instance, name, default)
    except Exception:
        return default
