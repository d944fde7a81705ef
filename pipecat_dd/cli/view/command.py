"""The command ``pipecat-dd view``."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import click

from pipecat_dd.cli.view.bot_process import BotProcess, end_as, environment_for, warning_about
from pipecat_dd.cli.view.follow import follow
from pipecat_dd.cli.view.guard import Guard, new_token
from pipecat_dd.cli.view.intake import Intake
from pipecat_dd.cli.view.keep import Keeper
from pipecat_dd.cli.view.opening import has_browser, open_in_browser, until_stopped
from pipecat_dd.cli.view.running import RunningView, announced
from pipecat_dd.cli.view.server import ViewServer, listening_socket
from pipecat_dd.cli.view.store import DEFAULT_MAX_BYTES, Store

AGENT_PORT: Final = 8126
"""Where an Agent listens."""
AGENT_SOCKET: Final = Path("/var/run/datadog/apm.socket")
"""Where an Agent listens beside that, which ddtrace looks for first."""
_ENVIRONMENTS_AGENT: Final = "environment"
_MIB: Final = 2**20
_LAST_SPANS_SECS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        host: The address to listen on.
        host_names: Further names by which this machine is reached.
        port: The port; 0 for a free one.
        opens: Whether a browser is opened.
        keep: The directory that gets everything; None for none.
        logs: Log files to follow.
        forward: The URL of a real Agent, ``http://…`` or ``unix:///path``; None for none.
        max_bytes: How much memory the conversations may take.
        stays: Whether the page stays when the bot has ended; None: while somebody looks at it.
    """

    host: str
    host_names: Sequence[str]
    port: int
    opens: bool
    keep: Path | None
    logs: Sequence[Path]
    forward: str | None
    max_bytes: int
    stays: bool | None


# What follows the bot's program is the bot's, with or without `--` before it.
@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--allow-host",
    "host_names",
    multiple=True,
    metavar="NAME",
    help="A name by which others reach this machine, such as host.docker.internal.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"The port to listen on.  [default: a free one for a bot, else {AGENT_PORT}]",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write everything into this directory, for `report --from`.",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Follow a log file of JSON lines. May be given more than once.",
)
@click.option(
    "--forward",
    is_flag=False,
    flag_value=_ENVIRONMENTS_AGENT,
    metavar="[URL]",
    help="Also pass everything on to a real Agent: the environment's, or the one at URL "
    "(http://HOST:PORT or unix:///PATH).",
)
@click.option(
    "--max-memory",
    type=click.IntRange(8, 65536),
    default=DEFAULT_MAX_BYTES // _MIB,
    show_default=True,
    metavar="MIB",
    help="How much memory the conversations may take. The oldest are dropped first.",
)
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Whether the page stays when the bot has ended.  [default: while someone has it open]",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def view(
    host: str,
    host_names: tuple[str, ...],
    port: int | None,
    no_open: bool,
    keep: Path | None,
    logs: tuple[Path, ...],
    forward: str | None,
    max_memory: int,
    stay: bool | None,
    command: tuple[str, ...],
) -> None:
    """Show a bot's conversations on a local page while they happen.

    `pipecat-dd view -- python bot.py` runs the bot as it is. Without a command, the page shows bots
    that send to an Agent on this machine.

    Exit codes: 0 Ctrl-C ended the page, 1 the port cannot be used, 2 an option is invalid, 126 the
    bot's program cannot be run, 127 there is no such program, otherwise the bot's own.
    """
    port = port if port is not None else 0 if command else AGENT_PORT
    options = Options(
        host=host,
        host_names=host_names,
        port=port,
        opens=not no_open,
        keep=keep,
        logs=logs,
        forward=None if forward is None else _agent(forward, port),
        max_bytes=max_memory * _MIB,
        stays=stay,
    )
    try:
        code = asyncio.run(show(options, command))
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{options.port}: {error.strerror or error}"
        ) from error
    except KeyboardInterrupt:
        code = -signal.SIGINT if command else 0
    sys.exit(end_as(code))


async def show(options: Options, command: Sequence[str]) -> int:
    """Serve the page: for as long as a bot runs, or until Ctrl-C.

    Returns:
        The bot's exit code, below 0 the number of the signal that ended it; 0 without a bot.

    Raises:
        OSError: The port is taken, or a file cannot be written.
    """
    listening = listening_socket(options.host, options.port)
    port = listening.getsockname()[1]
    guard = Guard(options.host, new_token(), options.host_names)
    store = Store(options.max_bytes)
    own = f"http://{_reachable(options.host)}:{port}"
    async with AsyncExitStack() as stack:
        keeper = None
        if options.keep is not None:
            keeper = _keeper_in(options.keep)
            stack.callback(keeper.close)
        intake = Intake(store, guard, keeper, options.forward)
        server = ViewServer(store, intake, guard)
        await stack.enter_async_context(server.running(listening))
        stack.enter_context(announced(RunningView(own, guard.token)))
        for path in options.logs:
            if not path.exists():
                sys.stderr.write(f"pipecat-dd: {path} is not there yet; it is read once it is\n")
            task = asyncio.create_task(follow(path, intake.take_lines))
            stack.callback(task.cancel)
        page = f"{own}/?token={quote(guard.token)}"
        sys.stderr.write(f"pipecat-dd: {page}\n")
        sys.stderr.flush()
        if options.opens and has_browser():
            open_in_browser(page)
        if not command:
            return await until_stopped()
        if (warning := warning_about(os.environ)) is not None:
            sys.stderr.write(f"pipecat-dd: {warning}\n")
            sys.stderr.flush()
        bot = BotProcess(
            command,
            environment_for(own, guard.key, os.environ, is_forwarded=options.forward is not None),
        )
        code = await bot.run()
        # What the bot sent as it ended has been taken; let viewers have it.
        await asyncio.sleep(_LAST_SPANS_SECS if server.viewer_count else 0)
        store.end_all()
        stays = options.stays
        if stays is None:
            stays = bool(server.viewer_count) and not bot.was_stopped and sys.stdin.isatty()
        if stays:
            ended = f"exit code {code}" if code >= 0 else f"signal {-code}"
            sys.stderr.write(
                f"pipecat-dd: the bot has ended ({ended}); the page stays open until Ctrl-C\n"
            )
            await until_stopped()
        return code


def _keeper_in(directory: Path) -> Keeper:
    try:
        return Keeper(directory)
    except OSError as error:
        raise click.BadParameter(
            f"cannot write into {directory}: {error.strerror}", param_hint="--keep"
        ) from error


def _reachable(host: str) -> str:
    """Return the address under which this machine reaches a server of its own."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _agent(url: str, own_port: int) -> str:
    """Return the URL of the Agent that gets everything as well.

    Args:
        url: What the command line gives.
        own_port: The port that this server will listen on; 0 for any.

    Raises:
        click.BadParameter: It is no URL of an Agent, or is this server's own.
    """
    source = ""
    if url == _ENVIRONMENTS_AGENT:
        url, source = _agent_of_environment()
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    is_socket = parts.scheme == "unix" and bool(parts.path) and not parts.netloc
    if not is_socket and not (parts.scheme in ("http", "https") and parts.hostname):
        raise click.BadParameter(
            f"{source}{url!r} is neither http://HOST:PORT nor unix:///PATH", param_hint="--forward"
        )
    if is_socket and os.name != "posix":
        raise click.BadParameter(
            f"{source}{url!r}: this system has no such sockets", param_hint="--forward"
        )
    if port == own_port and parts.hostname in ("localhost", "127.0.0.1", "::1"):
        raise click.BadParameter(
            f"{source}{url} is where this page itself listens; give it another --port",
            param_hint="--forward",
        )
    return url


def _agent_of_environment() -> tuple[str, str]:
    """Return the URL of the Agent that ddtrace would send to, and which variable says so."""
    if url := os.environ.get("DD_TRACE_AGENT_URL", ""):
        return url, "DD_TRACE_AGENT_URL="
    host = os.environ.get("DD_TRACE_AGENT_HOSTNAME") or os.environ.get("DD_AGENT_HOST")
    port = os.environ.get("DD_TRACE_AGENT_PORT") or os.environ.get("DD_AGENT_PORT")
    if not host and not port and AGENT_SOCKET.exists():
        return f"unix://{AGENT_SOCKET}", ""
    host = host or "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port or AGENT_PORT}", ""
