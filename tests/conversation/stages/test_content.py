"""What a model was given, written down as far as it is kept and no further."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext

from pipecat_dd._pipecat import context_text, spoken_join
from pipecat_dd.cli.demo.provider import Say
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.shapes import watching

PARTS = st.recursive(
    st.text(max_size=30) | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": PARTS}),
    max_size=6,
)


def frame(messages: list[Any]) -> LLMContextFrame:
    return LLMContextFrame(LLMContext(messages))


@given(MESSAGES, st.integers(1, 300))
def test_it_is_what_all_of_it_begins_with(messages: list[Any], max_chars: int) -> None:
    whole = json.dumps(messages, ensure_ascii=False)
    found = context_text(frame(messages), max_chars)
    assert found[:max_chars] == whole[:max_chars]


def test_what_comes_after_is_not_written() -> None:
    written = 0

    class Counted:
        def __str__(self) -> str:
            nonlocal written
            written += 1
            return "one"

    picture = {"type": "image_url", "image_url": {"url": "x" * 10_000_000}}
    messages = [{"role": "user", "content": [picture, Counted()]} for _ in range(1_000)]
    assert len(context_text(frame(messages), 4_000)) < 10_000
    assert written == 1


def test_what_cannot_be_written_is_left_out() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert context_text(frame([{"role": "user", "content": endless}]), 100) == ""


async def test_what_is_spoken_has_the_spaces_between_its_sentences(agent: TestAgent) -> None:
    text = "Nice to hear. Let us begin! Shall we?"
    observer = watching(capture_content=True)
    async with Bot(observer, script=lambda messages, tools: Say(text)) as bot:
        await bot.ask("How are you?")
        await bot.end()
    assert agent.session(observer.session_id).one("pipecat.tts")["tts.text"] == text


class Voice:
    """A TTS service as far as it is asked how it is given text."""

    def __init__(self, mode: str) -> None:
        self._text_aggregation_mode = mode


def test_tokens_bring_their_own_spaces_and_some_scripts_have_none() -> None:
    assert spoken_join(Voice("sentence"), "Hello.", "World.") == " World."
    assert spoken_join(Voice("sentence"), "Hello. ", "World.") == "World."
    assert spoken_join(Voice("sentence"), "", "World.") == "World."
    assert spoken_join(Voice("token"), "Hel", "lo") == "lo"
    assert spoken_join(Voice("sentence"), "你好。", "再见。") == "再见。"
    assert spoken_join(object(), "Hello.", "World.") == " World."
