"""Recognizes the spans of Pipecat's own tracing (``enable_tracing=True``), and their content.

The names are from the source of Pipecat 1.0.0 to 1.14.0, ``pipecat/utils/tracing``.
"""

import re
from typing import Any, Final

from pipecat_dd._private import peek

TRACED: Final = frozenset(
    {
        "conversation",
        "turn",
        "stt",
        "tts",
        "llm",
        "llm_setup",
        "llm_request",
        "llm_response",
        "llm_tool_call",
        "llm_tool_result",
    }
)
"""The names of its spans."""

_CONTENT: Final = re.compile(
    # Prompts, transcripts, replies, spoken text, and tools' definitions, arguments and results.
    # Settings hold prompts, too, and a provider may have its own name for any of these.
    r"(?:^|[._])(?:text|texts|transcripts?|inputs?|outputs?|messages?|prompts?|instructions?"
    r"|system|system_instructions?|arguments|args|results?|content|contents|tools|definitions"
    r"|text_output|context|history|keywords|keyterms?|phrases|vocabulary|previous_text|next_text)"
    r"(?:$|[._]\d+$)",
    re.IGNORECASE,
)
_FIGURES: Final = re.compile(r"gen_ai\.(?:usage|output\.type)|metrics\.")
_LONGEST: Final = 200
"""A longer value is content, whatever its name: no name of a model or voice is that long."""

_OURS: Final = ("_dd.", "error.", "runtime-id")


def is_traced(worker: Any) -> bool:
    """Whether Pipecat's own tracing is on for a worker."""
    return bool(peek(worker, "_enable_tracing", False))


def holds_content(name: str, value: str) -> bool:
    """Whether an attribute of one of these spans holds content of the conversation."""
    if name.startswith(_OURS) or _FIGURES.match(name) or value.lower() in ("true", "false"):
        return False
    return _CONTENT.search(name) is not None or len(value) > _LONGEST
