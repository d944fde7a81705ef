"""Masks the content of conversations in lines of third-party packages for Pipecat.

Hundreds of packages add a service or a processor to Pipecat. Like Pipecat's own services, they log
what is recognised, what is spoken, and what goes to a model. Their lines are too many to list. So
a rule masks them: from the first value that is quoted, in brackets, or after a word such as "text"
or "transcript", to the end of the line.

The name of a package does not identify it: `pipecat_bot` may be the user's own bot, whose lines
are not masked. A package for Pipecat is installed from a package index, not from a local
directory, and its name begins with `pipecat_` or its code uses Pipecat.
"""

import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from pipecat_dd.export.secrets import REDACTED

_NAMED_FOR_PIPECAT: Final = "pipecat_"
_OURS: Final = "pipecat_dd"
_USED: Final = "pipecat."
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})

# The prefix of many packages' lines: [TTSCache], [my.module]. Not [hello].
_TAG: Final = re.compile(r"(?:\[(?=\w*[\w.#][A-Z_.#\d])[\w.#-]+\]\s*)+")

# An opening quote or bracket (not an apostrophe, not the parentheses of a call); a word for
# speech or for a speaker, with what follows it; a key that was pressed.
_CONTENT: Final = re.compile(
    r"""(?<![\w'"`])['"`\u2018\u201c\u00ab]
    | \[ | (?<!\w)\{ | (?<!\w)\((?=['"])
    | (?<![a-z])
      (?:text|transcri|utter|sa(?:y|id)|sp(?:eak|oke)|speech|hear|word|sentence|phrase|prompt|message
        |content|context|respon[sd]|repl[iy]|answer|question|query|quer|input|output|argument|args
        |param|result|payload|data|body|event|summar|chunk|delta|partial|interim|final|frame
        |json|received|sent|sending|user|caller|bot|assistant|llm|stt)
      [a-z]*\b [ \w#.()-]{0,40}?
      (?: : | = | -> )
    | (?<![a-z]) dtmf
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OPENING: Final = " '\"`\u2018\u201c\u00ab[{("


def mask(message: str) -> str:
    """Return the message of such a package without the content that it may have."""
    tag = _TAG.match(message)
    found = _CONTENT.search(message, 0 if tag is None else tag.end())
    if found is None:
        return message
    return f"{message[: found.end()].rstrip(_OPENING)} {REDACTED}".lstrip()


def is_for_pipecat(name: str, path: str) -> bool:
    """Whether a line comes from a package for Pipecat, not from Pipecat or the user.

    Args:
        name: The module, or the logger, that the line comes from.
        path: The module's file, as the line's record has it.
    """
    top = name.partition(".")[0]
    if top in ("pipecat", _OURS) or not top:
        return False
    is_named = top.startswith(_NAMED_FOR_PIPECAT)
    module = sys.modules.get(name) or sys.modules.get(top)
    where = _file_of(module) or (path if Path(path).stem == name.rpartition(".")[2] else "")
    if not where:
        # No module has this name, so it is a logger's. Loggers of packages are named after
        # modules in the package.
        return is_named and "." in name
    within = installed_in(Path(where))
    if within is None:
        return False
    return (is_named or _uses_pipecat(module)) and within[1] not in _local_packages(within[0])


def _file_of(module: Any) -> str:
    found = getattr(module, "__file__", None)
    return found if isinstance(found, str) else ""


def installed_in(file: Path) -> tuple[Path, str] | None:
    """Return the ``site-packages`` that a file is in, and the name of its package there."""
    parts = file.parts
    for at in range(len(parts) - 2, 0, -1):
        if parts[at] in _INSTALLED:
            return Path(*parts[: at + 1]), parts[at + 1].partition(".")[0]
    return None


def _uses_pipecat(module: Any) -> bool:
    """Whether a module has imported anything from Pipecat."""
    try:
        values = list(vars(module).values())
    except TypeError:
        return False
    for value in values:
        # Only these types are inspected: the attributes of other objects may run any code.
        if issubclass(type(value), (type, FunctionType)):
            if str(value.__module__).startswith(_USED):
                return True
        elif type(value) is ModuleType and value.__name__.startswith(_USED):
            return True
    return False


@lru_cache(maxsize=16)
def _local_packages(directory: Path) -> frozenset[str]:
    """Return the packages in ``site-packages`` that were installed from a local directory."""
    try:
        return frozenset(_locally_installed(directory))
    except OSError:
        return frozenset()


def _locally_installed(directory: Path) -> Iterator[str]:
    for direct in directory.glob("*.dist-info/direct_url.json"):
        if '"file:' not in direct.read_text(errors="replace").replace(" ", ""):
            continue
        for line in (direct.parent / "RECORD").read_text(errors="replace").splitlines():
            first, _, rest = line.partition(",")[0].partition("/")
            if rest or first.endswith(".py"):
                yield first.removesuffix(".py")
