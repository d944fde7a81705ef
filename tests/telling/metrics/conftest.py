"""Conversations held once, for all that is to be said of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dogstatsd import listening
from tests.support.versions import PIPECAT
from tests.telling.metrics.conversation import Told, hold


@pytest.fixture(scope="package")
def told() -> Iterator[Told]:
    """A conversation of which metrics were sent by UDP."""
    if PIPECAT < (1, 8):
        pytest.skip("before Pipecat 1.8: a tool that raised is never answered, and one does here")
    with listening() as received:
        yield hold(received)


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Where a Unix socket may be; its path must be short."""
    return tmp_path / "dsd.socket"
