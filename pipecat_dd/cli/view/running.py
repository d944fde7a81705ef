"""Where ``pipecat-dd report`` finds the views that run on this machine.

Each writes a small file with its URL and token into a directory that only its user can read.
"""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class RunningView:
    """A view that runs.

    Attributes:
        url: Its URL.
        token: The token that its page needs.
    """

    url: str
    token: str


def directory() -> Path:
    """Return the directory of this user's files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "pipecat-dd"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"pipecat-dd-{user}"


@contextmanager
def announced(view: RunningView) -> Iterator[None]:
    """Let a view be found for the duration of a block.

    Without such a file, because the directory is another user's or the disk is full, the view
    runs all the same.
    """
    path = directory() / f"view-{os.getpid()}{_SUFFIX}"
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if _is_private(path.parent):
            path.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "w") as file:
                json.dump({"url": view.url, "token": view.token}, file)
    except OSError:
        pass
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def running_views() -> list[RunningView]:
    """Return the views of this user that run, the one that began last first."""
    found: list[tuple[float, RunningView]] = []
    place = directory()
    if not (place.is_dir() and _is_private(place)):
        return []
    for path in place.glob(f"view-*{_SUFFIX}"):
        try:
            process_id = int(path.stem.removeprefix("view-"))
            if not _is_private(path):
                continue
            if not _runs(process_id):
                path.unlink(missing_ok=True)  # its process was killed
                continue
            given = json.loads(path.read_text("utf-8"))
            view = RunningView(str(given["url"]), str(given["token"]))
            found.append((path.stat().st_mtime, view))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [view for _, view in sorted(found, key=lambda one: one[0], reverse=True)]


def _is_private(path: Path) -> bool:
    """Whether a file or directory is this user's and nobody else can read or change it."""
    if os.name != "posix":
        return True
    found = path.lstat()
    others = stat.S_IRWXG | stat.S_IRWXO
    return (
        found.st_uid == os.getuid()
        and not found.st_mode & others
        and not stat.S_ISLNK(found.st_mode)
    )


def _runs(process_id: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
