"""The command ``pipecat-dd report``."""

import json
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any, Final

import click

from pipecat_dd.cli.quiet import quiet_pipecat
from pipecat_dd.cli.report.chrome import trace_events
from pipecat_dd.cli.report.content import without_content
from pipecat_dd.cli.report.source import NoCallError, call_in, call_of_view
from pipecat_dd.cli.report.text import as_text
from pipecat_dd.cli.view.page import page_html

_STANDARD_OUTPUT: Final = "-"
_OWNER_ONLY: Final = 0o600


@click.command()
@click.argument("session", required=False)
@click.option(
    "--from",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Read the directory of `view --keep` or of the demo, instead of the running view.",
)
@click.option(
    "-o",
    "--output",
    help="The file to write; - for standard output.  "
    "[default: a file named after the conversation; with --json, --text or --chrome, "
    "standard output]",
)
@click.option("--content", is_flag=True, help="Include what was said, if it was captured.")
@click.option("--json", "as_what", flag_value="json", help="Write everything as JSON.")
@click.option(
    "--text",
    "as_what",
    flag_value="text",
    help="Write plain text, to read in a terminal or to give to a language model.",
)
@click.option("--chrome", "as_what", flag_value="chrome", help="Write trace events, for Perfetto.")
def report(
    session: str | None,
    directory: Path | None,
    output: str | None,
    content: bool,
    as_what: str | None,
) -> None:
    """Write a conversation into a file that opens without a server.

    SESSION is the conversation's id, or the beginning of it. By default, the command takes the
    last conversation. It reads from the `pipecat-dd view` that runs on this machine, or from a
    directory.

    Exit codes: 0 the report was written, 1 there is no such conversation, or the file cannot be
    written, 2 an option is invalid.
    """
    try:
        call = call_of_view(session) if directory is None else call_in(directory, session)
        if not content:
            with quiet_pipecat():
                call = without_content(call)
        text = _written(call, as_what)
        if output is None and as_what is None:
            output = f"pipecat-dd-{_plain(call['session']['id'])}.html"
        if output in (None, _STANDARD_OUTPUT) and as_what == "text":
            click.echo(text, nl=False)  # as the terminal can show it
            return
        if output in (None, _STANDARD_OUTPUT):
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
            return
        _write(str(output), text)
    except (NoCallError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(output, err=True)


def _written(call: dict[str, Any], as_what: str | None) -> str:
    if as_what == "text":
        return as_text(call)
    call.pop("seq", None)
    if as_what is not None:
        made = trace_events(call) if as_what == "chrome" else call
        return json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    session = call["session"]
    data = {"sessions": [session], "calls": {session["id"]: call}}
    return page_html(data, secrets.token_urlsafe(16))


def _write(path: str, text: str) -> None:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, _OWNER_ONLY)

    with open(path, "w", encoding="utf-8", errors="replace", opener=opener) as file:
        file.write(text)


def _plain(session_id: str) -> str:
    """Return an id as it may stand in a file's name."""
    return re.sub(r"[^\w-]+", "_", session_id, flags=re.ASCII)[:60].strip("_") or "session"
