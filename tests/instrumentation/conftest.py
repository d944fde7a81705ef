import pytest

from pipecat_dd.instrumentation import blocked_loop


@pytest.fixture(autouse=True)
def lines_for_all_places() -> None:
    """A place has one line a minute; here each test gets its own."""
    blocked_loop.forget_lines()
