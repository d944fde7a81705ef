"""What a bot's own code reports of its conversation, and asks of it: the outcome, tags, turns.

Such code runs in the middle of a call, and what it passes is often data: an argument that a model
has made up, a field of a customer's record. So nothing here raises. What cannot be used is
replaced or left out, and the returned problem explains it. It never shows the value, which may be
private.
"""

import math
import re
from typing import Final, NamedTuple

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind

MAX_TAGS: Final = 100
"""The most tags that a bot's code can set on one span."""

MAX_VALUE_CHARS: Final = 5_000
"""The most characters of a tag's value; a longer one is cut."""

MAX_OUTCOME_CHARS: Final = 50
MAX_OUTCOME_DIGITS: Final = 6
"""The most digits of an outcome. A telephone number, a date and most ids have more."""

OTHER: Final = "other"
"""The outcome in place of one that cannot be used."""

_OUTCOME: Final = re.compile(r"\w[\w.\- ]*")
_SPACES: Final = re.compile(r" +")
_DATADOGS: Final = frozenset(
    {
        "analytics.event",
        "error",
        "manual.drop",
        "manual.keep",
        "resource.name",
        "service.name",
        "span.name",
        "span.type",
    }
)
"""Tags by which ddtrace or Datadog decides something about a span."""

_MAX_EXACT: Final = 2**53
"""A greater whole number is no metric, which would round it: it is an id."""

Value = str | int | float | bool


class Outcome(NamedTuple):
    """An outcome that was reported.

    Attributes:
        word: The outcome as it is used; None if none was reported.
        problem: What was wrong with it; empty if nothing was.
    """

    word: str | None
    problem: str = ""


class Tag(NamedTuple):
    """A tag that was reported.

    Attributes:
        name: The tag's name.
        value: The value as it is used; None if the tag is left out.
        problem: What was wrong with it; empty if nothing was.
    """

    name: str
    value: Value | None
    problem: str = ""


def outcome_of(given: object) -> Outcome:
    """Return an outcome, as one of the few values by which sessions can be counted.

    Args:
        given: What the bot's code passed.
    """
    if given is None:
        return Outcome(None)
    if not isinstance(given, str):
        return Outcome(OTHER, _unusable(f"is a {type(given).__name__}, not a string"))
    text = _SPACES.sub("_", str.__str__(given).strip().lower())
    if not text:
        return Outcome(None, _unusable("is empty", "It is ignored"))
    if len(text) > MAX_OUTCOME_CHARS:
        return Outcome(OTHER, _unusable(f"has {len(text)} characters"))
    if _OUTCOME.fullmatch(text) is None:
        return Outcome(OTHER, _unusable("has other characters"))
    if sum(char.isdigit() for char in text) > MAX_OUTCOME_DIGITS:
        return Outcome(OTHER, _unusable("has as many digits as an id or a telephone number"))
    return Outcome(text)


def _unusable(what: str, effect: str = f"It counts as {OTHER!r}") -> str:
    return (
        f"set_outcome: the outcome {what}; it must be one or a few words: 1 to {MAX_OUTCOME_CHARS} "
        "letters, digits, spaces and the characters _ - ., such as 'transferred'. " + effect
    )


def tag_of(kind: Kind, name: object, value: object) -> Tag:
    """Return a tag as it may stand on a span.

    Args:
        kind: The kind of the span: a session or a turn.
        name: What the bot's code passed as the tag's name.
        value: What it passed as the value.
    """
    if not isinstance(name, str):
        return _left_out("", f"the name is a {type(name).__name__}; it must be a string")
    name = str.__str__(name).strip()
    if not name or len(name) > tags.MAX_TAG_NAME_CHARS:
        return _left_out(
            name, f"a name has {len(name)} characters; it must have 1 to {tags.MAX_TAG_NAME_CHARS}"
        )
    if is_reserved(kind, name):
        return _left_out(
            name, f"the name {name!r} is reserved, since spans have it already; choose another"
        )
    if value is None or isinstance(value, bool):
        return Tag(name, value)
    if isinstance(value, str):
        return Tag(name, str.__str__(value)[:MAX_VALUE_CHARS])
    if isinstance(value, int):
        number = int(value)
        return Tag(name, number if -_MAX_EXACT <= number <= _MAX_EXACT else _written(number))
    if isinstance(value, float):
        number_ = float(value)
        return Tag(name, number_ if math.isfinite(number_) else str(number_))
    return _left_out(
        name,
        f"the value of {name!r} is a {type(value).__name__}; it must be a string, a number or a "
        "boolean",
    )


def _written(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # Python writes no number of more than some thousand digits
        return hex(number)[:MAX_VALUE_CHARS]


def _left_out(name: str, what: str) -> Tag:
    return Tag(name, None, f"set_tag: {what}. The tag is left out")


def turn_number_problem(given: object) -> str:
    """Return what is wrong with a turn's number; empty if nothing is."""
    what = ""
    if isinstance(given, bool) or not (given is None or isinstance(given, int)):
        what = f"is a {type(given).__name__}"
    elif given is not None and given < 1:
        what = "is less than 1"
    if not what:
        return ""
    return f"export_turn: number {what}; it must be a whole number, 1 or more. None is returned"


def participant_id_problem(given: object) -> str:
    """Return what is wrong with a participant's id; empty if nothing is."""
    if isinstance(given, str) and given.strip():
        return ""
    what = "is blank" if isinstance(given, str) else f"is a {type(given).__name__}"
    return (
        f"bind_participant: participant_id {what}; it must be a string that is not blank. "
        "Nothing is bound"
    )


TOO_MANY: Final = f"set_tag: a span has {MAX_TAGS} tags of the bot's already. The tag is left out"


def is_reserved(kind: Kind, name: str) -> bool:
    """Whether a tag's name means something else on a span.

    Args:
        kind: The kind of the span.
        name: The tag's name.
    """
    known = name.lower()
    return known in _taken(kind) or known.startswith(_FAMILIES)


_FAMILIES: Final = (
    "_dd.",
    *(tag.name.partition("<")[0] for tag in tags.TAGS if "<" in tag.name),
    tags.METRICS_PREFIX,
    tags.USAGE_PREFIX,
)


def _taken(kind: Kind) -> frozenset[str]:
    found = _TAKEN.get(kind)
    if found is None:
        ours = {tag.name for tag in tags.tags_of(kind)}
        found = _TAKEN[kind] = frozenset(ours | tags.RESERVED_TAGS | _DATADOGS)
    return found


_TAKEN: Final[dict[Kind, frozenset[str]]] = {}
