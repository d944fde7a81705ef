"""An error in any function of ours changes nothing in what the bot does.

Each function of the package is found and made to raise, one at a time, while a conversation
goes on that has a bit of everything. The bot must say the same, in the same order, and end as
it does without the observer.
"""

import asyncio
import importlib
import inspect
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from ddtrace.llmobs import LLMObs
from pipecat.observers.base_observer import BaseObserver

import pipecat_dd
from pipecat_dd import DatadogObserver, _guard, configure_logging, unconfigure_logging
from pipecat_dd._ddtrace import busy
from pipecat_dd.export.metrics import process, sender
from tests.support.conversation import converse

ASIDE = (
    *("pipecat_dd.cli", "pipecat_dd.cli.demo", "pipecat_dd.cli.doctor", "pipecat_dd.cli.setup"),
    *("pipecat_dd.testing", "pipecat_dd.settings"),
    # Broken in the same way in tests/export/shipping/test_nothing_escapes.py.
    "pipecat_dd.export.shipping",
)
"""What is not in a bot's path, or may refuse at construction."""

ENTRIES = {
    # Where Pipecat, Loguru and ddtrace come in. What they call is guarded in them.
    "DatadogObserver.__init__",
    "DatadogObserver.setup",
    "DatadogObserver.cleanup",
    "DatadogObserver.on_processor_setup",
    "DatadogObserver.on_process_frame",
    "DatadogObserver.on_push_frame",
    "DatadogObserver.on_pipeline_started",
    "_SparingQueue.put",
    # The way to those of the observer: there is no call of ours that could guard it.
    "_OnInstance.__get__",
    "Part.failed",
    "Part.guarded",
}


ALWAYS = (
    *("blocked_loop", "code_places", "gc_clock", "loop_watch", "running_code", "standstill"),
    "thread_counters",
)
"""Modules of which a thread runs parts that no profile function sees, or only now and then."""

PARTS = 12
"""Into how many tests the functions are divided, to be run side by side."""


class InjectedError(Exception):
    """What a function of ours is made to raise."""


def functions() -> Iterator[tuple[str, Any, str, FunctionType]]:
    """Yield each function of the package: its name, its owner, its attribute, itself."""
    for found in pkgutil.walk_packages(pipecat_dd.__path__, "pipecat_dd."):
        if found.name.startswith(ASIDE):
            continue
        module = importlib.import_module(found.name)
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                yield f"{module.__name__}:{name}", module, name, value
            elif inspect.isclass(value):
                for attribute, member in list(vars(value).items()):
                    if inspect.isfunction(member) and f"{name}.{attribute}" not in ENTRIES:
                        generated = member.__code__.co_filename.startswith("<")
                        if (not generated and attribute != "__new__") or attribute == "__init__":
                            yield f"{module.__name__}:{name}.{attribute}", value, attribute, member


def references(function: FunctionType) -> list[tuple[ModuleType, str]]:
    """Return the modules that hold a function under a name of theirs."""
    return [
        (module, name)
        for found in pkgutil.walk_packages(pipecat_dd.__path__, "pipecat_dd.")
        if not found.name.startswith(ASIDE)
        for module in [importlib.import_module(found.name)]
        for name, value in list(vars(module).items())
        if value is function
    ]


@cache
def called() -> set[CodeType]:
    """Return the code that the conversation runs. A function that it does not call breaks nothing.

    The conversation is held a few times, since how busy the machine is decides some of it.
    """
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            codes.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        for llmobs in (False, True, False):
            configure_logging(lambda message: None, level="DEBUG")
            sender._shared = process._shared = None
            asyncio.run(converse(partial(with_observer, llmobs=llmobs)))
            unconfigure_logging()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        LLMObs.disable()
    return codes


def may_be_called(function: FunctionType) -> bool:
    module = function.__module__.rpartition(".")[2]
    return module in ALWAYS or inspect.unwrap(function).__code__ in called()


def raising(function: FunctionType) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def raises_later(*args: Any, **kwargs: Any) -> Any:
            raise InjectedError(function.__qualname__)

        return raises_later

    def raises(*args: Any, **kwargs: Any) -> Any:
        raise InjectedError(function.__qualname__)

    return raises


def with_observer(*, llmobs: bool = False) -> list[BaseObserver]:
    return [
        DatadogObserver(
            frame_spans="all", capture_content=True, metrics=True, llmobs=llmobs or None
        )
    ]


@pytest.fixture(autouse=True)
def no_llm_observability() -> Iterator[None]:
    """Turn it off again: it is on for a whole process, and other tests run in this one."""
    yield
    LLMObs.disable()


@pytest.fixture(autouse=True)
def fresh_guards() -> Iterator[None]:
    parts = [part for part in vars(_guard).values() if isinstance(part, _guard.Part)]
    yield
    for part in parts:
        part.failures, part.off = 0, False
        part._kinds.clear()
    # Where the function that ends it was made to raise, it would be busy for the tests after.
    vars(busy.thread_state).clear()


NAMES = [name for name, *_ in functions()]


def test_the_functions_are_found() -> None:
    assert len(NAMES) > 250
    assert "pipecat_dd.conversation.turns:Turns.begin_user_turn" in NAMES


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_error_of_ours_changes_what_the_bot_does(
    monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    expected = asyncio.run(converse(list))
    broken: list[str] = []
    reached = [found for found in functions() if may_be_called(found[-1])]
    assert len(reached) > 400
    for name, owner, attribute, function in reached[part::PARTS]:
        for guard in (p for p in vars(_guard).values() if isinstance(p, _guard.Part)):
            guard.failures, guard.off = 0, False
        configure_logging(lambda message: None, level="DEBUG")
        if ".metrics." in name:
            # As if the process had just begun: some of it is done once.
            sender._shared = process._shared = None
        with monkeypatch.context() as patch:
            if inspect.isclass(owner):
                patch.setattr(owner, attribute, raising(function))
            else:
                for module, held_as in references(function):
                    patch.setattr(module, held_as, raising(function))
            try:
                seen = asyncio.run(converse(partial(with_observer, llmobs="llmobs" in name)))
                if seen != expected:
                    broken.append(f"{name}: the bot did something else")
            except Exception as error:
                broken.append(f"{name}: {type(error).__name__}: {error}")
        unconfigure_logging()
    assert not broken, "\n".join(broken)
