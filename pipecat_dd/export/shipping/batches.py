"""Lines as requests that keep within what the intake takes.

Datadog's limits (https://docs.datadoghq.com/api/latest/logs/#send-logs): 5 MB a request before
compression, 1,000 lines a request, 1 MB a line. Batches are kept smaller: what is sent at once
is what is in memory three times over for a moment, and what is sent again when an answer is
lost.
"""

import gzip
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

MAX_LINES: Final = 1_000
MAX_REQUEST_BYTES: Final = 5_000_000
MAX_LINE_BYTES: Final = 1_000_000
BATCH_BYTES: Final = 2_000_000
"""How much goes into one request, before compression."""

_LEVEL: Final = 3
"""JSON lines get little smaller above it, and take twice as long."""
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
        # Without a time in it, a request that is sent again is the same to the byte.
        return gzip.compress(b"[" + b",".join(self.lines) + b"]", _LEVEL, mtime=0)

    def halves(self) -> "tuple[Batch, Batch]":
        """Return the first and the second half of the lines."""
        middle = len(self.lines) // 2
        return Batch(self.lines[:middle]), Batch(self.lines[middle:])

    def packed(self) -> bytes:
        """Return the lines for a file."""
        return gzip.compress(b"\n".join(self.lines), _LEVEL, mtime=0)


def unpacked(content: bytes) -> Batch:
    """Return the lines of a file.

    Raises:
        OSError: It is damaged.
        EOFError: It is cut off.
    """
    return Batch(tuple(line for line in gzip.decompress(content).split(b"\n") if line))


class Addressing:
    """Makes a line of the log one of the intake's: says where it comes from.

    Args:
        fields: The members to put before the line's own, as JSON with a comma at the end:
            ``b'"ddsource":"python",'``.
        secret: What is taken out of any line, should the bot have logged it: the API key.
    """

    def __init__(self, fields: bytes, secret: bytes | None) -> None:
        self._fields = fields
        self._secret = secret

    def __call__(self, line: str) -> bytes:
        """Return a line, a JSON object, as what is sent."""
        text = line.encode("utf-8", "replace")
        if self._secret is not None and self._secret in text:
            text = text.replace(self._secret, _REDACTED)
        start = b"{" + self._fields
        return start[:-1] + b"}" if text == b"{}" else start + text[1:]


def size_of(lines: Iterable[bytes]) -> int:
    """Return the bytes that lines take in a request, before compression."""
    return 2 + sum(len(line) + 1 for line in lines)


def batched(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Put lines together as requests, in order.

    Args:
        lines: Lines, each of at most `MAX_LINE_BYTES`.
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
