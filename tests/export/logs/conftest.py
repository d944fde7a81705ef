"""Loguru and the standard library's loggers, put back after each test."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export import correlation
from pipecat_dd.export.correlation import Correlation
from pipecat_dd.export.logs import configure_logging, datadog_format, unconfigure_logging


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    unconfigure_logging()
    logger.remove()
    yield
    unconfigure_logging()
    logger.remove()
    logger.configure(extra={}, patcher=lambda record: None)
    logger.add(sys.__stderr__, level="ERROR")
    root.setLevel(before[0])
    root.handlers[:] = before[1]


class Lines:
    """A sink that keeps what is written, and reads it as JSON."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(str(text))

    def flush(self) -> None:
        pass

    @property
    def text(self) -> str:
        return "".join(self.written)

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def one(self) -> dict[str, Any]:
        (line,) = self.all
        return line


@pytest.fixture
def lines() -> Lines:
    """What `datadog_format` writes."""
    sink = Lines()
    logger.add(sink, format=datadog_format, level=0, catch=False)
    return sink


@pytest.fixture
def configured() -> Callable[..., Lines]:
    """Configures logging with the options given; returns what it writes."""

    def configure(**options: Any) -> Lines:
        sink = Lines()
        configure_logging(sink, **options)
        return sink

    return configure


KNOWN = Correlation(
    session_id="abc123",
    session_trace_id=0x68C1A2B300000000A1B2C3D4E5F60718,
    participant_id="p-1",
    participant_name="manager",
    trace_id="68c1a2b300000000a1b2c3d4e5f60718",
    span_id="9876543210987654321",
    service="pipecat-chatbot",
    env="prod",
    version="1.2.0",
)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[Correlation], None]:
    """Says what is known of the code that logs."""

    def answer(what: Correlation) -> None:
        monkeypatch.setattr(correlation, "correlate", lambda: what)

    answer(KNOWN)
    return answer
