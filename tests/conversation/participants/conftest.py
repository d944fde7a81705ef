from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.support.lines import Lines, written_lines

# A transport can only be tested where what it stands on is installed.
collect_ignore = [
    file
    for module, file in (
        ("livekit", "test_livekit.py"),
        ("uvicorn", "test_runner.py"),
        ("uvicorn", "test_websocket.py"),
    )
    if find_spec(module) is None
]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines() as written:
        yield written
