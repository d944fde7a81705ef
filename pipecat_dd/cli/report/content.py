"""Takes content out of a conversation, since a report is a file that is passed on.

Content is what was said, what the model was asked and answered, and what tools were called with. A
report has it only where it was captured *and* is asked for. Lines of the bot's own code stay as
they were written: only its author knows what they hold.
"""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
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
    r"prompt|message|completion|content|input|output|argument|choice|transcript|instruction|\btext"
    # What tools ask for: of servers, of databases.
    r"|query|statement|raw_command|body",
    re.IGNORECASE,
)
"""What the names of other packages' tags have in them where they hold content."""
_URL: Final = "http.url"
_PIPECAT: Final = "pipecat"
_FOR_PIPECAT: Final = "pipecat_"
_OURS: Final = "pipecat_dd"
_NO_RESULTS: Final = frozenset({"", '""', "null", "None"})


def without_content(call: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation without its content; the one given stays as it is."""
    return call | {
        "spans": [_span(one) for one in call["spans"]],
        "lines": [_line(one) for one in call["lines"]],
    }


def _span(given: dict[str, Any]) -> dict[str, Any]:
    kept = _of_our_span(given["tags"]) if "kind" in given else _of_others_span(given["tags"])
    return given | {"tags": kept}


def _of_our_span(given: dict[str, str]) -> dict[str, str]:
    from pipecat_dd.conversation.participants import LEFT_OUT
    from pipecat_dd.instrumentation.failures import REPORTED

    kept = {name: value for name, value in given.items() if name not in CONTENT_TAGS}
    if tags.DTMF_TONE in kept:
        # With captured content, it has all keys: they may be those of a card or a PIN.
        kept[tags.DTMF_TONE] = LEFT_OUT
    result = given.get(tags.GEN_AI_TOOL_CALL_RESULT, "")
    if kept.get(tags.ERROR_TYPE) == "ToolError" and result not in _NO_RESULTS:
        kept[tags.ERROR_MESSAGE] = REPORTED  # it is a part of the result
    return kept


def _of_others_span(given: dict[str, str]) -> dict[str, str]:
    from pipecat_dd._pipecat import holds_content

    of_errors = (tags.ERROR_TYPE, tags.ERROR_MESSAGE, tags.ERROR_STACK)
    kept = {
        name: value
        for name, value in given.items()
        if name in of_errors
        or name == _URL
        or not (_OF_OTHERS.search(name) or holds_content(name, value))
    }
    if _URL in kept:
        kept[_URL] = kept[_URL].partition("?")[0]
    return kept


def _line(given: dict[str, Any]) -> dict[str, Any]:
    from pipecat_dd.export.logs import other_packages
    from pipecat_dd.export.logs.pipecat_lines import mask

    name = given.get("logger", "")
    top = name.partition(".")[0]
    if top == _PIPECAT:
        return given | {"msg": mask(name, given["msg"])}
    return given | {"msg": other_packages.mask(given["msg"])} if _is_for_pipecat(top) else given


@cache
def _is_for_pipecat(top: str) -> bool:
    """Whether a package is one for Pipecat, by its name or by what it requires.

    The bot's own process knows more, but this is not that process. A bot whose own package has
    such a name has its lines masked, too: that is the lesser harm.
    """
    if not top or top == _OURS:
        return False
    if top.startswith(_FOR_PIPECAT):
        return True
    try:
        found = distribution(top)
    except (PackageNotFoundError, ValueError):
        return False
    is_local = '"file:' in (found.read_text("direct_url.json") or "").replace(" ", "")
    return not is_local and any(one.startswith("pipecat-ai") for one in found.requires or ())
