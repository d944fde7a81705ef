"""STT services that own the user's turn, on loopback: a scripted server for each protocol.

Pipecat's own service classes run against them unchanged. They hear nothing: a test says when the
user begins, what is understood so far, and when they have finished.
"""

import asyncio
import contextlib
import importlib
import json
from typing import Any, ClassVar

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.server import WebsocketServer


class TurnServer(WebsocketServer):
    """A server that speaks one provider's protocol.

    Attributes:
        module: Where Pipecat's service for it is.
        class_name: The service's class.
        model: The model that the service names, as in the resource of its spans.
        predicts: Whether the provider predicts ends of turns.
    """

    module: ClassVar[str]
    class_name: ClassVar[str]
    model: ClassVar[str]
    predicts: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._client: ServerConnection | None = None
        self._ready = asyncio.Event()

    @classmethod
    def service_class(cls) -> Any:
        """Return Pipecat's class for it; the test is skipped where it cannot be had."""
        try:
            return getattr(
                importlib.import_module(f"pipecat.services.{cls.module}"), cls.class_name
            )
        except Exception as error:  # Pipecat raises a bare Exception where an SDK is missing
            pytest.skip(f"{cls.class_name}: {error}")

    def service(self, **options: Any) -> Any:
        """Return Pipecat's service, which asks this server."""
        raise NotImplementedError

    async def hangs_up(self) -> None:
        """Close the connection in the middle of things."""
        assert self._client is not None
        self._ready.clear()
        await self._client.close(1011, "overloaded")

    async def says(self, text: str, secs: float = 0.2) -> None:
        """Have the user say something, from its beginning to its end."""
        await self.begins()
        words = text.split()
        for count in range(1, len(words) + 1):
            await asyncio.sleep(secs / len(words))
            await self.understands(" ".join(words[:count]))
        await self.ends(text)

    # What a provider says

    async def begins(self) -> None:
        """The user begins to speak."""
        raise NotImplementedError

    async def understands(self, text: str) -> None:
        """So much of it is understood so far."""
        raise NotImplementedError

    async def predicts_end(self, text: str) -> None:
        """The user has probably finished."""
        raise NotImplementedError

    async def resumes(self) -> None:
        """They had not."""
        raise NotImplementedError

    async def ends(self, text: str) -> None:
        """The user has finished."""
        raise NotImplementedError

    async def greets(self) -> None:
        """A client has connected."""
        self._ready.set()

    async def receives(self, message: Any) -> None:
        """A client sent something that is not audio."""

    async def send(self, **message: Any) -> None:
        """Send a message, once a client is there."""
        async with asyncio.timeout(10):
            await self._ready.wait()
        await self.answer(**message)

    async def answer(self, **message: Any) -> None:
        """Send a message to the client that is there."""
        assert self._client is not None
        await self._client.send(json.dumps(message))

    async def serve(self, client: ServerConnection) -> None:
        self._client = client
        with contextlib.suppress(ConnectionClosed):
            await self.greets()
            async for message in client:
                if isinstance(message, str):
                    await self.receives(json.loads(message) if message else {})


class Flux(TurnServer):
    """https://developers.deepgram.com/reference/speech-to-text/listen-flux"""

    module, class_name = "deepgram.flux.stt", "DeepgramFluxSTTService"
    model, predicts, path = "flux-general-en", True, "/v2/listen"

    def service(self, **options: Any) -> Any:
        return self.service_class()(api_key="any", url=self.url, **options)

    async def greets(self) -> None:
        await self.answer(type="Connected", request_id="r", sequence_id=0)
        self._ready.set()

    async def _info(self, event: str, transcript: str = "") -> None:
        words = [{"word": word, "confidence": 0.9} for word in transcript.split()]
        about = {"turn_index": 0, "audio_window_start": 0.0, "audio_window_end": 0.0}
        about["end_of_turn_confidence"] = 0.25 if event == "Update" else 0.875
        await self.send(type="TurnInfo", event=event, transcript=transcript, words=words, **about)

    async def begins(self) -> None:
        await self._info("StartOfTurn")

    async def understands(self, text: str) -> None:
        await self._info("Update", text)

    async def predicts_end(self, text: str) -> None:
        await self._info("EagerEndOfTurn", text)

    async def resumes(self) -> None:
        await self._info("TurnResumed")

    async def ends(self, text: str) -> None:
        await self._info("EndOfTurn", text)


class CartesiaTurns(TurnServer):
    """https://docs.cartesia.ai/use-the-api/stt/turns"""

    module, class_name = "cartesia.turns.stt", "CartesiaTurnsSTTService"
    model, predicts, path = "ink-2", True, "/stt/turns/websocket"

    def service(self, **options: Any) -> Any:
        return self.service_class()(api_key="any", url=self.url, **options)

    async def greets(self) -> None:
        await self.answer(type="connected", request_id="r")
        self._ready.set()

    async def receives(self, message: Any) -> None:
        if message.get("type") == "close":
            assert self._client is not None
            await self._client.close()

    async def begins(self) -> None:
        await self.send(type="turn.start", transcript="")

    async def understands(self, text: str) -> None:
        await self.send(type="turn.update", transcript=text)

    async def predicts_end(self, text: str) -> None:
        await self.send(type="turn.eager_end", transcript=text)

    async def resumes(self) -> None:
        await self.send(type="turn.resume")

    async def ends(self, text: str) -> None:
        await self.send(type="turn.end", transcript=text)


class AssemblyAI(TurnServer):
    """https://www.assemblyai.com/docs/api-reference/streaming-api/streaming-api"""

    module, class_name, model = "assemblyai.stt", "AssemblyAISTTService", "u3-rt-pro"
    path = "/v3/ws"

    def service(self, **options: Any) -> Any:
        return self.service_class()(
            api_key="any",
            api_endpoint_base_url=self.url,
            vad_force_turn_endpoint=False,
            settings=self.service_class().Settings(model=self.model),
            **options,
        )

    async def greets(self) -> None:
        await self.answer(type="Begin", id="s", expires_at=2_000_000_000)
        self._ready.set()

    async def receives(self, message: Any) -> None:
        if message.get("type") == "Terminate":
            secs = {"audio_duration_seconds": 1.0, "session_duration_seconds": 1.0}
            await self.answer(type="Termination", **secs)

    async def _turn(self, text: str, *, ends: bool) -> None:
        await self.send(
            type="Turn",
            turn_order=0,
            turn_is_formatted=ends,
            end_of_turn=ends,
            transcript=text,
            end_of_turn_confidence=0.9,
            words=[],
        )

    async def begins(self) -> None:
        await self.send(type="SpeechStarted", timestamp=0)

    async def understands(self, text: str) -> None:
        await self._turn(text, ends=False)

    async def ends(self, text: str) -> None:
        await self._turn(text, ends=True)


class Soniox(TurnServer):
    """https://soniox.com/docs/stt/api-reference/websocket-api"""

    module, class_name, model = "soniox.stt", "SonioxSTTService", "stt-rt-v5"
    path = "/transcribe-websocket"

    def service(self, **options: Any) -> Any:
        return self.service_class()(
            api_key="any", url=self.url, vad_force_turn_endpoint=False, **options
        )

    async def _tokens(self, *tokens: tuple[str, bool]) -> None:
        spoken = [{"text": text, "is_final": final, "confidence": 1.0} for text, final in tokens]
        await self.send(tokens=spoken, final_audio_proc_ms=0, total_audio_proc_ms=0)

    async def begins(self) -> None:
        await self._tokens(("…", False))  # there is no event of its own for it

    async def understands(self, text: str) -> None:
        await self._tokens((text, False))

    async def ends(self, text: str) -> None:
        await self._tokens((text, True), ("<end>", True))


class Gradium(TurnServer):
    """https://docs.gradium.ai/api-reference/endpoint/stt-websocket"""

    module, class_name, model = "gradium.stt", "GradiumSTTService", "default"
    path = "/api/speech/asr"

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def service(self, **options: Any) -> Any:
        return self.service_class()(
            api_key="any", api_endpoint_base_url=self.url, enable_turn_detection=True, **options
        )

    async def receives(self, message: Any) -> None:
        if message["type"] == "setup":
            await self.answer(type="ready", request_id="r")
            await self._step(0.95)
            self._ready.set()
        elif message["type"] == "flush":
            await self.answer(type="text", text=self._text)
            await self.answer(type="flushed", flush_id=message["flush_id"])

    async def greets(self) -> None:
        """Wait for the client to say what it wants."""

    async def _step(self, inactivity: float, times: int = 1) -> None:
        horizons = [{"horizon_s": secs, "inactivity_prob": inactivity} for secs in (0.5, 1.0, 3.0)]
        for _ in range(times):
            await self.answer(type="step", vad=horizons, step_idx=0)

    async def begins(self) -> None:
        async with asyncio.timeout(10):
            await self._ready.wait()
        await self._step(0.05, times=20)  # some that follow a flush are passed over

    async def understands(self, text: str) -> None:
        """Fragments come late here: with the flush."""

    async def ends(self, text: str) -> None:
        self._text = text
        await self._step(0.95)


class Speechmatics(TurnServer):
    """https://docs.speechmatics.com/speech-to-text/realtime"""

    module, class_name, model = "speechmatics.stt", "SpeechmaticsSTTService", "linden-1"
    path = "/v2/agent"

    def service(self, **options: Any) -> Any:
        service = self.service_class()
        settings = service.Settings(turn_detection_mode=service.TurnDetectionMode.VAD)
        return service(api_key="any", base_url=self.url, settings=settings, **options)

    async def greets(self) -> None:
        """Wait for the client to say what it wants."""

    async def receives(self, message: Any) -> None:
        if message["message"] == "StartRecognition":
            await self.answer(message="RecognitionStarted", id="s")
            self._ready.set()
        elif message["message"] == "EndOfStream":
            await self.answer(message="EndOfTranscript")

    async def _segment(self, kind: str, text: str) -> None:
        about = {"start_time": 0.0, "end_time": 1.0}
        segment = {"transcript": text, "speaker": "S1"}
        await self.send(message=kind, segment=segment, metadata=about)

    async def begins(self) -> None:
        await self.send(message="StartOfTurn", metadata={"start_time": 0.0})

    async def understands(self, text: str) -> None:
        await self._segment("AddPartialSegment", text)

    async def ends(self, text: str) -> None:
        await self._segment("AddSegment", text)
        await self.send(message="EndOfTurn", metadata={"end_time": 1.0})


class Sarvam(TurnServer):
    """https://docs.sarvam.ai/api-reference-docs/speech-to-text-realtime"""

    module, class_name = "sarvam.stt", "SarvamRealtimeSTTService"
    model, path = "saaras:v3-realtime", "/speech-to-text-realtime/ws"

    def service(self, **options: Any) -> Any:
        return self.service_class()(api_key="any", base_url=self.url, **options)

    async def greets(self) -> None:
        await self.answer(event="session.begin", request_id="r")
        self._ready.set()

    async def begins(self) -> None:
        await self.send(event="vad.speech_start")

    async def understands(self, text: str) -> None:
        await self.send(event="transcript.partial", text=text, language="en-IN")

    async def ends(self, text: str) -> None:
        # The boundary comes first here, and the words after it.
        await self.send(event="vad.speech_end")
        await asyncio.sleep(0.05)
        await self.send(event="transcript.final", text=text, language="en-IN")


SERVERS: tuple[type[TurnServer], ...] = (
    Flux,
    CartesiaTurns,
    AssemblyAI,
    Soniox,
    Gradium,
    Speechmatics,
    Sarvam,
)
"""Each provider whose service owns the user's turn."""
