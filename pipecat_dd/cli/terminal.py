"""Output for any terminal: one that has ASCII alone, one without colours, a pipe."""

import codecs
import io
import os
import re
import sys
from typing import Final

import click

_ERRORS: Final = "pipecat_dd.plain"
_PLAIN: Final = {
    "✓": "+",
    "•": "*",
    "✗": "x",
    "✂": "x",
    "→": ">",
    "━": "=",
    "┈": ".",
    "·": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "…": "...",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}
"""Characters that the commands print, and what stands for them in ASCII."""

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, clears it or sets its title, or reverses the order of text."""

_SPINNER: Final = range(0x2800, 0x2900)


def prepare(context: click.Context) -> None:
    """Have a command print what the terminal can show, and no colours if ``NO_COLOR`` is set.

    Args:
        context: The command's; those of its subcommands inherit from it.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def without_controls(text: str) -> str:
    r"""Return a text of one line as a terminal can show it, whoever wrote it.

    Args:
        text: The text. Its control characters become visible: ``\x1b`` for an escape.
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for the characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_plain_character, lacking)), error.end


def _plain_character(character: str) -> str:
    return "." if ord(character) in _SPINNER else _PLAIN.get(character, "?")


codecs.register_error(_ERRORS, _plain)
