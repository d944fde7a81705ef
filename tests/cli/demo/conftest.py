import pytest

from pipecat_dd.cli.demo.received import Received, receive
from tests.cli.demo import sample


@pytest.fixture
def received(tmp_path) -> Received:
    chunks, lines = sample.conversation()
    return receive(chunks, sample.write_lines(tmp_path / "bot.jsonl", lines))
