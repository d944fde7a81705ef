"""Replaces methods on instances of Pipecat's classes, and puts them back."""

from collections.abc import Callable
from typing import Any

from pipecat_dd import _guard


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
        before = instance.__dict__.get(name)
        setattr(instance, name, wrapper)

        def restore() -> None:
            if instance.__dict__.get(name) is not wrapper:
                return  # patched again by other code; once off, our wrapper only passes calls on
            if before is None:
                delattr(instance, name)
            else:
                setattr(instance, name, before)

        self._undo.append(restore)

    def undo(self) -> None:
        """Put all methods back, the last one first."""
        undo, self._undo = self._undo, []
        for step in reversed(undo):
            with _guard.instrumentation.guarded():
                step()
