"""What a processor says of itself, in an attribute of its class or of the instance.

A processor that looks something up is, to us, one that worked on a frame. Whoever wrote it, or
uses it, knows better::

    class Knowledge(FrameProcessor):
        llmobs_kind = "retrieval"

It then is a retrieval in LLM Observability when it works on what can hold a question. A mapping
says which frames those are: ``llmobs_kind = {"TranscriptionFrame": "retrieval"}``.
"""

from collections.abc import Mapping
from typing import Any

from loguru import logger

KINDS = ("retrieval", "embedding", "task", "tool", "workflow", "agent")
"""What a processor's work on a frame may be."""

QUESTIONS = ("LLMContextFrame", "TranscriptionFrame")
"""Frames that can hold a question, for a processor that does not say which it looks up for."""

_refused: set[str] = set()


def declared_kinds(instance: Any) -> Mapping[str, str]:
    """Return what a processor says its work on frames is, by the frame's class.

    Args:
        instance: The processor.
    """
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
                f"{', '.join(map(repr, KINDS))}, or a mapping of frames' classes to these; ignored"
            )
        return {}
    return named
