"""Call ``examples/daily_bot.py`` over WebRTC, as the page that ``-t webrtc`` serves would.

A program of its own, as ``call_daily_bot.py`` is, and for the same reason. The caller is a real
WebRTC peer in the same process: it listens to the greeting and hangs up.
"""

import ddtrace.auto  # noqa: F401, I001 - first, as in the example itself

import argparse
import asyncio
import runpy

import aioice.ice
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

from tests.examples.call_daily_bot import EXAMPLE, redirect

PATIENCE_SECS = 60.0
BREATH_SECS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deepgram-url", required=True)
    parser.add_argument("--cartesia-url", required=True)
    args = parser.parse_args()
    redirect(DeepgramSTTService, base_url=args.deepgram_url)
    redirect(CartesiaTTSService, url=args.cartesia_url)
    # The peers meet on loopback, which is never offered by itself.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    asyncio.run(asyncio.wait_for(call(), PATIENCE_SECS))


async def call() -> None:
    example = runpy.run_path(str(EXAMPLE), run_name="daily_bot")
    peer = RTCPeerConnection()
    peer.addTransceiver("audio", direction="sendrecv")
    peer.createDataChannel("rtvi-ai", ordered=True)
    bots_voice: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
    peer.on("track", bots_voice.set_result)
    await peer.setLocalDescription(await peer.createOffer())

    # What the runner does with an offer.
    connection = SmallWebRTCConnection()
    await connection.initialize(sdp=peer.localDescription.sdp, type=peer.localDescription.type)
    bot = asyncio.create_task(example["bot"](SmallWebRTCRunnerArguments(connection)))

    answer = connection.get_answer()
    assert answer is not None
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    await until_spoken(await bots_voice)
    await peer.close()
    await bot


async def until_spoken(voice: MediaStreamTrack) -> None:
    """Wait until somebody has spoken and is silent again."""
    silent_secs: float | None = None
    while silent_secs is None or silent_secs < BREATH_SECS:
        try:
            frame = await voice.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, AudioFrame)
        if abs(frame.to_ndarray()).max() > 100:
            silent_secs = 0.0
        elif silent_secs is not None:
            silent_secs += frame.samples / frame.sample_rate


if __name__ == "__main__":
    main()
