import asyncio
import io
import wave

import openai
import pytest

from pipecat_dd.cli.demo.provider import NO_DELAYS, CallTool, Provider, Say

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]


def script(messages, tools):
    words = messages[-1]["content"]
    if "both" in words:
        return [
            CallTool("get_weather", {"city": "Paris"}),
            CallTool("get_weather", {"city": "Rome"}),
        ]
    if "weather" in words and tools:
        return CallTool("get_weather", {"city": "Paris"})
    return Say("Hello there, friend.")


@pytest.fixture
async def provider():
    async with Provider(script, delays=NO_DELAYS) as provider:
        yield provider


@pytest.fixture
async def client(provider):
    async with openai.AsyncOpenAI(
        api_key="k", base_url=provider.url, max_retries=0, timeout=10
    ) as client:
        yield client


def ask(client, text, **options):
    return client.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": text}], **options
    )


def one_second_of_silence() -> bytes:
    wav = io.BytesIO()
    with wave.open(wav, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    return wav.getvalue()


def transcribe(client):
    return client.audio.transcriptions.create(
        model="gpt-transcribe", file=("audio.wav", one_second_of_silence(), "audio/wav")
    )


def speak(client, text):
    return client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=text, response_format="pcm"
    )


async def test_a_transcript_is_what_the_driver_says_was_heard(provider, client):
    provider.next_transcript = "how are you"
    assert (await transcribe(client)).text == "how are you"


async def test_an_answer_is_streamed_word_by_word_and_ends_with_usage(client):
    stream = await ask(client, "hi", stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    words = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert "".join(words).strip() == "Hello there, friend."
    assert len(words) == 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens > 0


async def test_usage_is_sent_only_when_asked_for(client):
    chunks = [chunk async for chunk in await ask(client, "hi", stream=True)]
    assert all(chunk.usage is None for chunk in chunks)


async def test_an_answer_comes_whole_when_not_streamed(client):
    completion = await ask(client, "hi")
    assert completion.choices[0].message.content == "Hello there, friend."
    assert completion.usage.total_tokens > 0


async def test_tool_calls_are_streamed_in_pieces_that_make_their_arguments(client):
    stream = await ask(client, "both weathers", stream=True, tools=TOOLS)
    arguments: dict[int, str] = {}
    ids = set()
    async for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
            ids |= {call.id} - {None}
        finish_reason = chunk.choices[0].finish_reason
    assert arguments == {0: '{"city": "Paris"}', 1: '{"city": "Rome"}'}
    assert len(ids) == 2
    assert finish_reason == "tool_calls"


async def test_tool_calls_come_whole_when_not_streamed(client):
    completion = await ask(client, "weather", tools=TOOLS)
    (call,) = completion.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')
    assert completion.choices[0].message.content is None


async def test_speech_is_pcm_as_long_as_the_text(client):
    async with speak(client, "x" * 50) as response:
        audio = await response.read()
    assert len(audio) / 2 / 24000 == pytest.approx(3.0, abs=0.1)


async def test_requests_are_kept_with_body_and_headers(provider, client):
    await ask(client, "hi", extra_headers={"X-Trace": "7"})
    await transcribe(client)
    chat, transcription = provider.requests
    assert chat.endpoint == "chat"
    assert chat.body["messages"][0]["content"] == "hi"
    assert chat.headers["x-trace"] == "7"
    assert chat.headers["authorization"] == "Bearer k"
    assert transcription.body["model"] == "gpt-transcribe"
    assert transcription.audio_bytes > 32000


async def test_a_request_can_be_waited_for(provider, client):
    waiting = asyncio.create_task(provider.requested("chat", 2))
    await ask(client, "one")
    assert not waiting.done()
    await ask(client, "two")
    async with asyncio.timeout(5):
        assert [r.body["messages"][0]["content"] for r in await waiting] == ["one", "two"]


async def test_a_status_on_request_comes_as_an_error_of_openai_and_only_as_often(provider, client):
    provider.fail("chat", status=429)
    with pytest.raises(openai.RateLimitError, match="failed on request"):
        await ask(client, "hi")
    assert (await ask(client, "hi")).choices


async def test_every_endpoint_can_fail_with_a_status(provider, client):
    for endpoint in ("transcriptions", "chat", "speech"):
        provider.fail(endpoint, status=500)
    with pytest.raises(openai.InternalServerError):
        await transcribe(client)
    with pytest.raises(openai.InternalServerError):
        await ask(client, "hi", stream=True)
    with pytest.raises(openai.InternalServerError):
        async with speak(client, "hi"):
            pass


async def test_a_cut_connection_breaks_off_in_the_middle_of_an_answer(provider, client):
    provider.fail("chat", cut_after=2)
    stream = await ask(client, "hi", stream=True)
    assert (await anext(stream)).choices[0].delta.content == ""
    assert (await anext(stream)).choices[0].delta.content == "Hello "
    with pytest.raises(Exception, match=r"(?i)peer|closed|incomplete|connection|disconnected"):
        await anext(stream)


async def test_a_cut_connection_without_any_answer(provider, client):
    provider.fail("transcriptions")
    with pytest.raises(openai.APIConnectionError):
        await transcribe(client)


async def test_the_sdk_gets_over_a_failure_by_trying_again(provider):
    provider.fail("chat", status=503)
    async with openai.AsyncOpenAI(
        api_key="k", base_url=provider.url, max_retries=1, timeout=10
    ) as client:
        assert (await ask(client, "hi")).choices
    assert len(provider.requests) == 2


async def test_two_providers_run_side_by_side(provider):
    async with Provider(lambda *_: Say("other"), delays=NO_DELAYS) as other:
        assert other.url != provider.url
        async with openai.AsyncOpenAI(api_key="k", base_url=other.url) as client:
            assert (await ask(client, "hi")).choices[0].message.content == "other"
