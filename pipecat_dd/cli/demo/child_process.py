"""Run child processes that end when their parent process ends.

The demo and the tests start a bot and a test agent. However the parent process ends (Ctrl-C,
SIGTERM, SIGKILL, a crash), these must not keep running. Every operating system closes the pipes of
a process that ends, so the parent keeps the write end of a pipe open, and a thread in the child
blocks on reading from it. Nothing is ever written to the pipe. When the parent ends, the read
returns and the child exits.

The child runs the ``__main__`` part of this file. It is started by its path and not as
``-m pipecat_dd.cli.demo.child_process``, so that the child does not import this package, and with
it ddtrace and Pipecat, before its own program runs. For the same reason this file imports only the
standard library.
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
async def child_process(
    module: str,
    *args: str,
    env: Mapping[str, str],
    output: Path,
    cwd: Path | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module in a child process, as ``python -m`` does, for the duration of a block.

    The child runs in its own process session, so Ctrl-C reaches only the parent, which then stops
    its children in the right order.

    Args:
        module: The module to run.
        *args: The command-line arguments of the module.
        env: The complete environment of the child.
        output: The file that the child's stdout and stderr are appended to.
        cwd: The working directory of the child; None for that of this process.

    Yields:
        The process. It is terminated at the end of the block, and killed if it is still running
        ``STOP_GRACE_SECS`` later.
    """
    # -P keeps the directory of this file out of the child's import path.
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
        finally:  # even if a second Ctrl-C cancels the wait
            if process.returncode is None:
                process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _end_with_parent() -> None:
    # Not sys.stdin.read(): a blocked buffered reader holds a lock that the interpreter needs to
    # shut down.
    os.read(0, 1)
    os._exit(1)


def _run_child() -> None:
    module, *args = sys.argv[1:]
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run_child()
