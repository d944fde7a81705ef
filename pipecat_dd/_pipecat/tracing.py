"""Pipecat's own tracing (``enable_tracing=True``): the spans that it writes, and what they hold.

Read from the source of 1.0.0 to 1.14.0: ``pipecat/utils/tracing``.
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
    # Prompts, transcripts, replies, what is spoken, tools' definitions, arguments and results;
    # settings hold prompts too, and any may come with a provider's own name for it.
    r"(?:^|[._])(?:text|texts|transcripts?|inputs?|outputs?|messages?|prompts?|instructions?"
    r"|system|system_instructions?|arguments|args|results?|content|contents|tools|definitions"
    r"|text_output|context|history|keywords|keyterms?|phrases|vocabulary|previous_text|next_text)"
    r"(?:$|[._]\d+$)",
    re.IGNORECASE,
)
_FIGURES: Final = re.compile(r"gen_ai\.(?:usage|output\.type)|metrics\.")
_LONGEST: Final = 200
"""What is longer than any name of a model or a voice is content, whatever it is called."""

_OURS: Final = ("_dd.", "error.", "runtime-id")


def is_traced(worker: Any) -> bool:
    """Whether a worker was told to trace its conversation, and can."""
    return bool(peek(worker, "_enable_tracing", False))


def holds_content(name: str, value: str) -> bool:
    """Whether an attribute of one of its spans holds what was said, written or asked.

    Args:
        name: The attribute's name.
        value: Its value.
    """
    if name.startswith(_OURS) or _FIGURES.match(name) or value.lower() in ("true", "false"):
        return False
    return _CONTENT.search(name) is not None or len(value) > _LONGEST
