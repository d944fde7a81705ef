"""Lines on disk that could not be sent yet, and that outlive the process.

The spool is a directory; each file in it holds the lines of one request. A file is written under
a hidden name, renamed when it is complete, and never changed, so that a killed process leaves no
incomplete file behind. A process holds a lock on a file while it sends its lines; the system
releases the lock if the process dies. Processes that share the directory need no other
coordination: each of them sends what any of them has left.

Nothing is synced to the disk. A restart of the process, or of a container with a mounted
directory, loses nothing; a power failure may.
"""

import itertools
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipecat_dd.export.shipping.batches import Batch, unpacked
from pipecat_dd.export.shipping.counting import Counters, Reason
from pipecat_dd.settings.checks import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX: Final = ".lines.gz"
_MAX_AGE_SECS: Final = 18 * 3600
"""Datadog takes lines that are up to 18 hours old."""
_ABANDONED_SECS: Final = 3600
"""The age at which an incomplete file is taken to be left by a process that was killed."""


@dataclass(frozen=True, slots=True)
class _Name:
    """The parts of a file's name: when it was written, by which process, and its lines."""

    text: str
    written_ns: int
    owner: str
    lines: int

    @classmethod
    def read(cls, text: str) -> "_Name | None":
        parts = text.removesuffix(_SUFFIX).split("-")
        if not text.endswith(_SUFFIX) or len(parts) != 4:
            return None
        try:
            return cls(text, int(parts[0]), parts[1], int(parts[3]))
        except ValueError:
            return None


class Claim:
    """A file of the spool, locked, so that no other process sends it.

    Attributes:
        batch: The lines of the file.
    """

    def __init__(self, path: Path, descriptor: int, batch: Batch) -> None:
        self._path = path
        self._descriptor = descriptor
        self.batch = batch

    def done(self) -> None:
        """Remove the file: its lines were sent or dropped."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Release the lock and keep the file, for later or for another process."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Spool:
    """The spool of one destination.

    Args:
        directory: The directory of all spools; created if it does not exist.
        destination: The host that the lines are for, which has a directory of its own in it.
        max_bytes: How much disk space the files may take, those of other processes included;
            beyond it the oldest are deleted.
        counters: Where the lines are counted.

    Raises:
        ValueError: The directory cannot be used.
    """

    def __init__(
        self, directory: Path, destination: str, max_bytes: int, counters: Counters
    ) -> None:
        if fcntl is None:
            raise ValueError(
                f"spool_dir={shown(str(directory))}: this system has no POSIX file locks; "
                "without a spool, lines wait in memory"
            )
        self._directory = directory / destination
        self._max_bytes = max_bytes
        self._counters = counters
        self._numbers = itertools.count()
        self._set_owner()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._directory / f".{self._owner}"
            probe.touch(0o600)
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"spool_dir={shown(str(directory))}: must be the path of a directory that can be "
                f"written: {error.strerror}"
            ) from error

    def _set_owner(self) -> None:
        self._owner = f"{os.getpid()}.{secrets.token_hex(4)}"

    def after_fork(self) -> None:
        """Name files after the forked process from now on, not after its parent."""
        self._set_owner()

    def put(self, batch: Batch) -> None:
        """Write lines, and delete the oldest files if the limit is exceeded.

        Raises:
            OSError: The lines cannot be written.
        """
        written_ns = time.time_ns()
        # Padded with zeros, so that names sort by time.
        number = next(self._numbers)
        name = f"{written_ns:020d}-{self._owner}-{number:08d}-{len(batch)}{_SUFFIX}"
        hidden = self._directory / f".{name}"
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(batch.packed())
            hidden.rename(self._directory / name)
        except OSError:
            hidden.unlink(missing_ok=True)
            raise
        with self._counters.lock:
            self._counters.spooled += len(batch)
        self._enforce_limit()

    def claim_oldest(self, *, own: bool) -> Claim | None:
        """Claim the oldest file that no other process is sending; None if there is none.

        Args:
            own: Whether to consider only files that this process has written.
        """
        for name in self._names(owner=self._owner if own else None):
            path = self._directory / name.text
            descriptor = self._try_lock(path)
            if descriptor is None:
                continue
            if time.time() - name.written_ns / 1e9 > _MAX_AGE_SECS:
                self._discard(path, descriptor, name.lines, Reason.TOO_OLD)
                continue
            try:
                with open(descriptor, "rb", closefd=False) as file:
                    batch = unpacked(file.read())
            except (OSError, EOFError, ValueError):
                self._discard(path, descriptor, name.lines, Reason.SPOOL_UNREADABLE)
                continue
            return Claim(path, descriptor, batch)
        return None

    def _names(self, owner: str | None = None) -> Iterator[_Name]:
        """Yield the files, the oldest first: all of them, or those of one process."""
        part = "" if owner is None else f"-{owner}-"
        try:
            found = sorted(entry.name for entry in os.scandir(self._directory))
        except OSError:
            return
        for text in found:
            if part not in text:
                continue
            name = _Name.read(text)
            if name is not None:
                yield name
            elif text.startswith("."):
                self._remove_abandoned(self._directory / text)

    def _remove_abandoned(self, hidden: Path) -> None:
        """Remove an incomplete file if the process that wrote it was killed."""
        try:
            if time.time() - hidden.stat().st_mtime > _ABANDONED_SECS:
                hidden.unlink()
        except OSError:
            pass

    def _try_lock(self, path: Path) -> int | None:
        """Lock a file and return its descriptor; None if another process has locked it."""
        locks: Any = fcntl
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:  # another process has sent and removed it
            return None
        try:
            locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
            # Another process may have removed it after it was opened here.
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except OSError:
            pass
        os.close(descriptor)
        return None

    def _discard(self, path: Path, descriptor: int, lines: int, reason: Reason) -> None:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        with self._counters.lock:
            self._counters.unspooled += lines
            self._counters.drop(lines, reason)

    def _enforce_limit(self) -> None:
        names = list(self._names())
        sizes = {name.text: self._size(name) for name in names}
        excess = sum(sizes.values()) - self._max_bytes
        for name in names:
            if excess <= 0:
                return
            path = self._directory / name.text
            descriptor = self._try_lock(path)
            if descriptor is not None:
                self._discard(path, descriptor, name.lines, Reason.SPOOL_FULL)
                excess -= sizes[name.text]

    def _size(self, name: _Name) -> int:
        try:
            return (self._directory / name.text).stat().st_size
        except OSError:
            return 0
