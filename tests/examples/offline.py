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
    from pipecat.serializers.twilio import TwilioFrameSerializer
    from pipecat.services.cartesia.tts import CartesiaTTSService
    from pipecat.services.deepgram.stt import DeepgramSTTService

    redirect(DeepgramSTTService, base_url=os.environ["DEEPGRAM_URL"])
    redirect(CartesiaTTSService, url=os.environ["CARTESIA_URL"])
    if "TWILIO_URL" in os.environ:
        redirect(TwilioFrameSerializer, base_url=os.environ["TWILIO_URL"])
    _meet_on_loopback()
    sys.argv = sys.argv[1:]
    runpy.run_path(str(example), run_name="__main__")


def redirect(service: Any, **where: str) -> None:
    """Have all services of a class made with these arguments besides their own."""
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
