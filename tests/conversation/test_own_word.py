"""What a bot's own code says of its conversation: `set_outcome` and `set_tag`."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from loguru import logger
from pipecat.frames.frames import EndFrame
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver, Session, current_session
from pipecat_dd.cli.demo.provider import CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from pipecat_dd.conversation.model import Kind, Phase, Stage
from pipecat_dd.conversation.no_session import NO_SESSION
from pipecat_dd.conversation.own_word import MAX_TAGS, OTHER, outcome_of, tag_of
from pipecat_dd.export import notices
from pipecat_dd.export.metrics.values import MAX_VALUES, Values
from pipecat_dd.names import tags
from pipecat_dd.names.metric_tags import SESSION_OUTCOME
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import written_lines


class Tier(StrEnum):
    GOLD = "gold"


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_reported", set())


# In a conversation


def bot_whose_tool(observer: DatadogObserver, work: Any) -> Bot:
    async def handler(params: FunctionCallParams) -> None:
        await work()
        await params.result_callback({"done": True})

    schema = FunctionSchema("work", "Does it.", {}, [])
    return Bot(
        observer,
        script=lambda messages, _: (
            CallTool("work", {}) if "work" in str(messages[-1]["content"]) else Say("Fine.")
        ),
        tools=ToolsSchema(standard_tools=[schema]),
        register=lambda llm: llm.register_function("work", handler),
    )


async def test_outcome_and_tags_stand_on_the_spans(agent: TestAgent) -> None:
    observer = DatadogObserver()
    current_session().set_outcome("too early to say")
    current_session().set_tag("campaign", "spring")
    current_session().set_tag("greeted.by", "Ann", turn=True)

    async def work() -> None:
        session = current_session()
        await asyncio.to_thread(session.set_outcome, "Transferred to human")
        await asyncio.to_thread(session.set_tag, "tier", Tier.GOLD)
        session.set_tag("tier.points", 3)
        session.set_tag("is_new", True)
        session.set_tag("cart.items", 2, turn=True)
        session.set_tag("cart.items", 5, turn=True)

    async with bot_whose_tool(observer, work) as bot:
        await bot.ask("Hello.")
        await bot.ask("work")
        await bot.end()

    trace = agent.session(observer.session_id)
    session = trace.one("pipecat.session")
    assert session["session.outcome"] == "transferred_to_human"
    assert session["campaign"] == "spring"
    assert session["tier"] == "gold"
    assert session.raw["metrics"]["tier.points"] == 3
    assert session["is_new"] == "true"
    assert session.get("cart.items") is None
    first, second = trace.named("pipecat.turn")
    assert first["greeted.by"] == "Ann", "no turn was open yet: the next one has it"
    assert second.get("greeted.by") is None
    assert second.raw["metrics"]["cart.items"] == 5
    assert {s.name for s in trace.spans if "tier" in s.tags} == {"pipecat.session"}


async def test_between_turns_the_next_turn_gets_the_tag(agent: TestAgent) -> None:
    observer = DatadogObserver(turn_end_timeout_secs=0.01)
    async with Bot(observer) as bot:
        await bot.ask("Hello.")
        async with asyncio.timeout(10):
            while observer.session.turn is not None:  # noqa: ASYNC110 - a timer ends it
                await asyncio.sleep(0.01)
        observer.session.set_tag("topic", "pizza", turn=True)
        await bot.ask("And now?")
        await bot.end()
    first, second = agent.session(observer.session_id).named("pipecat.turn")
    assert first.get("topic") is None
    assert second["topic"] == "pizza"


async def test_what_comes_after_the_end_is_ignored_with_one_line(agent: TestAgent) -> None:
    with written_lines() as lines:
        observer = DatadogObserver()
        async with Bot(observer) as bot:
            await bot.ask("Hello.")
            await bot.end()
        for _ in range(3):
            current_session().set_outcome("late")
            observer.session.set_tag("late", 1)
    assert len(lines.saying("session has ended")) == 2, "one for each method"
    assert {line["levelname"] for line in lines.saying("session has ended")} == {"WARNING"}
    session = agent.session(observer.session_id).one("pipecat.session")
    assert session.get("session.outcome") is None
    assert session.get("late") is None


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Have threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_may_set_tags_while_spans_are_written(eager_threads: None) -> None:
    observer = DatadogObserver()
    session, done = observer.session, threading.Event()
    assert session.runtime is not None
    own = session.root.own_tags
    assert own is not None

    def set_many() -> None:
        for _ in range(100):
            own.clear()
            for number in range(MAX_TAGS):
                session.set_tag(f"n.{number}", number)
        done.set()

    thread = threading.Thread(target=set_many)
    thread.start()
    while not done.is_set():
        session.runtime.tree.own_tags(session.root)
    thread.join()
    assert len(own) == MAX_TAGS


async def test_secrets_and_telephone_numbers_are_redacted(agent: TestAgent) -> None:
    observer = DatadogObserver()
    session = observer.session
    session.set_tag("api_key", "abc")
    session.set_tag("note", "call +1 415 555 2671 back")
    session.set_tag("caller_phone", 14155552671)
    session.set_tag("order_id", 4155552671)
    async with Bot(observer) as bot:
        await bot.end()
    span = agent.session(observer.session_id).one("pipecat.session")
    assert span["api_key"] == "[redacted]"
    assert span["note"] == "call [phone] back"
    assert span["caller_phone"] == "[phone]"
    assert span["order_id"] == 4155552671


# What cannot be used


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        ("booked", "booked"),
        ("  Call back ", "call_back"),
        ("v1.2-retry", "v1.2-retry"),
        ("überwiesen", "überwiesen"),
        ("x" * 51, OTHER),
        ("The caller asked: why?", OTHER),
        ("call 415 555 2671", OTHER),
        ("order 20261129", OTHER),
        ("a\nb", OTHER),
        (7, OTHER),
        (["booked"], OTHER),
        ("", None),
        (None, None),
    ],
)
def test_an_outcome_is_one_of_few_values(outcome: object, word: str | None) -> None:
    found = outcome_of(outcome)
    assert found.word == word
    assert bool(found.problem) is (word == OTHER or outcome == "")
    assert "2671" not in found.problem, "what is private is not shown"


@given(st.text() | st.integers() | st.none() | st.binary())
@example("İ" * 50)
def test_any_outcome_is_short_and_sent_alike_on_spans_and_metrics(outcome: object) -> None:
    word = outcome_of(outcome).word
    if word is not None:
        assert 1 <= len(word) <= 50
        assert outcome_of(word).word == word
        assert Values().tag(SESSION_OUTCOME, word) == f"{SESSION_OUTCOME}:{word}"


def test_a_bot_that_makes_up_outcomes_has_few_of_them_as_metrics() -> None:
    values = Values()
    words = [outcome_of(f"outcome {number}").word for number in range(200)]
    sent = {values.tag(SESSION_OUTCOME, word) for word in words}
    assert len(sent) == MAX_VALUES + 1
    assert f"{SESSION_OUTCOME}:other" in sent


RESERVED = (
    *("session_id", "component", "service", "env", "version", "Env", "error", "error.message"),
    *("_dd.p.dm", "manual.drop", "service.name", "session.outcome", "processor.x.frames"),
    *("gen_ai.usage.input_tokens", "failovers.openai"),
)


@pytest.mark.parametrize("name", [*RESERVED, "", "  ", "x" * 201, 3, None])
def test_a_name_that_cannot_be_a_tag_is_left_out_with_a_line(name: Any) -> None:
    with written_lines() as lines:
        observer = DatadogObserver()
        for _ in range(2):
            observer.session.set_tag(name, "value")
    assert observer.session.root.own_tags == {}
    assert len(lines.saying("The tag is left out")) == 1
    assert "set_tag: " in lines.all[0]["message"]


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), b"x", 1j])
def test_a_value_that_is_no_tag_is_left_out_with_a_line(value: Any) -> None:
    with written_lines() as lines:
        observer = DatadogObserver()
        observer.session.set_tag("cart", value)
    assert observer.session.root.own_tags == {}
    assert f"is a {type(value).__name__}" in lines.one("the value of 'cart'")["message"]


@given(st.text(max_size=250), st.text() | st.floats() | st.integers() | st.booleans())
@example("n", 10**5000)
@example("n", float("nan"))
@example("n", 2**53 + 1)
def test_any_value_becomes_one_that_a_span_takes(name: str, value: Any) -> None:
    found = tag_of(Kind.SESSION, name, value)
    if found.value is None:
        assert found.problem
    elif not isinstance(found.value, str):
        assert found.value == value


def test_no_value_changes_nothing() -> None:
    observer = DatadogObserver()
    session = observer.session
    session.set_tag("tier", "gold")
    session.set_tag("tier", None)
    session.set_outcome("booked")
    session.set_outcome("")
    assert session.root.own_tags == {"tier": "gold"}
    assert session.outcome == "booked"


def test_a_span_takes_so_many_tags_and_then_changes_only_those() -> None:
    with written_lines() as lines:
        observer = DatadogObserver()
        session = observer.session
        for number in range(MAX_TAGS + 10):
            session.set_tag(f"n.{number}", number)
        session.set_tag("n.0", "changed")
    assert session.root.own_tags is not None
    assert len(session.root.own_tags) == MAX_TAGS
    assert session.root.own_tags["n.0"] == "changed"
    lines.one(f"a span has {MAX_TAGS} tags")


@given(st.lists(st.sampled_from(["open", "close", "set"]), max_size=30))
def test_each_tag_of_a_turn_is_on_the_turn_that_goes_on_or_the_next(steps: list[str]) -> None:
    session = Session("s", "bot", phase=Phase.RUNNING)
    turns: list[Stage] = []
    expected: list[set[str]] = [set()]
    for number, step in enumerate(steps):
        if step == "set":
            session.set_tag(f"n{number}", number, turn=True)
            expected[-1].add(f"n{number}")
        elif step == "open" and session.turn is None:
            turns.append(Stage(Kind.TURN, session, session.root, "user", 0))
            session.enter_turn(turns[-1])
        elif step == "close" and session.turn is not None:
            session.turn = None
            expected.append(set())
    assert [set(turn.own_tags or ()) for turn in turns] == expected[: len(turns)]


# No session


def test_code_of_no_session_gets_one_that_does_nothing() -> None:
    session = current_session()
    assert session is NO_SESSION
    assert not session
    assert (session.id, session.name, session.tags) == ("", "", {})
    assert session.participants == ()
    assert session.outcome is None
    assert session.export_turn() is session.export_turn(1) is None
    with written_lines() as lines:
        session.set_outcome("booked")
        session.set_tag("tier", "gold")
        session.set_tag("tier", "gold", turn=True)
        with session.bind_participant("p-1"):
            logger.info("within")
    assert [line["message"] for line in lines.all] == ["within"]
    assert "participant_id" not in lines.all[0]
    assert session.outcome is None
    assert session.root.own_tags == {}
    assert session.next_turn_tags == {}


def test_it_has_all_that_a_session_has() -> None:
    public = {name for name in dir(Session("s", "bot")) if not name.startswith("_")}
    assert public <= set(dir(NO_SESSION))


async def test_the_observer_has_its_session_where_no_code_of_it_runs(agent: TestAgent) -> None:
    made: list[DatadogObserver] = []

    async def call() -> None:
        made.append(DatadogObserver())
        async with Bot(made[0]) as bot:
            await bot.ask("Hello.")
            await other_request()
            await bot.push(EndFrame())
            assert bot.running is not None
            await bot.running

    async def other_request() -> None:
        await asyncio.get_running_loop().run_in_executor(
            None, lambda: made[0].session.set_outcome("transferred")
        )

    await call()
    session = agent.session(made[0].session_id).one("pipecat.session")
    assert session[tags.SESSION_OUTCOME] == "transferred"
