"""Create the demo's recordings with espeak-ng. Developers run it after changing ``scenario.py``.

    python -m pipecat_dd.cli.demo.recordings.record

It needs the program ``espeak-ng``, and the Python package ``soxr``, which Pipecat depends on.
"""

import io
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]

from pipecat_dd.cli.demo.scenario import CONVERSATION, REPLIES
from pipecat_dd.cli.demo.voice import MICROPHONE_RATE, SPEECH_RATE

HERE = Path(__file__).parent
USER = ("-v", "en-us", "-s", "160")
BOT = ("-v", "en-gb+f2", "-s", "165")
QUIET = 0.005
BOT_PAUSE_SECS = 0.15


def without_pauses(text: str) -> str:
    """Remove the punctuation that makes a speaker pause: the bot takes a pause for the end."""
    return re.sub(r"[,.!]+(?=\s)", "", text)


def record(text: str, options: tuple[str, ...], rate: int, pause_secs: float) -> np.ndarray:
    """Synthesize a text, trim the silence around it, and add a pause after it."""
    command = ["espeak-ng", *options, "--stdout", text]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    samples, wav_rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    samples = soxr.resample(samples, wav_rate, rate)
    loud = np.flatnonzero(np.abs(samples) > QUIET)
    spoken = samples[loud[0] : loud[-1] + 1]
    return np.concatenate([spoken, np.zeros(int(pause_secs * rate), dtype="float32")])


def main() -> None:
    """Create all recordings and their index, and delete the old ones."""
    for old in HERE.glob("*.ogg"):
        old.unlink()
    sentences = {s: None for reply in REPLIES for s in re.split(r"(?<=[.!?])\s+", reply)}
    lines = {line.text: None for line in CONVERSATION}
    index: dict[str, dict[str, str]] = {"user": {}, "bot": {}}
    for who, texts, options, rate, pause_secs in (
        ("user", lines, USER, MICROPHONE_RATE, 0.0),
        ("bot", sentences, BOT, SPEECH_RATE, BOT_PAUSE_SECS),
    ):
        for number, text in enumerate(texts, 1):
            name = f"{who}-{number}.ogg"
            spoken = without_pauses(text) if who == "user" else text
            samples = record(spoken, options, rate, pause_secs)
            soundfile.write(HERE / name, samples, rate, format="OGG", subtype="OPUS")
            index[who][text] = name
    (HERE / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
