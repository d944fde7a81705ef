"""A process that is forked while another thread is inside of ours has a bot like any other."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import importlib, os, sys, threading, time
from pipecat_dd import DatadogObserver, configure_logging

lock = importlib.import_module(sys.argv[1])._lock
configure_logging(open(os.devnull, "w"))
held, over = threading.Event(), threading.Event()

def hold():
    with lock:
        held.set()
        over.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    DatadogObserver()
    os._exit(7)
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        sys.exit(0 if os.waitstatus_to_exitcode(status) == 7 else "the child failed")
    time.sleep(0.01)
os.kill(child, 9)
os.waitpid(child, 0)
sys.exit("the child hangs")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    "module",
    [
        "pipecat_dd.conversation.pools",
        "pipecat_dd.export.logs.configure",
        "pipecat_dd.export.notices",
        "pipecat_dd.settings.notes",
    ],
)
def test_a_lock_that_was_held_at_the_fork_does_not_hold_up_the_child(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
