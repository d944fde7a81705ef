"""Writes what was received to a directory, for ``pipecat-dd report --from``."""

import dataclasses
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from pipecat_dd.cli.view.payloads import PayloadError, RawSpan, line_of, span_kept, spans_of
from pipecat_dd.cli.view.store import Store

SPANS_FILE: Final = "spans.jsonl"
LINES_FILE: Final = "lines.jsonl"
_DEMO_SPANS: Final = "traces.json"
_DEMO_LINES: Final = "bot.jsonl"
_OWNER_ONLY: Final = 0o600


class Keeper:
    """Writes to a directory. Only its owner may read the files: they may hold conversations.

    Args:
        directory: The directory; it is made if it is missing.

    Raises:
        OSError: The files cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._spans = _open(directory / SPANS_FILE)
        self._lines = _open(directory / LINES_FILE)
        self._has_failed = False

    def keep_spans(self, spans: Iterable[RawSpan]) -> None:
        """Write spans."""
        self._write(self._spans, map(dataclasses.asdict, spans))

    def keep_lines(self, lines: Iterable[dict[str, Any]]) -> None:
        """Write lines."""
        self._write(self._lines, lines)

    def close(self) -> None:
        """Close the files."""
        for file in (self._spans, self._lines):
            with suppress(OSError):  # what could not be written before
                file.close()

    def _write(self, file: IO[str], items: Iterable[dict[str, Any]]) -> None:
        if self._has_failed:
            return
        try:
            file.writelines(json.dumps(item, separators=(",", ":")) + "\n" for item in items)
            file.flush()
        except OSError as error:  # the disk is full: the page goes on
            self._has_failed = True
            sys.stderr.write(f"pipecat-dd: --keep stopped writing ({error.strerror})\n")


def _open(path: Path) -> IO[str]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, _OWNER_ONLY)

    file = open(path, "a", encoding="utf-8", opener=opener)  # noqa: SIM115 - the caller closes it
    with suppress(OSError, AttributeError):
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), _OWNER_ONLY)  # one that was there before
    return file


def kept_in(directory: Path, store: Store) -> None:
    """Read what a directory holds: one of ``view --keep``, or of the demo.

    Args:
        directory: The directory.
        store: Where it goes.

    Raises:
        FileNotFoundError: It holds neither spans nor lines.
        OSError: A file cannot be read.
    """
    found = False
    for name in (SPANS_FILE, _DEMO_SPANS, LINES_FILE, _DEMO_LINES):
        path = directory / name
        if not path.exists():
            continue
        found = True
        if name == SPANS_FILE:
            store.add_spans(_spans_in(path))
        elif name == _DEMO_SPANS:
            try:
                store.add_spans(spans_of(path.read_bytes(), "v0.4"))
            except PayloadError as error:
                raise OSError(f"{path}: {error}") from None
        else:
            with path.open(encoding="utf-8", errors="replace") as file:
                store.add_lines(filter(None, map(line_of, file)))
    if not found:
        raise FileNotFoundError(
            f"{directory} contains nothing from `pipecat-dd view --keep` or `pipecat-dd demo`"
        )
    store.end_all()


def _spans_in(path: Path) -> Iterator[RawSpan]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            found = line_of(text)
            if found is None:
                continue
            with suppress(PayloadError):  # written by hand, or by another version
                yield span_kept(found)
