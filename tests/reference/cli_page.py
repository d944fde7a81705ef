"""Writes docs/reference/cli.md from the commands: ``python -m tests.reference.cli_page``."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from pipecat_dd.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"

_HEAD = """# Command line

`pipecat-dd` takes a command, the command's options and its arguments. Every command has `--help`
(`-h`), which prints what is on this page. `pipecat-dd --version` prints the version.

<!-- written by tests/reference/cli_page.py -->
"""

GUIDES = {"doctor": "doctor.md", "setup": "setup.md", "view": "view.md", "setup-file": "view.md"}
"""The page that explains how to use a command."""

EXTRAS = {"demo": "demo", "setup": "setup"}
"""The extra that a command needs beside the plain install."""

_EXIT_CODES = re.compile(r"Exit codes: (.*)\.")
_CODE = re.compile(r"(\d+(?: and more)?|otherwise) (.*)")
_OPTION = re.compile(r"(`[^`]*`)|(?<!\w)(--[a-z-]+|[A-Z]+_[A-Z_]+)")
_LINE_OF_SHELL = re.compile(r"[A-Z_]+=.*")
_DEFAULT = re.compile(r"\s*\[default: (.*)\]")


def page() -> str:
    """Return the page."""
    rows = [
        (f"[`{name}`](#pipecat-dd-{name})", command.get_short_help_str(200), _installed(name))
        for name, command in sorted(main.commands.items())
    ]
    parts = [_HEAD, _table(("command", "purpose", "needs"), rows)]
    for name, command in sorted(main.commands.items()):
        parts += _section(name, command)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _installed(name: str) -> str:
    wanted = f"'pipecat-dd[{EXTRAS[name]}]'" if name in EXTRAS else "pipecat-dd"
    return f"`pip install {wanted}`"


def _section(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=name, parent=click.Context(main, info_name=""))
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## `pipecat-dd {name}`"]
    codes = ""
    for paragraph in (command.help or "").split("\n\n"):
        text = " ".join(paragraph.split())
        found = _EXIT_CODES.fullmatch(text)
        if found is not None:
            codes = found[1]
        elif _LINE_OF_SHELL.fullmatch(text):
            parts.append(f"```sh\n{text}\n```")
        else:
            parts.append(_marked(text))
    if usage != "[OPTIONS]":
        parts.append(f"Usage: `pipecat-dd {name} {usage}`")
    if name in GUIDES:
        parts.append(f"How to use it: [{GUIDES[name]}](../{GUIDES[name]}).")
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        head = ["option", "value", "default", "variable", "meaning"]
        rows = [list(_row(one, context)) for one in options]
        if not any(option.envvar for option in options):
            for cells in (head, *rows):
                del cells[3]
        parts.append(_table(head, rows))
    if codes:
        rows = [_CODE.fullmatch(one) for one in re.split(r", (?=\d|otherwise)", codes)]
        parts.append(_table(("exit code", "meaning"), [row.groups() for row in rows if row]))
    return parts


def _marked(text: str) -> str:
    """Return a text in which options and variables are marked as code."""
    text = _OPTION.sub(lambda found: found[1] or f"`{found[2]}`", text)
    return re.sub(r"docs/([\w-]+)\.md", r"[\1.md](../\1.md)", text)


def _row(option: click.Option, context: click.Context) -> tuple[str, ...]:
    names = "<br>".join(f"`{one}`" for one in (*option.opts, *option.secondary_opts))
    help_ = option.help or ""
    written = _DEFAULT.search(help_)
    default = written[1] if written else _default(option)
    variable = f"`{option.envvar}`" if option.envvar else ""
    meaning = _marked(_DEFAULT.sub("", help_).strip())
    return names, _value(option, context), _marked(default), variable, meaning


def _value(option: click.Option, context: click.Context) -> str:
    if option.is_flag:
        return ""
    kind = option.type
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        word = "a whole number" if isinstance(kind, click.IntRange) else "a number"
        unit = " of MiB" if option.metavar == "MIB" else ""
        if kind.min_open:
            return f"{word}{unit} above {kind.min} and at most {kind.max}"
        return f"{word}{unit}, {kind.min} to {kind.max}"
    words = {"INTEGER": "a whole number", "FLOAT": "a number", "TEXT": "text"}
    made = option.make_metavar(context).strip("[]")
    text = words.get(made, f"`{made}`")
    return f"{text}, repeatable" if option.multiple else text


def _default(option: click.Option) -> str:
    value: Any = option.default
    if option.secondary_opts:
        return ""
    if option.is_flag:
        return "off"
    if value is None or value in ("", ()) or str(value).startswith("Sentinel"):
        return "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf8")
