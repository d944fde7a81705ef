"""Follows a log file: its JSON lines, as they are written."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pipecat_dd.cli.view.payloads import line_of

_POLL_SECS: Final = 0.2
_MAX_READ_BYTES: Final = 4 * 2**20
_MAX_LINE_BYTES: Final = 2**20


async def follow(path: Path, take: Callable[[list[dict[str, Any]]], None]) -> None:
    """Read a file from its beginning, and then what is added, for ever.

    It may not be there yet, and may be replaced by a new one (log rotation) or be cut.

    Args:
        path: The file.
        take: Gets the lines that are JSON objects.
    """
    position, rest, file_id = 0, b"", (0, 0)
    while True:
        with contextlib.suppress(OSError):
            found = os.stat(path)
            current = (found.st_dev, found.st_ino)
            if current != file_id or found.st_size < position:
                position, rest, file_id = 0, b"", current
            if found.st_size > position:
                read = _read(path, position)
                position += len(read)
                *whole, rest = (rest + read).split(b"\n")
                if len(rest) > _MAX_LINE_BYTES:
                    rest = b""
                take(
                    [
                        line
                        for text in whole
                        if (line := line_of(text.decode("utf-8", "replace"))) is not None
                    ]
                )
                if len(read) == _MAX_READ_BYTES:
                    await asyncio.sleep(0)
                    continue
        await asyncio.sleep(_POLL_SECS)


def _read(path: Path, position: int) -> bytes:
    with path.open("rb") as file:
        file.seek(position)
        return file.read(_MAX_READ_BYTES)
