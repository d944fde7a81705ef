"""From an empty folder with only the built wheel, in the order of the README.

A stranger's first minutes: install, the lines in a bot, a conversation, its page, the demo, the
doctor. The commands and the lines are read from README.md and run as they stand there.

Here the dependencies come from the environment that runs the tests; ``nox -s wheel`` installs them
anew (``PIPECAT_DD_TEST_WHEEL=installed``).
"""

import asyncio
import os
import re
import shlex
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.release import readme
from tests.release.building import Built

pytestmark = [
    pytest.mark.skipif(
        os.name != "posix", reason="the README's commands are those of a POSIX shell"
    ),
    pytest.mark.timeout(900),
]
IS_INSTALLED = os.environ.get("PIPECAT_DD_TEST_WHEEL") == "installed"
_PAGE = re.compile(rb"pipecat-dd: (http://\S+)/\?token=(\S+)")


@dataclass
class Stranger:
    """Somebody with an empty folder, a virtual environment and the README."""

    folder: Path
    environment: Path
    wheel: Path

    @property
    def variables(self) -> dict[str, str]:
        made = quiet_environment()
        made.pop("PYTHONPATH", None)
        made |= {
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(self.environment),
            # The wheel in place of the registry's.
            "PIP_FIND_LINKS": str(self.wheel.parent),
            "UV_FIND_LINKS": str(self.wheel.parent),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        if not IS_INSTALLED:
            made |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
        return made

    def run(self, command: str, *, timeout_secs: float = 120) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=timeout_secs,
        )


def test_the_readme_is_in_the_order_of_a_strangers_first_minutes() -> None:
    order = ["pip install", "from pipecat_dd import", "pipecat-dd view", "pipecat-dd doctor"]
    assert sorted(order, key=readme.position) == order
    assert readme.commands("pipecat-dd demo")
    assert any("uv " in one for one in (*readme.commands("uv add"), *readme.commands("uv pip")))


async def test_a_strangers_first_minutes(built: Built, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    stranger = Stranger(tmp_path / "folder", tmp_path / "environment", built.wheel)
    _install(stranger)
    await _talk_and_look(stranger)
    _run_demo(stranger)
    _ask_doctor(stranger)


def _install(stranger: Stranger) -> None:
    venv.create(stranger.environment, with_pip=True)
    installs = [one for one in readme.commands("pip install") if "pipecat-dd" in one]
    plain = next(one for one in installs if "git+" not in one and "[" not in one)
    done = stranger.run(plain, timeout_secs=600)
    assert done.returncode == 0, done.stderr
    if not IS_INSTALLED:
        _lend_dependencies(stranger)
    where = stranger.run("python -c 'import pipecat_dd; print(pipecat_dd.__file__)'")
    assert where.stdout.strip().startswith(str(stranger.environment)), where.stderr
    version = stranger.run("pipecat-dd --version")
    assert version.stdout.strip() == f"pipecat-dd {stranger.wheel.name.split('-')[1]}"


def _lend_dependencies(stranger: Stranger) -> None:
    """Have the environment find the packages of this one, except for this package.

    A directory that a .pth file names is searched, but the .pth files in it are not read: one of
    them is that of this package, installed from the repository.
    """
    (packages,) = stranger.environment.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")


async def _talk_and_look(stranger: Stranger) -> None:
    lines = readme.bots_lines()
    imports = [line for line in lines if line.startswith("from ")]
    others = [line for line in lines if line not in imports]
    assert 3 <= len(lines) <= 5, lines
    text = (Path(__file__).parent / "bot.py.txt").read_text("utf8")
    text = text.replace("#IMPORT", "\n".join(imports))
    text = text.replace("#LINES", "\n".join(f"    {line}" for line in others))
    worker = re.search(r"^(\w+) = PipelineWorker\(", "\n".join(others), re.MULTILINE)
    assert worker is not None, others
    text = text.replace("(worker)", f"({worker[1]})")
    (stranger.folder / "bot.py").write_text(text, "utf8")

    (command, *_) = (one for one in readme.commands("pipecat-dd view") if "bot.py" in one)
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command),
        cwd=stranger.folder,
        env=stranger.variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(90):
            errors = b""
            while (found := _PAGE.search(errors)) is None:
                read = await process.stderr.readline()
                assert read, errors.decode()
                errors += read
            drained = asyncio.create_task(process.stderr.read())
            output = b""
            while b"THE CALL IS OVER" not in output:
                read = await process.stdout.readline()
                assert read, (await drained).decode()
                output += read
            address, token = found[1].decode(), found[2].decode()
            await _look_at_page(address, token)
            (stranger.folder / "seen").touch()
            await process.stdout.read()
            assert await process.wait() == 0, (await drained).decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    # The lines are on the terminal, too, as Datadog reads them.
    assert b'"session_id"' in output


async def _look_at_page(address: str, token: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        async with http.get(f"{address}/?token={token}") as answer:
            assert answer.status == 200
            assert "<title>" in await answer.text()
        while True:
            async with http.get(f"{address}/api/sessions") as answer:
                sessions = (await answer.json())["sessions"]
            if sessions and not sessions[0]["is_live"]:
                break
            await asyncio.sleep(0.1)
        (session,) = sessions
        assert session["turns"] == 1
        assert session["errors"] == 0
        async with http.get(f"{address}/api/sessions/{session['id']}") as answer:
            call = await answer.json()
    kinds = [span.get("kind") for span in call["spans"]]
    assert kinds.count("session") == kinds.count("turn") == 1
    assert "answering the user" in [line["msg"] for line in call["lines"]]


def _run_demo(stranger: Stranger) -> None:
    (command, *_) = readme.commands("pipecat-dd demo")
    if IS_INSTALLED:
        with_demo = next(one for one in readme.commands("pip install") if "[demo]" in one)
        done = stranger.run(with_demo, timeout_secs=600)
        assert done.returncode == 0, done.stderr
    # There is no browser here, so it has no page that would stay.
    done = stranger.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pipecat.turn" in done.stdout
    assert "interrupted" in done.stdout


def _ask_doctor(stranger: Stranger) -> None:
    command = min(readme.commands("pipecat-dd doctor"), key=len)
    done = stranger.run(command)
    assert "Traceback" not in done.stdout + done.stderr
    # No Agent listens here, which is what it is for.
    assert done.returncode in (0, 1), done.stderr
    assert "No Agent answers" in " ".join(done.stdout.split())
    assert f"pipecat-dd {stranger.wheel.name.split('-')[1]}" in done.stdout
