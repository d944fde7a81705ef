"""Methods replaced on instances of Pipecat's classes, and put back."""

from collections.abc import Callable
from typing import Any

from pipecat_dd import _guard


class Patches:
    """Keeps what was replaced, so that all of it can be put back."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def patch(self, instance: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Replace a method on an instance; its class, and every other instance, are left alone.

        Args:
            instance: The instance.
            name: The method's name.
            wrapper: What is called instead.
        """
        before = instance.__dict__.get(name)
        setattr(instance, name, wrapper)

        def restore() -> None:
            if instance.__dict__.get(name) is not wrapper:
                return  # somebody has wrapped it since; ours passes everything through
            if before is None:
                delattr(instance, name)
            else:
                setattr(instance, name, before)

        self._undo.append(restore)

    def undo(self) -> None:
        """Put everything back as it was, the last first."""
        undo, self._undo = self._undo, []
        for step in reversed(undo):
            with _guard.instrumentation.guarded():
                step()
