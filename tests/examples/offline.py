"""Run an example unchanged, as ``python example.py`` would, with its providers on loopback.

A program of its own: ddtrace and logging are set up once in a process, and here the example alone
sets them up. What this program changes is only what is outside of the example: where its services
connect to (OpenAI's SDK reads that from the environment), and that WebRTC peers meet on loopback,
which they never offer by themselves. Warnings about deprecated names of Pipecat that the example
itself uses are errors.

    python -m tests.examples.offline examples/smallwebrtc_bot.py --port 7860
"""

import functools
import os
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    example = Path(sys.argv[1]).resolve()
    # Only of what the example itself calls: the warning is attributed to its module.
    warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
    import ddtrace.auto  # noqa: F401 - first, as in the example itself

    _redirect("pipecat.services.deepgram.stt", "DeepgramSTTService", base_url="DEEPGRAM_URL")
    _redirect("pipecat.services.cartesia.tts", "CartesiaTTSService", url="CARTESIA_URL")
    if "TWILIO_URL" in os.environ:
        _redirect("pipecat.serializers.twilio", "TwilioFrameSerializer", base_url="TWILIO_URL")
    _meet_on_loopback()
    sys.argv = sys.argv[1:]
    runpy.run_path(str(example), run_name="__main__")


def _redirect(module: str, name: str, **arguments: str) -> None:
    """Have all services of a class made with the arguments that these variables hold."""
    service: Any = getattr(__import__(module, fromlist=[name]), name)
    where = {name: os.environ[variable] for name, variable in arguments.items()}
    init = service.__init__

    @functools.wraps(init)
    def redirected(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs, **where)

    service.__init__ = redirected


def _meet_on_loopback() -> None:
    try:
        import aioice.ice
    except ImportError:
        return
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


if __name__ == "__main__":
    main()
