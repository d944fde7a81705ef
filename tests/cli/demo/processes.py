"""Whether a process is still there."""

import os
import time
from pathlib import Path


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan that has ended, but that no init has collected yet, is not running either.
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()


def ends(pid: int, within_secs: float = 10.0) -> bool:
    """Wait for a process that is not ours to wait for."""
    give_up_at = time.monotonic() + within_secs
    while is_running(pid) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return not is_running(pid)


def pid_in(file: Path, within_secs: float = 20.0) -> int:
    """Wait until a process that has started has written its pid."""
    give_up_at = time.monotonic() + within_secs
    while not (file.exists() and file.read_text()):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{file} was not written")
        time.sleep(0.01)
    return int(file.read_text())
