import pytest
import sample

from pipecat_dd.demo.received import Received, receive


@pytest.fixture
def received(tmp_path) -> Received:
    chunks, lines = sample.conversation()
    return receive(chunks, sample.write_lines(tmp_path / "bot.jsonl", lines))
