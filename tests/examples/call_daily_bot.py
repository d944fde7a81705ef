"""Call ``examples/daily_bot.py``: run it as its user does, with a participant in its room.

A program of its own, run by ``test_daily_bot.py``: ddtrace and logging are set up once in a
process, and here they are to be set up by the example alone. The file itself is run, unchanged
and as ``__main__``. What reaches it from here is what would come from outside: a room, and where
its providers are (OpenAI's is in the environment).
"""

import ddtrace.auto  # noqa: F401, I001 - first, as in the example itself

import argparse
import runpy
import sys
from pathlib import Path


from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService

from tests.examples.offline import redirect
from tests.support.daily_room import Participant, Room

EXAMPLE = Path(__file__).parents[2] / "examples" / "daily_bot.py"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deepgram-url", required=True)
    parser.add_argument("--cartesia-url", required=True)
    parser.add_argument("--speech", type=Path, required=True, help="16 bit mono PCM at 16 kHz")
    args = parser.parse_args()
    redirect(DeepgramSTTService, base_url=args.deepgram_url)
    redirect(CartesiaTTSService, url=args.cartesia_url)
    speech = args.speech.read_bytes()

    def call(participant: Participant) -> None:
        participant.joins()
        participant.listens()
        participant.says(speech)
        participant.listens()

    with Room(call).open() as room:
        sys.argv = [str(EXAMPLE), "--direct"]
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    room.check()


if __name__ == "__main__":
    main()
