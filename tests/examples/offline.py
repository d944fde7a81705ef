"""Run an example unchanged, as ``python example.py`` would, with its providers on loopback.

A program of its own: ddtrace and logging are set up once in a process, and here the example alone
sets them up. What this program changes is only what is outside of the example: where its services
connect to (OpenAI's SDK reads that from the environment), and that WebRTC peers meet on loopback,
which they never offer by themselves. It imports nothing of ddtrace or Pipecat before the example
does. Warnings about deprecated names of Pipecat that the example itself uses are errors.

    python -m tests.examples.offline examples/smallwebrtc_bot.py --port 7860
"""

import functools
import os
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import wrapt

REDIRECTED = (
    # A module, a class in it, and the variable that has the value of one of its arguments.
    ("pipecat.services.deepgram.stt", "DeepgramSTTService", "base_url", "DEEPGRAM_URL"),
    ("pipecat.services.cartesia.tts", "CartesiaTTSService", "url", "CARTESIA_URL"),
    ("pipecat.serializers.twilio", "TwilioFrameSerializer", "base_url", "TWILIO_URL"),
)


def main() -> None:
    example = Path(sys.argv[1]).resolve()
    # Only of what the example itself calls: the warning is attributed to its module.
    warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
    for module, name, argument, variable in REDIRECTED:
        if variable in os.environ:
            _when_imported(module, name, **{argument: os.environ[variable]})
    wrapt.when_imported("aioice.ice")(_meet_on_loopback)
    sys.argv = sys.argv[1:]
    runpy.run_path(str(example), run_name="__main__")


def redirect(service: Any, **where: str) -> None:
    """Have all services of a class made with these arguments besides their own."""
    init = service.__init__

    @functools.wraps(init)
    def redirected(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs, **where)

    service.__init__ = redirected


def _when_imported(module: str, name: str, **where: str) -> None:
    wrapt.when_imported(module)(lambda imported: redirect(getattr(imported, name), **where))


def _meet_on_loopback(aioice: Any) -> None:
    aioice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


if __name__ == "__main__":
    main()
