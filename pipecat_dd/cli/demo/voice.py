"""The voices of the demo's user and bot: recordings that are part of this package.

Each sentence is an Opus file in an Ogg container, and an index maps texts to files.
``recordings/README`` says how to create them.
"""

import json
import re
from functools import cache
from importlib import resources

import numpy as np
import soundfile  # type: ignore[import-untyped]

MICROPHONE_RATE = 16_000
"""The user's sample rate in Hz, as Silero's voice activity detector requires it."""

SPEECH_RATE = 24_000
"""The bot's sample rate in Hz, as OpenAI's speech synthesis sends it."""

_RECORDINGS = resources.files("pipecat_dd.cli.demo") / "recordings"
_SECS_PER_CHAR = 0.06
_TONE_HZ = 220.0
_TONE_LEVEL = 0.05


@cache
def _index() -> dict[str, dict[str, str]]:
    index: dict[str, dict[str, str]] = json.loads((_RECORDINGS / "index.json").read_text("utf-8"))
    return index


def user_says(text: str) -> bytes:
    """Return a recorded sentence of the user as 16-bit mono PCM at 16 kHz.

    Args:
        text: The sentence, exactly as it was recorded.

    Raises:
        KeyError: The sentence was not recorded.
    """
    return _decode(_index()["user"][text], MICROPHONE_RATE)


def bot_says(text: str) -> bytes:
    """Return a text in the bot's voice as 16-bit mono PCM at 24 kHz.

    Args:
        text: One or more sentences. A sentence that was not recorded becomes a quiet tone.
    """
    recorded = _index()["bot"]
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    return b"".join(
        _decode(recorded[sentence], SPEECH_RATE) if sentence in recorded else tone(sentence)
        for sentence in sentences
    )


def tone(text: str) -> bytes:
    """Return a quiet tone about as long as speaking a text takes, as 16-bit mono PCM at 24 kHz."""
    count = int(len(text) * _SECS_PER_CHAR * SPEECH_RATE)
    seconds = np.arange(count) / SPEECH_RATE
    samples = np.sin(2 * np.pi * _TONE_HZ * seconds) * _TONE_LEVEL * 32767
    return samples.astype("<i2").tobytes()


def _decode(name: str, rate: int) -> bytes:
    with (_RECORDINGS / name).open("rb") as file:
        samples, file_rate = soundfile.read(file, dtype="int16")
    if file_rate != rate:
        raise ValueError(f"{name} is recorded at {file_rate} Hz, not {rate}")
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm
