"""The pages of the documentation, the blocks of code on them, and the commands in these."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
"""All that is shown to a user, as files."""

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^ *```$", re.M | re.S
)
_ASSIGNED = re.compile(r"(?P<name>[A-Z_][A-Z0-9_]*)=(?P<value>.*)", re.S)
_SEPARATORS = {"&&", "||", "|", ";"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Where it stands, for a test's name."""
        return f"{name_of(self.page)}-{self.number}-{self.language or 'plain'}"


@dataclass(frozen=True)
class Command:
    """A command of a shell, with the variables that are set for it."""

    where: str
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def program(self) -> str:
        """The name of what is run."""
        return Path(self.words[0]).name


def name_of(page: Path) -> str:
    """Return a page's path within the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found = []
    for number, match in enumerate(_FENCE.finditer(page.read_text("utf8"))):
        indent = match["indent"]
        text = re.sub(f"^{indent}", "", match["text"], flags=re.M)
        found.append(Block(page, number, match["language"], text))
    return found


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages, of some languages or of all."""
    found = [block for page in PAGES for block in blocks(page)]
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the repository's host and the site make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.*)$", prose(page), re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")
        number = 0
        while (numbered := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(numbered)
    return found


def commands(text: str, where: str = "") -> Iterator[Command]:
    """Yield the simple commands of a script, without what is run around them.

    Those that only start another one (``sudo``, ``docker compose exec``, …) are left out of it.
    """
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = _words(line)
        start = 0
        for end, word in enumerate([*words, ";"]):
            if word in _SEPARATORS:
                if words[start:end]:
                    yield from _command(words[start:end], where)
                start = end + 1


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.wordchars += "$"
    return list(lexer)


def _command(words: list[str], where: str) -> Iterator[Command]:
    variables = []
    while words:
        assigned = _ASSIGNED.fullmatch(words[0])
        if assigned is not None:
            variables.append((assigned["name"], assigned["value"]))
            words = words[1:]
            continue
        starters = next((n for n, starter in _STARTERS if _starts(words, starter)), 0)
        if starters:
            words = words[starters:]
            continue
        break
    if words and words[0] == "export":
        given = [assigned for word in words[1:] if (assigned := _ASSIGNED.fullmatch(word))]
        variables += [(assigned["name"], assigned["value"]) for assigned in given]
        inner = [value for _, value in variables if value.startswith("$(")]
        yield Command(where, ("export",), tuple(variables))
        for value in inner:
            yield from _command(shlex.split(value[2:-1]), where)
        return
    if ">" in words:
        words = words[: words.index(">")]
    if words or variables:
        yield Command(where, tuple(words or ("export",)), tuple(variables))


_STARTERS = [
    (len(starter), starter)
    for starter in (
        ("docker", "compose", "exec", "*"),
        ("docker", "exec", "*"),
        ("kubectl", "exec", "*", "--"),
        ("kubectl", "exec", "*", "-c", "*", "--"),
        ("sudo", "-u", "*"),
        ("sudo",),
        ("env",),
    )
]
"""Commands that run another command, and how many words they take; ``*`` is any word."""


def _starts(words: list[str], starter: tuple[str, ...]) -> bool:
    return len(words) > len(starter) and all(
        want in ("*", word) for word, want in zip(words, starter, strict=False)
    )
