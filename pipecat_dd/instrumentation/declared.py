"""Reads ``llmobs_kind``, by which a processor's author declares what kind of work it does.

By default, a processor that looks something up appears only as one that processed a frame. An
attribute of its class, or of the instance, can declare more::

    class Knowledge(FrameProcessor):
        llmobs_kind = "retrieval"

In LLM Observability, its processing of any frame that can hold a question is then a retrieval. A
mapping selects the frames: ``llmobs_kind = {"TranscriptionFrame": "retrieval"}``.
"""

from collections.abc import Mapping
from typing import Any

from loguru import logger

KINDS = ("retrieval", "embedding", "task", "tool", "workflow", "agent")
"""The kinds that a processor may declare."""

QUESTIONS = ("LLMContextFrame", "TranscriptionFrame")
"""Frames that can hold a question: the default of a processor that names no frames."""

_refused: set[str] = set()


def declared_kinds(instance: Any) -> Mapping[str, str]:
    """Return the kinds of work that a processor declares, by the frame's class name."""
    declared = getattr(instance, "llmobs_kind", None)
    if declared is None:
        return {}
    kinds = dict.fromkeys(QUESTIONS, declared) if isinstance(declared, str) else declared
    try:
        named = {str(getattr(of, "__name__", of)): kind for of, kind in dict(kinds).items()}
    except (TypeError, ValueError):
        named = {"": declared}
    if any(kind not in KINDS for kind in named.values()):
        name = type(instance).__name__
        if name not in _refused:
            _refused.add(name)
            logger.warning(
                f"pipecat_dd: {name}.llmobs_kind={declared!r}: must be one of "
                f"{', '.join(map(repr, KINDS))}, or a mapping of frame classes to these; ignored"
            )
        return {}
    return named
