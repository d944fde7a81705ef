from collections.abc import Iterator

import pytest

from tests.support.lines import Lines, written_lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines() as written:
        yield written
