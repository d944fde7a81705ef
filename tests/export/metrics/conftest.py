"""Conversations held once, for all that is to be said of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipecat_dd import _guard
from tests.export.metrics.conversation import Told, hold
from tests.support.dogstatsd import listening
from tests.support.versions import PIPECAT


@pytest.fixture(scope="package")
def told() -> Iterator[Told]:
    """A conversation of which metrics were sent by UDP."""
    if PIPECAT < (1, 8):
        pytest.skip("before Pipecat 1.8: a tool that raised is never answered, and one does here")
    with _nothing_shed(), listening() as received:
        yield hold(received)


@contextmanager
def _nothing_shed() -> Iterator[None]:
    """What other tests of this process have shed is not told of here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_guard, "_dropped", 0)
        yield


@pytest.fixture(autouse=True)
def nothing_shed() -> Iterator[None]:
    """What other tests of this process have shed is not told of here."""
    with _nothing_shed():
        yield


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Where a Unix socket may be; its path must be short."""
    return tmp_path / "dsd.socket"
