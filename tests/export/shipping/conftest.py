"""A shipper for each test, as configure_logging makes it, and an intake to ship to."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import configure_logging, unconfigure_logging
from pipecat_dd.export.shipping import (
    Counts,
    Shipping,
    counting,
    notices,
    retry,
    shipper,
    shipping_counts,
    worker,
)
from tests.support.intake import KEY, Intake, always, running_intake

QUICK_SECS = 0.02


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with nothing configured, nothing counted, and little patience."""
    for name in ("DD_API_KEY", "DD_SITE", "DD_TAGS", "DD_HOSTNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(retry, "FIRST_WAIT_SECS", QUICK_SECS)
    monkeypatch.setattr(retry, "LONGEST_WAIT_SECS", 4 * QUICK_SECS)
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    unconfigure_logging()
    logger.remove()
    counting.COUNTERS.reset()
    yield
    unconfigure_logging()
    logger.remove()
    logger.add(sys.__stderr__, level="ERROR")
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.fixture
def intake() -> Iterator[Intake]:
    """An intake that takes everything, until its script is changed."""
    with running_intake() as running:
        yield running
        running.script = always()
        unconfigure_logging()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less at the end than users do, where that is not what is tested."""
    monkeypatch.setattr(worker, "SETTLE_SECS", 0.1)
    monkeypatch.setattr(shipper, "SETTLE_SECS", 0.1)
    monkeypatch.setattr(shipper.Shipper.finish, "__defaults__", (0.3,))
    monkeypatch.setattr(shipper.Shipper.close, "__defaults__", (0.3,))


class Sink:
    """A sink that keeps what is written."""

    def __init__(self) -> None:
        self._written: list[str] = []

    def write(self, text: str) -> None:
        self._written.append(str(text))

    @property
    def text(self) -> str:
        return "".join(self._written)

    def said(self, of: str = notices.__name__) -> list[str]:
        """Return the lines that shipping has written of itself."""
        return [line for line in self.text.splitlines() if of in line]


ShipTo = Callable[..., Sink]


@pytest.fixture
def ship_to() -> ShipTo:
    """Configures logging to ship to an intake; returns the other sink."""

    def configure(intake: Intake, logging_options: Any = None, **options: Any) -> Sink:
        options = {"flush_interval_secs": QUICK_SECS, "timeout_secs": 5} | options
        sink = Sink()
        configure_logging(
            sink,
            ship=Shipping(url=intake.url, api_key=KEY, **options),
            **(logging_options or {}),
        )
        return sink

    return configure


def check_sum(counted: Counts | None = None) -> Counts:
    """Hold the counts against each other."""
    counted = counted or shipping_counts()
    assert (
        counted.written + counted.unspooled
        == counted.shipped + counted.dropped_in_all + counted.waiting + counted.spooled
    )
    assert counted.waiting >= 0
    return counted
