"""The log lines that a bot writes, each with the ids that it is written with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd import configure_logging, unconfigure_logging


@dataclass
class Lines:
    """Lines in the order they were written."""

    all: list[dict[str, Any]] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.all.append(json.loads(text))

    def saying(self, text: str) -> list[dict[str, Any]]:
        """Return the lines whose message contains a text."""
        return [line for line in self.all if text in line["message"]]

    def one(self, text: str) -> dict[str, Any]:
        """Return the only line whose message contains a text."""
        found = self.saying(text)
        assert len(found) == 1, f"{len(found)} lines say {text!r}"
        return found[0]


@contextmanager
def written_lines(level: str = "DEBUG", **options: Any) -> Iterator[Lines]:
    """Collect what is written as JSON lines."""
    lines = Lines()
    configure_logging(lambda message: lines.write(str(message)), level=level, **options)
    try:
        yield lines
    finally:
        unconfigure_logging()
