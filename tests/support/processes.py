"""Bots in processes of their own, and what they say."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.support.ill_agent import ENVIRONMENT

REPOSITORY = Path(__file__).parents[2]


def await_word(process: "subprocess.Popen[str]", word: str) -> None:
    """Wait until a process says a word."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"{process.args} ended without saying {word!r}")


class BotProcess:
    """A bot that runs as a module of the tests.

    Attributes:
        popen: Its process.
    """

    def __init__(self, module: str, *args: str, agent_url: str, **environment: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            cwd=REPOSITORY,
            env=quiet_environment()
            | ENVIRONMENT
            | {"DD_TRACE_AGENT_URL": agent_url, "DD_SERVICE": "bot", "PYTHONUNBUFFERED": "1"}
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def tell(self, line: str) -> None:
        """Write it a line."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()

    def line(self) -> str:
        """Return the next line that it writes."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise AssertionError(f"{self.popen.args} ended with {self.popen.wait(5)}")
        return line.strip()

    def rest(self) -> list[str]:
        """Return the lines that it writes until its end."""
        assert self.popen.stdout is not None
        return [line.strip() for line in self.popen.stdout]

    def report(self) -> dict[str, Any]:
        """Return the next line, which is JSON."""
        report: dict[str, Any] = json.loads(self.line())
        return report

    def hears(self, word: str) -> None:
        """Wait until it says a word."""
        await_word(self.popen, word)

    def ends(self, timeout_secs: float = 60.0) -> tuple[int, float]:
        """Wait for its end; return its exit code and how many seconds that took."""
        began = time.monotonic()
        return self.popen.wait(timeout_secs), time.monotonic() - began


@contextmanager
def bot_process(
    module: str, *args: str, agent_url: str, environment: Mapping[str, str] | None = None
) -> Iterator[BotProcess]:
    """Run a bot, and kill it if it still runs in the end."""
    process = BotProcess(module, *args, agent_url=agent_url, **(environment or {}))
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()
