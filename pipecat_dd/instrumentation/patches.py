"""Replaces methods on instances of Pipecat's classes, and puts them back.

It does not ask for an instance's ``__dict__`` where it can do without; ``attribute_values``
(:mod:`pipecat_dd._pipecat.services`) says why.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

from pipecat_dd import _guard


def is_replaced(instance: Any, name: str) -> bool:
    """Whether an object's method is not the one of its class.

    Args:
        instance: The object.
        name: The method's name. An object without it has not replaced it.
    """
    found = getattr(instance, name, None)
    of_class = getattr(type(instance), name, None)
    if isinstance(found, MethodType) and found.__self__ is instance and found.__func__ is of_class:
        return False
    return name in getattr(instance, "__dict__", ())


class Patches:
    """Replaces methods, and can put all of them back."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def patch(self, instance: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Replace a method on an instance, but not on its class or on other instances.

        Args:
            instance: The object to patch.
            name: The method's name.
            wrapper: Called instead of the method.
        """
        before = vars(instance)[name] if is_replaced(instance, name) else None
        setattr(instance, name, wrapper)

        def restore() -> None:
            found = getattr(instance, name, None)
            if found is not wrapper and vars(instance).get(name) is not wrapper:
                return  # patched again by other code; once off, our wrapper only passes calls on
            if before is None:
                delattr(instance, name)
            else:
                setattr(instance, name, before)

        self._undo.append(restore)

    def add(self, undo: Callable[[], None]) -> None:
        """Have something else undone together with the patches.

        Args:
            undo: Undoes it.
        """
        self._undo.append(undo)

    def undo(self) -> None:
        """Put all methods back, the last one first."""
        undo, self._undo = self._undo, []
        for step in reversed(undo):
            with _guard.instrumentation.guarded():
                step()
