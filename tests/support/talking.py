"""What every caller of a bot has, whatever the call goes over: a microphone, and an ear."""

import asyncio
import contextlib
import fractions
import time

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

BREATH_SECS = 1.0
"""How long the bot must be silent for its answer to be over."""
PATIENCE_SECS = 60.0
"""How long a caller waits for the bot before giving up."""

_RATE = 16_000
_FRAME_SAMPLES = _RATE // 50
_LOUD = 100


class Ear:
    """Hears when the bot speaks."""

    def __init__(self) -> None:
        self._has_spoken = False
        self._heard = asyncio.Condition()

    async def hear(self, loudest: int) -> None:
        """Take a piece of sound.

        Args:
            loudest: Its loudest sample, 0 to 32768.
        """
        if loudest > _LOUD:
            async with self._heard:
                self._has_spoken = True
                self._heard.notify_all()

    async def hear_track(self, track: MediaStreamTrack) -> None:
        """Take the sound of a track until its end."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)
            await self.hear(int(abs(frame.to_ndarray().astype(int)).max()))

    def forget(self) -> None:
        """Begin to listen anew: what the bot has said so far is no answer to what comes now."""
        self._has_spoken = False

    async def listen(self) -> None:
        """Wait until the bot has spoken, and is silent again.

        Raises:
            TimeoutError: It did not speak.
        """
        async with self._heard:
            async with asyncio.timeout(PATIENCE_SECS):
                await self._heard.wait_for(lambda: self._has_spoken)
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(BREATH_SECS):
                        await self._heard.wait()
            self._has_spoken = False


class Microphone(MediaStreamTrack):
    """Sends what is said, and silence in between, at the pace of speech."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._speech = b""
        self._said = asyncio.Event()
        self._sent = 0
        self._began_at = 0.0

    async def say(self, pcm: bytes) -> None:
        """Speak, and wait until all is said.

        Args:
            pcm: 16 bit mono PCM at 16 kHz.
        """
        self._said.clear()
        self._speech = pcm
        await self._said.wait()

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms."""
        if not self._sent:
            self._began_at = time.monotonic()
        await asyncio.sleep(self._began_at + self._sent / _RATE - time.monotonic())
        size = 2 * _FRAME_SAMPLES
        piece, self._speech = self._speech[:size].ljust(size, b"\0"), self._speech[size:]
        if not self._speech:
            self._said.set()
        samples = np.frombuffer(piece, "<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = _RATE
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, _RATE)
        self._sent += _FRAME_SAMPLES
        return frame


class Caller:
    """Somebody who talks to a bot over a track.

    Attributes:
        ear: Hears the bot.
        microphone: The track that the bot hears.
    """

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.microphone = Microphone()

    async def says(self, pcm: bytes) -> None:
        """Speak, and wait until all is said.

        Args:
            pcm: 16 bit mono PCM at 16 kHz.
        """
        await self.microphone.say(pcm)
        self.ear.forget()

    async def listens(self) -> None:
        """Wait until the bot has spoken and is silent again.

        Raises:
            TimeoutError: It did not speak.
        """
        await self.ear.listen()
