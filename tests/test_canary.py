"""Secrets and content are planted wherever a conversation takes text in, and looked for outside.

Every line, at TRACE, and every span is searched. What was said may leave only where that was
asked for; what unlocks something never may.
"""

import json
import logging
from typing import Any

from loguru import logger
from pipecat.frames.frames import ErrorFrame, Frame, LLMFullResponseStartFrame, LLMTextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver, Redactor, configure_logging, unconfigure_logging
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from pipecat_dd.export.redaction import InForce
from pipecat_dd.testing import Captured, capture
from tests.support.bot import Bot
from tests.support.versions import needs_pipecat

SECRETS = {
    "an OpenAI key": "sk-proj-Zq8canary0000Zq8canary0000",
    "an AWS key": "AKIAZQ8CANARY0000000",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJacTgifQ.Zq8canarysignature",
    "a bearer token": "Zq8bearercanary",
    "a password": "Zq8passwordcanary",
    "a password in a URL": "Zq8urlcanary",
    "a token in a query": "Zq8querycanary",
    "a telephone number": "+14155550142",
}
ALL = (
    "{an OpenAI key} {an AWS key} {a JWT} Bearer {a bearer token} password={a password} "
    "https://me:{a password in a URL}@example.com/x?token={a token in a query}&y=1 "
    "{a telephone number}"
).format_map(SECRETS)

SAID, PROMPT, ARGUMENT, RESULT, REPLY = "pelican", "walrus", "marmot", "ocelot", "gannet"
CONTENT = (SAID, PROMPT, ARGUMENT, RESULT, REPLY)

LOOK = FunctionSchema(
    name="look",
    description=f"Look around. {ALL}",
    properties={"at": {"type": "string"}, "api_key": {"type": "string"}},
    required=[],
)


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    if messages[-1]["role"] == "tool":
        return Say(f"The {REPLY} says {ALL}.")
    return CallTool("look", {"at": f"the {ARGUMENT} {ALL}", "api_key": SECRETS["a password"]})


async def look(params: FunctionCallParams) -> None:
    headers = {"Authorization": f"Bearer {SECRETS['a bearer token']}", "Cookie": ALL}
    logger.bind(headers=headers, url=ALL, token=SECRETS["a password"]).info(f"calling with {ALL}")
    logging.getLogger("some.client").warning("headers: %s", headers)
    await params.result_callback({"found": f"the {RESULT} {ALL}", "secret": SECRETS["a JWT"]})


class Clumsy(FrameProcessor):
    """Fails, and says more than it should."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseStartFrame):
            await self.push_error_frame(ErrorFrame(f"the provider refused {ALL}"))
            try:
                raise ConnectionError(f"cannot reach {ALL}")
            except ConnectionError as error:
                logger.opt(exception=error).error("it failed")
        await self.push_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            raise ValueError(f"cannot parse {ALL}")


async def conversation(*, capture_content: bool) -> Captured:
    clumsy = Clumsy()
    with capture(level="TRACE") as seen:
        bot = Bot(
            DatadogObserver(capture_content=capture_content, tags={"customer": "acme"}),
            script=script,
            tools=ToolsSchema(standard_tools=[LOOK]),
            register=lambda llm: llm.register_function("look", look),
            extra=[clumsy],
        )
        async with bot:
            bot.context.add_message({"role": "system", "content": f"You are a {PROMPT}. {ALL}"})
            await bot.ask(f"Is that a {SAID}? {ALL}")
            bot.provider.fail("chat", status=401)
            await bot.user_says(f"And that, {SAID}? {ALL}")
            await bot.until(ErrorFrame, 3)
            await bot.end()
    assert seen.session().named("pipecat.llm"), "there was no conversation"
    return seen


def told(seen: Captured) -> dict[str, str]:
    """Return all that would have left the process, by where it stood."""
    texts = {f"line {i}": json.dumps(line) for i, line in enumerate(seen.lines)}
    for span in seen.spans:
        texts[f"{span.name} [{span.resource}] {span.span_id}"] = json.dumps(
            [span.name, span.resource, span.tags], default=str
        )
    return texts


def assert_no_secrets(seen: Captured) -> None:
    texts = told(seen)
    for where, text in texts.items():
        for kind, secret in SECRETS.items():
            assert secret not in text, f"{kind} in {where}: {text}"
    for error in ("the provider refused", "cannot reach", "cannot parse"):
        assert any(error in text for text in texts.values()), f"{error!r} was not told at all"


async def test_neither_secrets_nor_content_leave() -> None:
    seen = await conversation(capture_content=False)
    assert_no_secrets(seen)
    for where, text in told(seen).items():
        for content in CONTENT:
            assert content not in text.lower(), f"{content!r} in {where}: {text}"


async def test_content_that_is_asked_for_leaves_and_secrets_do_not() -> None:
    seen = await conversation(capture_content=True)
    assert_no_secrets(seen)
    spans = " ".join(json.dumps(span.tags, default=str) for span in seen.spans)
    lines = " ".join(line["message"] for line in seen.lines)
    for content in CONTENT:
        assert content in spans, f"{content!r} is on no span"
    for content in (SAID, PROMPT, REPLY):
        assert content in lines, f"{content!r} is in no line"


def of_ones_own() -> Redactor:
    def shout(name: str | None, text: str) -> str:
        return text.replace(RESULT, "[animal]")

    return Redactor(patterns=[r"ORD-\d{6}"], callback=shout)


@needs_pipecat("1.8", "a tool that raised is never answered, and the model waits for it")
async def test_rules_of_ones_own_hold_for_lines_and_spans_alike() -> None:
    async def lookup(params: FunctionCallParams) -> None:
        logger.info(f"an {RESULT} ordered ORD-123456")
        raise ValueError(f"no {RESULT} ordered ORD-123456")

    def answers(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        if messages[-1]["role"] == "tool":
            return Say(f"The {RESULT} ordered ORD-123456.")
        return CallTool("look", {"order": "ORD-123456"})

    def text_of(seen: Captured) -> str:
        spans = "".join(f"{span.tags}" for span in seen.spans)
        return spans + json.dumps([dict(line) for line in seen.lines])

    async def converse() -> None:
        async with Bot(
            DatadogObserver(capture_content=True),
            script=answers,
            tools=ToolsSchema(standard_tools=[LOOK]),
            register=lambda llm: llm.register_function("look", lookup),
        ) as bot:
            await bot.ask("What?")
            await bot.end()

    with capture(redact=of_ones_own()) as seen:
        await converse()
    assert "[animal] ordered [redacted]" in text_of(seen)
    tool = next(span for span in seen.spans if span.name == "pipecat.tool")
    assert str(tool.tags["error.message"]).endswith("no [animal] ordered [redacted]")
    assert RESULT not in text_of(seen)
    assert "ORD-123456" not in text_of(seen)

    redactor = of_ones_own()
    configure_logging(lambda line: None, redact=redactor)
    try:
        assert InForce().text("ORD-123456") == "[redacted]"
        configure_logging(lambda line: None, redact=False)
        assert InForce().text("ORD-123456 sk-abcdefghijklmnop") == "ORD-123456 [redacted]"
    finally:
        unconfigure_logging()
    assert InForce().text("ORD-123456") == "ORD-123456"
