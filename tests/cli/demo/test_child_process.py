import os
import signal
import subprocess
import sys

import pytest

from pipecat_dd.cli.demo import child_process as module
from pipecat_dd.cli.demo.child_process import child_process
from tests.cli.demo.processes import ends, pid_in

# Writes its pid, so that one knows that it runs, and would run for ever.
SLEEPER = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
print("said", flush=True)
while True:
    time.sleep(60)
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER

PARENT = """
import asyncio, os, sys
from pathlib import Path
from pipecat_dd.cli.demo.child_process import child_process

async def main():
    async with child_process("sleeper", sys.argv[1], env=os.environ, output=Path(os.devnull)):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def modules(tmp_path) -> dict[str, str]:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


async def test_the_child_ends_with_the_block(modules, tmp_path):
    async with child_process(
        "sleeper", str(tmp_path / "pid"), env=modules, output=tmp_path / "said"
    ) as process:
        assert pid_in(tmp_path / "pid") == process.pid
    assert process.returncode is not None
    assert ends(process.pid)
    assert (tmp_path / "said").read_text() == "said\n"


async def test_a_child_that_ignores_sigterm_is_killed(modules, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STOP_GRACE_SECS", 0.1)
    async with child_process(
        "stubborn", str(tmp_path / "pid"), env=modules, output=tmp_path / "said"
    ) as process:
        pid_in(tmp_path / "pid")
    assert process.returncode == -signal.SIGKILL


async def test_the_child_ends_when_the_block_fails(modules, tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        async with child_process(
            "sleeper", str(tmp_path / "pid"), env=modules, output=tmp_path / "said"
        ) as process:
            raise RuntimeError("broken")
    assert ends(process.pid)


async def test_a_child_that_ended_by_itself_is_no_trouble(tmp_path):
    async with child_process("this", env=os.environ, output=tmp_path / "said") as process:
        assert await process.wait() == 0
    assert "Zen of Python" in (tmp_path / "said").read_text()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_child_ends_however_its_parent_ends(modules, tmp_path, end):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "pid")],
        env=modules,
        stderr=subprocess.DEVNULL,
    )
    try:
        child = pid_in(tmp_path / "pid")
        parent.send_signal(end)
        assert ends(child)
    finally:
        parent.kill()
        parent.wait()
