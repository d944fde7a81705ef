"""Output for any terminal: one that has ASCII alone, one without colours, a pipe."""

import codecs
import io
import os
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


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for the characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_plain_character, lacking)), error.end


def _plain_character(character: str) -> str:
    return "." if ord(character) in _SPINNER else _PLAIN.get(character, "?")


codecs.register_error(_ERRORS, _plain)
