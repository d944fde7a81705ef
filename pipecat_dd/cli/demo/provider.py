"""A local server that speaks OpenAI's HTTP protocol for speech and language.

Pipecat's OpenAI services, and the ``openai`` SDK that they use, run against it unchanged: only
their base URL differs. Its answers are configurable: a script returns the model's answers,
``provider.hears`` is the next transcript, and a voice turns text into audio. The server
records every request with its headers, and can be made to answer slowly or to fail.

It implements what Pipecat uses of the protocol: transcriptions of a file, chat completions
(streamed or not, with tool calls and usage), and speech as raw PCM at 24 kHz.

Example::

    def script(messages, tools):
        if messages[-1]["role"] == "tool":
            return Say("It is sunny.")
        return CallTool("get_weather", {"city": "Paris"})

    async with Provider(script) as provider:
        provider.hears = "How is the weather in Paris?"
        llm = OpenAILLMService(api_key="any", base_url=provider.url)
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web

from pipecat_dd.cli.demo.ports import LOOPBACK
from pipecat_dd.cli.demo.voice import SPEECH_RATE, tone

Endpoint = Literal["transcriptions", "chat", "speech"]
Voice = Callable[[str], bytes]
"""Turns a text into speech, as 16-bit mono PCM at 24 kHz."""


@dataclass(frozen=True, slots=True)
class Say:
    """The model answers with a text."""

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """The model asks for a tool to be run."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


Answer = Say | CallTool | Sequence[CallTool]
"""An answer of the model. A sequence of tool calls is a request to run them in parallel."""

Script = Callable[[list[dict[str, Any]], list[dict[str, Any]]], Answer]
"""The model: returns the answer to the messages and tools of a request."""


@dataclass(frozen=True, slots=True)
class Delays:
    """The latencies of the provider, in seconds.

    Attributes:
        transcription_secs: The time until the transcript is sent.
        first_token_secs: The time until the model's first token is sent.
        token_secs: The time between two tokens.
        first_audio_secs: The time until the first audio of a synthesis is sent.
    """

    transcription_secs: float = 0.15
    first_token_secs: float = 0.25
    token_secs: float = 0.02
    first_audio_secs: float = 0.15


NO_DELAYS = Delays(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Failure:
    """How a request fails.

    Attributes:
        status: The HTTP status of an answer with an error in OpenAI's format; None to answer and
            cut the connection instead.
        cut_after: The number of writes before the connection is cut: tokens of a completion, or
            pieces of audio. A transcript is a single write, so any number cuts it.
    """

    status: int | None = None
    cut_after: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was received.

    Attributes:
        endpoint: The endpoint that was called.
        received_at: When the request arrived, in seconds since the epoch.
        headers: The headers, with lower-case names.
        body: The JSON body, or the fields of the form without the file.
        audio_bytes: The size of the uploaded file; 0 if there was none.
    """

    endpoint: Endpoint
    received_at: float
    headers: dict[str, str]
    body: dict[str, Any]
    audio_bytes: int = 0


_AUDIO_PIECE_BYTES = 9600  # 200 ms
_AUDIO_PIECE_SECS = 0.02  # ten times faster than it is spoken
_ARGUMENT_PIECE_CHARS = 6
_MAX_REQUEST_BYTES = 50 * 2**20


class Provider:
    """The server. It runs on a free port for the duration of its ``async with`` block.

    Args:
        script: The model.
        voice: The voice; by default, a quiet tone about as long as speaking the text would take.
        delays: The latencies of answers; by default, those of a fast provider.
        routes: Additional routes, for the requests of a bot's tools.

    Attributes:
        hears: The transcript of the next audio.
        requests: Every request so far, oldest first.
        answers: Every answer of the model so far, oldest first.
    """

    def __init__(
        self,
        script: Script,
        *,
        voice: Voice = tone,
        delays: Delays = Delays(),
        routes: Iterable[web.RouteDef] = (),
    ) -> None:
        self.hears = ""
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self._script = script
        self._voice = voice
        self._delays = delays
        self._failures: dict[Endpoint, list[Failure]] = {}
        self._arrived = asyncio.Condition()
        self._call_numbers = itertools.count(1)
        self._port = 0
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.add_routes(
            [
                web.post("/v1/audio/transcriptions", self._transcriptions),
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/audio/speech", self._speech),
                *routes,
            ]
        )
        # A bot that is interrupted closes the connection; the answer must stop then.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def origin(self) -> str:
        """The server's URL without a path, the base of the additional routes."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def url(self) -> str:
        """The base URL for the ``openai`` SDK."""
        return f"{self.origin}/v1"

    def fail(
        self,
        endpoint: Endpoint,
        *,
        status: int | None = None,
        cut_after: int = 0,
        times: int = 1,
    ) -> None:
        """Make the next requests fail.

        Args:
            endpoint: The endpoint whose requests fail.
            status: The HTTP status of the answer; None to cut the connection.
            cut_after: The number of writes before the connection is cut.
            times: The number of requests that fail. The ``openai`` SDK itself retries twice.
        """
        self._failures.setdefault(endpoint, []).extend([Failure(status, cut_after)] * times)

    def count(self, endpoint: Endpoint) -> int:
        """Return the number of requests that an endpoint has received."""
        return sum(request.endpoint == endpoint for request in self.requests)

    async def requested(self, endpoint: Endpoint, count: int = 1) -> list[Request]:
        """Wait until an endpoint has received a number of requests, and return all of them.

        Args:
            endpoint: The endpoint to wait for.
            count: The total number of requests, earlier ones included.
        """
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.count(endpoint) >= count)
        return [request for request in self.requests if request.endpoint == endpoint]

    async def _record(self, request: Request) -> Failure | None:
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        failures = self._failures.get(request.endpoint)
        return failures.pop(0) if failures else None

    async def _transcriptions(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        upload = form["file"]
        if not isinstance(upload, web.FileField):
            return _error(400, "file must be an upload")
        fields = {name: value for name, value in form.items() if name != "file"}
        audio = upload.file.read()
        failure = await self._record(_request("transcriptions", request, fields, len(audio)))
        transcript = self.hears
        await asyncio.sleep(self._delays.transcription_secs)
        if failure:
            return _fail(request, failure)
        if fields.get("response_format") == "text":
            return web.Response(text=transcript)
        usage = {"type": "duration", "seconds": 1}
        return web.json_response({"text": transcript, "usage": usage})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        failure = await self._record(_request("chat", request, body))
        if failure and failure.status:
            return _fail(request, failure)
        answer = self._script(body["messages"], body.get("tools") or [])
        self.answers.append(answer)
        await asyncio.sleep(self._delays.first_token_secs)
        deltas = list(self._deltas(answer))
        usage = _usage(body["messages"], len(deltas))
        about = {"id": "chatcmpl-demo", "created": int(time.time()), "model": body["model"]}
        if not body.get("stream"):
            return web.json_response(
                {**about, **_whole(deltas), "object": "chat.completion", "usage": usage}
            )
        about["object"] = "chat.completion.chunk"

        async def events() -> AsyncIterator[bytes]:
            for delta in deltas:
                yield _event({**about, "choices": [_choice(delta)]})
                await asyncio.sleep(self._delays.token_secs)
            finish = "stop" if isinstance(answer, Say) else "tool_calls"
            yield _event({**about, "choices": [_choice({}, finish)]})
            if (body.get("stream_options") or {}).get("include_usage"):
                yield _event({**about, "choices": [], "usage": usage})
            yield b"data: [DONE]\n\n"

        return await _stream(request, "text/event-stream", events(), failure)

    def _deltas(self, answer: Answer) -> Iterable[dict[str, Any]]:
        yield {"role": "assistant", "content": ""}
        if isinstance(answer, Say):
            for word in answer.text.split(" "):
                yield {"content": f"{word} "}
            return
        calls = [answer] if isinstance(answer, CallTool) else answer
        for index, call in enumerate(calls):
            function = {"name": call.name, "arguments": ""}
            call_id = f"call_{next(self._call_numbers)}"
            head = {"index": index, "id": call_id, "type": "function", "function": function}
            yield {"tool_calls": [head]}
            arguments = json.dumps(call.arguments)
            for start in range(0, len(arguments), _ARGUMENT_PIECE_CHARS):
                piece = arguments[start : start + _ARGUMENT_PIECE_CHARS]
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        failure = await self._record(_request("speech", request, body))
        if failure and failure.status:
            return _fail(request, failure)
        if body.get("response_format") != "pcm":
            return _error(400, "only response_format=pcm is supported")
        pcm = self._voice(body["input"])
        await asyncio.sleep(self._delays.first_audio_secs)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(pcm), _AUDIO_PIECE_BYTES):
                yield pcm[start : start + _AUDIO_PIECE_BYTES]
                await asyncio.sleep(_AUDIO_PIECE_SECS)

        return await _stream(request, f"audio/pcm;rate={SPEECH_RATE}", pieces(), failure)


def _request(
    endpoint: Endpoint, request: web.Request, body: dict[str, Any], audio_bytes: int = 0
) -> Request:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(endpoint, time.time(), headers, body, audio_bytes)


async def _stream(
    request: web.Request,
    content_type: str,
    pieces: AsyncIterator[bytes],
    failure: Failure | None,
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": content_type})
    await response.prepare(request)
    written = 0
    async for piece in pieces:
        if failure and written >= failure.cut_after:
            return _cut(request, response)
        await response.write(piece)
        written += 1
    await response.write_eof()
    return response


def _fail(request: web.Request, failure: Failure) -> web.StreamResponse:
    if failure.status is None:
        return _cut(request, web.Response())
    return _error(failure.status, "failed on request")


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response


def _error(status: int, message: str) -> web.Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": None}
    return web.json_response({"error": error}, status=status)


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _whole(deltas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Combine the deltas of a streamed answer into an answer that is not streamed."""
    content = ""
    calls: dict[int, dict[str, Any]] = {}
    for delta in deltas:
        content += delta.get("content") or ""
        for part in delta.get("tool_calls", ()):
            call = calls.setdefault(part["index"], {**part, "function": dict(part["function"])})
            if "id" not in part:
                call["function"]["arguments"] += part["function"]["arguments"]
    message: dict[str, Any] = {"role": "assistant", "content": content.strip() or None}
    if calls:
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"}
            for call in calls.values()
        ]
    finish_reason = "tool_calls" if calls else "stop"
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


def _usage(messages: list[dict[str, Any]], completion_tokens: int) -> dict[str, Any]:
    prompt_tokens = sum(len(str(message.get("content") or "").split()) for message in messages)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
