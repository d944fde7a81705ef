"""Conversations held once, for all that is to be said of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dogstatsd import listening
from tests.telling.metrics.conversation import Told, hold


@pytest.fixture(scope="package")
def told() -> Iterator[Told]:
    """A conversation of which metrics were sent by UDP."""
    with listening() as received:
        yield hold(received)


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Where a Unix socket may be; its path must be short."""
    return tmp_path / "dsd.socket"
