"""The door to what Loguru does not show in public."""

from typing import Any

PRIVATE: dict[str, str] = {
    "loguru._logger.context": "what `logger.contextualize()` holds, where Pipecat Cloud puts "
    "the session's id",
}
"""What is used here without being public, and what it is used for."""


def contextualized() -> dict[str, Any]:
    """Return what ``logger.contextualize()`` holds in this context."""
    try:
        from loguru._logger import context

        held = context.get()
    except Exception:
        return {}
    return dict(held) if isinstance(held, dict) else {}
