"""Lines on disk that could not be sent yet: they outlive the process.

A directory of files, each the lines of one request. A file appears under its name whole
(written beside it and renamed) and is never changed, so that a process that is killed leaves
nothing half written. Whoever sends a file's lines holds a lock on it meanwhile, which the
system takes back when the process dies. That is all that processes sharing the directory need
to know of each other: any of them sends what any of them has left.

Nothing is synced to the disk: a restart of the process, or of the container around a mounted
directory, loses nothing; a machine that loses power may.
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

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX: Final = ".lines.gz"
_MAX_AGE_SECS: Final = 18 * 3600
"""Datadog takes lines that are up to 18 hours old."""
_ABANDONED_SECS: Final = 3600
"""After how long a file that is being written is one that nobody writes any more."""


@dataclass(frozen=True, slots=True)
class _Name:
    """What a file's name says: when it was written, by whom, and how many lines it holds."""

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
    """A file of the spool that nobody else sends meanwhile.

    Attributes:
        batch: Its lines.
    """

    def __init__(self, path: Path, descriptor: int, batch: Batch) -> None:
        self._path = path
        self._descriptor = descriptor
        self.batch = batch

    def done(self) -> None:
        """Its lines are dealt with: remove it."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave it for later, or for others."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Spool:
    """The spool of one destination.

    Args:
        directory: Where; made if it is not there.
        destination: The host that the lines are for. Lines for different ones lie apart.
        max_bytes: Disk that all of them may take, whoever has written them; beyond it the
            oldest go.
        counters: Counts them.

    Raises:
        ValueError: The directory cannot be used.
    """

    def __init__(
        self, directory: Path, destination: str, max_bytes: int, counters: Counters
    ) -> None:
        if fcntl is None:
            raise ValueError(
                f"spool_dir={str(directory)!r}: this system has no file locks of POSIX's; "
                "without a spool, lines wait in memory"
            )
        self._directory = directory / destination
        self._max_bytes = max_bytes
        self._counters = counters
        self._numbers = itertools.count()
        self._begin()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self._directory / f".{self._owner}"
            probe.touch(0o600)
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"spool_dir={str(directory)!r}: cannot be written to: {error.strerror}"
            ) from error

    def _begin(self) -> None:
        self._owner = f"{os.getpid()}.{secrets.token_hex(4)}"

    def forked(self) -> None:
        """Write in the name of this process from now on, not in its parent's."""
        self._begin()

    def put(self, batch: Batch) -> None:
        """Write lines, and let go of the oldest where that is too much.

        Args:
            batch: The lines.

        Raises:
            OSError: They cannot be written.
        """
        written_ns = time.time_ns()
        # Digits enough for names to sort by time.
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
        self._keep_within_bounds()

    def oldest(self, *, own: bool) -> Claim | None:
        """Claim the oldest lines that nobody else is sending.

        Args:
            own: Whether only those that this process has written.

        Returns:
            Them, or None where there are none.
        """
        for name in self._names(of=self._owner if own else None):
            path = self._directory / name.text
            descriptor = self._locked(path)
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

    def _names(self, of: str | None = None) -> Iterator[_Name]:
        """Yield what there is, the oldest first; only what one process has written if asked."""
        part = "" if of is None else f"-{of}-"
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
                self._clear_away(self._directory / text)

    def _clear_away(self, hidden: Path) -> None:
        """Remove what a process that was killed had begun to write."""
        try:
            if time.time() - hidden.stat().st_mtime > _ABANDONED_SECS:
                hidden.unlink()
        except OSError:
            pass

    def _locked(self, path: Path) -> int | None:
        """Return a file's descriptor, locked, or None where another process has it."""
        locks: Any = fcntl
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:  # sent meanwhile
            return None
        try:
            locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
            # Another may have sent and removed it between the two.
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

    def _keep_within_bounds(self) -> None:
        names = list(self._names())
        sizes = {name.text: self._size(name) for name in names}
        excess = sum(sizes.values()) - self._max_bytes
        for name in names:
            if excess <= 0:
                return
            path = self._directory / name.text
            descriptor = self._locked(path)
            if descriptor is not None:
                self._discard(path, descriptor, name.lines, Reason.SPOOL_FULL)
                excess -= sizes[name.text]

    def _size(self, name: _Name) -> int:
        try:
            return (self._directory / name.text).stat().st_size
        except OSError:
            return 0
