"""Takes content out of a conversation, since a report is a file that is passed on.

Content is what was said, what the model was asked and answered, and what tools were called with. A
report has it only where it was captured *and* is asked for. Lines of the bot's own code stay as
they were written: only its author knows what they hold.
"""

import re
from typing import Any, Final

from pipecat_dd.names import tags

CONTENT_TAGS: Final = frozenset(
    {
        tags.STT_TRANSCRIPT,
        tags.GEN_AI_INPUT_MESSAGES,
        tags.GEN_AI_OUTPUT_MESSAGES,
        tags.TTS_TEXT,
        tags.GEN_AI_TOOL_CALL_ARGUMENTS,
        tags.GEN_AI_TOOL_CALL_RESULT,
    }
)
"""Tags of ours that hold content."""
_OF_OTHERS: Final = re.compile(
    r"prompt|message|completion|content|input|output|argument|choice|transcript|instruction|\btext",
    re.IGNORECASE,
)
"""What the names of other packages' tags have in them where they hold content."""
_PIPECAT: Final = "pipecat"


def without_content(call: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation without its content; the one given stays as it is."""
    from pipecat_dd.export.logs.pipecat_lines import mask

    of_errors = (tags.ERROR_TYPE, tags.ERROR_MESSAGE, tags.ERROR_STACK)

    def span(given: dict[str, Any]) -> dict[str, Any]:
        is_ours = "kind" in given
        kept = {
            name: value
            for name, value in given["tags"].items()
            if name not in CONTENT_TAGS
            and (is_ours or name in of_errors or not _OF_OTHERS.search(name))
        }
        return given | {"tags": kept}

    def line(given: dict[str, Any]) -> dict[str, Any]:
        name = given.get("logger", "")
        if name.partition(".")[0] != _PIPECAT:
            return given
        return given | {"msg": mask(name, given["msg"])}

    return call | {
        "spans": [span(one) for one in call["spans"]],
        "lines": [line(one) for one in call["lines"]],
    }
