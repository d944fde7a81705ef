"""Reads attributes that other libraries keep private.

Everything that begins with an underscore in Pipecat, ddtrace or Loguru is read with :func:`peek`,
only in the module that wraps that library, and is listed in that module's ``PRIVATE``, which a
test checks. A name that a version has moved reads as missing: then a bot is observed in less
detail, and nothing raises.
"""

import gc
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


def attribute_values(instance: Any, marker: str) -> list[Any]:
    """Return what an object refers to: the values of its attributes, and perhaps its class.

    They are not taken from ``__dict__``. Until Python 3.12 an object has no such dictionary before
    somebody asks for it, and from then on each access to one of its attributes is slower. A
    pipeline accesses those of its processors some hundred times for each piece of audio.

    Args:
        instance: The object.
        marker: An attribute that it has, by which its dictionary is recognized if there is one.
    """
    held = gc.get_referents(instance)
    for one in held:
        if type(one) is dict and marker in one:
            return list(one.values())
    return held
