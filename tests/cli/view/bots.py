"""Bots that run under ``pipecat-dd view``, as programs of their own."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from pipecat_dd.cli.demo.environment import quiet_environment

PLAIN_BOT = (sys.executable, "-m", "tests.support.plain_bot")
_URL = re.compile(rb"pipecat-dd: (http://\S+)/\?token=(\S+)")


def environment(**given: str) -> dict[str, str]:
    made = quiet_environment() | {"PYTHONPATH": os.pathsep.join(sys.path), "DD_SERVICE": "somebody"}
    return made | {"DD_TRACE_STARTUP_LOGS": "false"} | given


class Viewed:
    """A view that runs a bot."""

    def __init__(self, process: asyncio.subprocess.Process, http: aiohttp.ClientSession) -> None:
        self.process = process
        self.url = self.token = ""
        self.errors = b""
        self._http = http

    async def start(self) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while (found := _URL.search(self.errors)) is None:
                read = await self.process.stderr.readline()
                assert read, self.errors.decode()
                self.errors += read
        self.url, self.token = found[1].decode(), found[2].decode()

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self._http.get(f"{self.url}{path}", headers=headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def until(self, word: bytes) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while word not in (read := await self.process.stdout.readline()):
                assert read, self.errors.decode()

    async def until_said(self, words: bytes) -> None:
        """Wait until the view itself says something."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while words not in self.errors:
                read = await self.process.stderr.readline()
                assert read, self.errors.decode()
                self.errors += read

    async def end(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code and the rest of both outputs."""
        async with asyncio.timeout(60):
            out, errors = await self.process.communicate(b"")
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), (self.errors + errors).decode()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@asynccontextmanager
async def viewing(
    *command: str, options: tuple[str, ...] = (), **variables: str
) -> AsyncIterator[Viewed]:
    """Run a bot under ``view`` for the duration of a block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pipecat_dd.cli", "view", "--no-open", *options, "--", *command),
        env=environment(**variables),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with aiohttp.ClientSession() as http:
            viewed = Viewed(process, http)
            await viewed.start()
            yield viewed
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
