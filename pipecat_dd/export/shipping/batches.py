"""Groups lines into requests within the intake's limits.

Datadog's limits (https://docs.datadoghq.com/api/latest/logs/#send-logs): 5 MB a request before
compression, 1,000 lines a request, 1 MB a line. Batches are smaller than that: for a moment a
batch is in memory three times, and all of it is sent again when its answer is lost.
"""

import gzip
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

MAX_LINES: Final = 1_000
MAX_REQUEST_BYTES: Final = 5_000_000
MAX_LINE_BYTES: Final = 1_000_000
BATCH_BYTES: Final = 2_000_000
"""The size of one request, before compression."""

_LEVEL: Final = 3
"""Higher levels take twice as long and make JSON lines little smaller."""
_REDACTED: Final = b"[redacted]"


class Batch:
    """Lines of one request, in order.

    Args:
        lines: The lines, each a JSON object.
    """

    def __init__(self, lines: tuple[bytes, ...]) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    @cached_property
    def body(self) -> bytes:
        """The request's body: a JSON array, compressed."""
        # Without a timestamp in it, a repeated request has the same bytes.
        return gzip.compress(b"[" + b",".join(self.lines) + b"]", _LEVEL, mtime=0)

    def halves(self) -> "tuple[Batch, Batch]":
        """Return the first and the second half of the lines."""
        middle = len(self.lines) // 2
        return Batch(self.lines[:middle]), Batch(self.lines[middle:])

    def packed(self) -> bytes:
        """Return the lines as a file's content."""
        return gzip.compress(b"\n".join(self.lines), _LEVEL, mtime=0)


def unpacked(content: bytes) -> Batch:
    """Return the lines of a file, from its content.

    Raises:
        OSError: The file is damaged.
        EOFError: The file is incomplete.
    """
    return Batch(tuple(line for line in gzip.decompress(content).split(b"\n") if line))


class Enricher:
    """Adds to a line the fields that the intake needs: its source, host, service and tags.

    Args:
        fields: The members to put before the line's own, as JSON with a comma at the end:
            ``b'"ddsource":"python",'``.
        secret: The API key, which is removed from lines in case the bot has logged it; None to
            remove nothing.
    """

    def __init__(self, fields: bytes, secret: bytes | None) -> None:
        self._fields = fields
        self._secret = secret

    def __call__(self, line: str) -> bytes:
        """Return a line, which is a JSON object, as it is sent."""
        text = line.encode("utf-8", "replace")
        if self._secret is not None and self._secret in text:
            text = text.replace(self._secret, _REDACTED)
        start = b"{" + self._fields
        return start[:-1] + b"}" if text == b"{}" else start + text[1:]


def size_of(lines: Iterable[bytes]) -> int:
    """Return how many bytes the lines take in a request, before compression."""
    return 2 + sum(len(line) + 1 for line in lines)


def batched(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Group lines into batches, in order.

    Args:
        lines: Lines of at most `MAX_LINE_BYTES` each.
    """
    taken: list[bytes] = []
    size = 2
    for line in lines:
        if taken and (len(taken) == MAX_LINES or size + len(line) + 1 > BATCH_BYTES):
            yield Batch(tuple(taken))
            taken, size = [], 2
        taken.append(line)
        size += len(line) + 1
    if taken:
        yield Batch(tuple(taken))
