"""Reads docstrings in Google style, and writes them as Markdown."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import dedent

_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises):")
_ENTRY = re.compile(r"(\*{0,2}\w+): (.*)")
_ROLE = re.compile(r":(func|meth|class|mod):`~?(?:[\w.]+\.)?(\w+)`")
_PAGE = re.compile(r"``docs/([\w-]+)\.md``")
_DOTTED_ROLE = re.compile(r":(?:func|meth|class|mod):`~?([\w.]+)`")


@dataclass
class Docstring:
    """What a docstring says.

    Attributes:
        text: The prose, as paragraphs in their order, in Markdown.
        examples: The blocks of code, in Markdown.
        notes: The paragraphs that follow an example, in Markdown.
        entries: The entries of each section that names things, in Markdown, by section and name.
        result: What ``Returns`` or ``Yields`` says, in Markdown; empty if there is no such section.
    """

    text: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    result: str = ""


def read(docstring: str | None) -> Docstring:
    """Return what a docstring says.

    Args:
        docstring: The docstring; None if there is none.
    """
    made = Docstring()
    for block in _blocks(inspect.cleandoc(docstring or "")):
        first, _, rest = block.partition("\n")
        section = _SECTION.fullmatch(first)
        if first == "Example::":
            made.examples.append(f"```py\n{dedent(rest).strip()}\n```")
        elif section is None:
            (made.notes if made.examples else made.text).append(_prose(block))
        elif section[1] in ("Returns", "Yields"):
            made.result = markdown(dedent(rest))
        else:
            made.entries[section[1]] = _entries(dedent(rest))
    return made


def _blocks(text: str) -> Iterator[str]:
    """Yield the paragraphs; what is indented under ``Example::`` or a section is part of it."""
    found: list[str] = []
    for line in text.splitlines():
        is_indented = line.startswith(" ") or not line
        heads = found and (found[0].endswith("::") or _SECTION.fullmatch(found[0]))
        ends = (not is_indented) if heads else (not line)
        if ends and found:
            yield "\n".join(found).rstrip()
            found = []
        if line or found:
            found.append(line)
    if found:
        yield "\n".join(found).rstrip()


def _prose(block: str) -> str:
    if block.startswith("- "):
        return "\n".join(markdown(item) for item in re.split(r"\n(?=- )", block))
    return markdown(block)


def _entries(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", text):
        named = _ENTRY.match(" ".join(entry.split()))
        if named is None:
            raise ValueError(f"no entry of a docstring: {entry!r}")
        found[named[1]] = markdown(named[2])
    return found


def markdown(text: str) -> str:
    """Return a text of a docstring as one line of Markdown.

    Args:
        text: The text, with reStructuredText's literals and roles.
    """
    text = " ".join(text.split())
    text = _ROLE.sub(lambda role: f"`{role[2]}{'' if role[1] == 'class' else '()'}`", text)
    text = _DOTTED_ROLE.sub(r"`\1`", text)
    text = _PAGE.sub(r"[\1.md](../\1.md)", text)
    return text.replace("``", "`")
