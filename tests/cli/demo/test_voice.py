from importlib import resources

import numpy as np
import pytest

from pipecat_dd.cli.demo import scenario, voice


def seconds(pcm: bytes, rate: int) -> float:
    return len(pcm) / 2 / rate


@pytest.mark.parametrize("line", scenario.CONVERSATION, ids=lambda line: line.text)
def test_every_line_of_the_user_is_recorded_and_audible(line):
    pcm = voice.user_says(line.text)
    assert 0.8 < seconds(pcm, voice.MICROPHONE_RATE) < 4
    assert np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() > 5000


@pytest.mark.parametrize("reply", scenario.REPLIES)
def test_every_reply_of_the_bot_is_recorded_whole(reply, monkeypatch):
    def no_tone(text):
        raise AssertionError(f"not recorded: {text}")

    monkeypatch.setattr(voice, "tone", no_tone)
    assert seconds(voice.bot_says(reply), voice.SPEECH_RATE) > 1


def test_the_report_is_long_enough_to_barge_in():
    assert seconds(voice.bot_says(scenario.PARIS_REPORT), voice.SPEECH_RATE) > 8


def test_a_text_that_was_not_recorded_is_a_tone_of_its_length():
    pcm = voice.bot_says("Nobody has ever recorded this sentence.")
    assert 2 < seconds(pcm, voice.SPEECH_RATE) < 3
    assert np.frombuffer(pcm, "<i2").any()


def test_a_line_that_was_not_recorded_is_refused():
    with pytest.raises(KeyError):
        voice.user_says("Nobody has ever recorded this sentence.")


def test_the_recordings_are_small():
    recordings = resources.files("pipecat_dd.cli.demo") / "recordings"
    assert sum(len(file.read_bytes()) for file in recordings.iterdir() if file.is_file()) < 300_000
