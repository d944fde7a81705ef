"""Child processes that cannot outlive their parent.

The demo and the tests start a bot and a test agent. Whatever happens to the process that
started them (Ctrl-C, SIGTERM, SIGKILL, a crash), nothing may be left running. A pipe is the one
thing that every operating system cleans up for us: the parent keeps the writing end open, and a
thread in the child blocks on reading it. Nothing is ever written. When the parent is gone, in
whatever way, the read returns and the child ends itself.

The child's half is the ``__main__`` part of this file. It is run by its path and not as
``-m pipecat_dd.cli.demo.leash``, so that importing this package (and with it ddtrace and Pipecat)
never becomes part of starting somebody else's program. For the same reason this file imports
nothing but the standard library.
"""

import asyncio
import os
import runpy
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

STOP_GRACE_SECS = 3.0

_THIS_FILE = str(Path(__file__).resolve())


@asynccontextmanager
async def leashed(
    module: str,
    *args: str,
    env: Mapping[str, str],
    output: Path,
    cwd: Path | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module as ``python -m`` does, for as long as the block lasts.

    The child gets a session of its own, so that Ctrl-C reaches only the parent, which then
    ends its children in the order it wants.

    Args:
        module: The module to run.
        *args: Its command line arguments.
        env: The child's whole environment.
        output: File that receives what the child writes to stdout and stderr.
        cwd: The child's working directory.

    Yields:
        The process. It is terminated at the end of the block, and killed if it has not ended
        ``STOP_GRACE_SECS`` later.
    """
    # -P: the directory of this file must not be where the child looks for its imports first.
    command = (sys.executable, "-P", _THIS_FILE, module, *args)
    with output.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            env=dict(env),
            cwd=cwd,
            start_new_session=os.name == "posix",
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_GRACE_SECS)
        except TimeoutError:
            pass
        finally:  # also where the waiting itself is cancelled, by a second Ctrl-C
            if process.returncode is None:
                process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _end_with_parent() -> None:
    # Not sys.stdin.read(): a buffered reader that is blocked holds a lock which the
    # interpreter wants when it shuts down.
    os.read(0, 1)
    os._exit(1)


def _run_leashed() -> None:
    module, *args = sys.argv[1:]
    threading.Thread(target=_end_with_parent, name="leash", daemon=True).start()
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run_leashed()
