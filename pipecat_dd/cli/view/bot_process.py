"""Runs a bot as it would run alone, with its spans and lines coming here.

It inherits the terminal: standard input, output and error, and its place in the terminal's
foreground, so Ctrl-C reaches it as ever. Signals that are sent to this process alone are passed on.
"""

import asyncio
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipecat_dd import _setup_file
from pipecat_dd.cli.view.intake import LINES_PATH

SETUP_FILE: Final = Path(_setup_file.__file__)
"""The file that observes a bot without code of ours."""

SETUP_FILES_VARIABLE: Final = "PIPECAT_SETUP_FILES"
TRACING: Final = "DD_TRACE_ENABLED"
_DEFAULTS: Final = {
    # Spans are on the page within a second of their end.
    "DD_TRACE_WRITER_INTERVAL_SECONDS": "0.5",
    # ddtrace's default. A .env that the bot loads often turns tracing off for a laptop.
    TRACING: "true",
    # Nobody here asks for these, and they would be sent every few seconds.
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
}
"""Variables that the bot gets where they are not set."""
_PASSED: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH")
    if hasattr(signal, name)
)
_SIGNAL_CODE: Final = 128
_NOT_FOUND_CODE: Final = 127
_NOT_RUNNABLE_CODE: Final = 126


def environment_for(
    url: str, key: str, environ: Mapping[str, str], *, is_forwarded: bool
) -> dict[str, str]:
    """Return the environment in which a bot sends what it has to a server of ours.

    Args:
        url: The server's URL.
        key: The key with which the bot brings its lines.
        environ: This process's environment.
        is_forwarded: Whether a real Agent gets everything as well.
    """
    made = dict(environ)
    for name, value in _DEFAULTS.items():
        if not (is_forwarded and name.endswith("_ENABLED")):
            made.setdefault(name, value)
    files = [one for one in environ.get(SETUP_FILES_VARIABLE, "").split(os.pathsep) if one]
    if str(SETUP_FILE) not in files:
        files.append(str(SETUP_FILE))
    made[SETUP_FILES_VARIABLE] = os.pathsep.join(files)
    made["DD_TRACE_AGENT_URL"] = url
    made[_setup_file.VIEW_URL] = f"{url}{LINES_PATH}"
    made[_setup_file.VIEW_KEY] = key
    # A proxy of the bot's is not for this machine.
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        # Programs read one or the other: a list of one must not be hidden by ours in the other.
        if (listed := environ.get(name) or environ.get(other)) != "*":
            made[name] = ",".join(filter(None, [listed, "127.0.0.1", "localhost"]))
    return made


def warning_about(environ: Mapping[str, str]) -> str | None:
    """Return what a bot's environment keeps from the page; None if that is nothing.

    Args:
        environ: This process's environment.
    """
    given = environ.get(TRACING, "")
    if given.strip().lower() not in ("false", "0"):
        return None
    return f"{TRACING}={given}: the bot sends no spans, so the page can show lines only"


class BotProcess:
    """A bot that runs.

    Args:
        command: The program and its arguments.
        environment: The bot's environment.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[int] = []
        self.was_stopped = False
        """Whether a signal has asked for the end."""

    async def run(self) -> int:
        """Run the bot to its end.

        Returns:
            Its exit code; below 0, the number of the signal that ended it. As in a shell, 127 if
            there is no such program and 126 if it cannot be run.
        """
        loop = asyncio.get_running_loop()
        with _passing_signals(self, loop) as pass_ignored:
            try:
                process = await self._started()
            except FileNotFoundError:
                sys.stderr.write(f"pipecat-dd: {self._command[0]}: {self._what_is_missing()}\n")
                return _NOT_FOUND_CODE
            except OSError as error:
                sys.stderr.write(f"pipecat-dd: {self._command[0]}: {error.strerror}\n")
                return _NOT_RUNNABLE_CODE
            self._process = process
            pass_ignored()
            for number in self._early:
                self.pass_on(number)
            return await process.wait()

    def _what_is_missing(self) -> str:
        # The kernel says the same of a script whose first line names no program.
        is_there = os.path.lexists(self._command[0])
        return "its interpreter is missing" if is_there else "no such program"

    async def _started(self) -> asyncio.subprocess.Process:
        try:
            return await self._start(*self._command)
        except OSError as error:
            script = shutil.which(self._command[0])
            if error.errno != errno.ENOEXEC or script is None:
                raise
            # A script without `#!`: a shell runs it, as POSIX has it of those who start programs.
            return await self._start("/bin/sh", script, *self._command[1:])

    async def _start(self, *command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            # What this process has inherited open is the bot's, as `<(…)` of a shell. All else that
            # is open here is closed for it.
            close_fds=os.name != "posix",
        )

    def pass_on(self, number: int) -> None:
        """Send the bot a signal that this process got."""
        self.was_stopped = True
        if self._process is None:
            self._early.append(number)
        elif self._process.returncode is None:
            self._process.send_signal(number)

    def note_interrupt(self) -> None:
        """Record a Ctrl-C, which the terminal has sent to the bot as well."""
        self.was_stopped = True


@contextmanager
def _passing_signals(
    bot: BotProcess, loop: asyncio.AbstractEventLoop
) -> Iterator[Callable[[], None]]:
    """Pass on signals that only this process gets, and outlive those that the bot gets too.

    Yields:
        To be called once the bot runs. Signals that are ignored here, as those of a hang-up are
        under `nohup`, must still be ignored when it starts, since it inherits that.
    """
    if os.name != "posix":
        before = signal.signal(signal.SIGINT, lambda *_: bot.note_interrupt())
        try:
            yield lambda: None
        finally:
            signal.signal(signal.SIGINT, before)
        return

    def take(number: int) -> None:
        # The keys of a terminal reach the bot by themselves; `kill` by a supervisor does not.
        if number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground():
            bot.note_interrupt()
        else:
            bot.pass_on(number)

    ignored = [one for one in _PASSED if signal.getsignal(one) is signal.SIG_IGN]

    def take_all(numbers: Iterable[int]) -> None:
        for number in numbers:
            loop.add_signal_handler(number, take, number)

    take_all(one for one in _PASSED if one not in ignored)
    try:
        yield lambda: take_all(ignored)
    finally:
        for number in _PASSED:
            loop.remove_signal_handler(number)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def _is_in_foreground() -> bool:
    """Whether a terminal sends its Ctrl-C to this process, and so to the bot."""
    try:
        with open(os.ctermid(), "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def end_as(code: int) -> int:
    """End this process as the bot has ended, where a signal ended it.

    Args:
        code: The bot's exit code; below 0, the number of a signal.

    Returns:
        The exit code for this process.
    """
    if code >= 0:
        return code
    if os.name == "posix" and -code not in (signal.SIGSTOP, signal.SIGTSTP):
        sys.stdout.flush()
        sys.stderr.flush()
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        _leave_no_core()
        os.kill(os.getpid(), -code)
    return _SIGNAL_CODE - code


def _leave_no_core() -> None:
    """The bot has left a core file, where wanted; one of this process would be misleading."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    except (ImportError, ValueError, OSError):
        pass
