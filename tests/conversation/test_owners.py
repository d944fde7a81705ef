"""Where no context says whose work it is, the object at work does."""

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.ambient import AmbientContext, ObserverBinding
from pipecat_dd.conversation.context import current, current_context, current_session
from pipecat_dd.conversation.live_sessions import register
from pipecat_dd.conversation.model import Phase, Processor, Role, Session


class Worker:
    """Something of a session's, with methods."""

    __hash__ = None  # type: ignore[assignment]

    def session(self) -> Session:
        return current_session()

    def through_a_closure(self) -> Callable[[], Session]:
        def closure() -> Session:
            return (self, current_session())[1]

        return closure


class Slotted:
    __slots__ = ()


def elsewhere(work: Callable[[], Any]) -> Any:
    """Run where no context says anything."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture
def sessions() -> tuple[Session, Session]:
    both = Session("one", "bot"), Session("two", "bot")
    for session in both:
        register(session)
    return both


def test_a_method_of_it_is_the_sessions_work(sessions: tuple[Session, Session]) -> None:
    workers = Worker(), Worker()
    for session, worker in zip(sessions, workers, strict=True):
        stack_lookup.register(session, worker)
    for session, worker in zip(sessions, workers, strict=True):
        assert elsewhere(worker.session) is session
        assert elsewhere(worker.through_a_closure()) is session
    assert not elsewhere(current_session)


def test_its_processor_is_known_too(sessions: tuple[Session, Session]) -> None:
    class Asking(Worker):
        def place(self) -> Any:
            return current_context()

    asking, processor = Asking(), Processor("Asking#0", "Asking", "Asking", Role.OTHER)
    stack_lookup.register(sessions[0], asking, processor)
    assert elsewhere(asking.place).processor is processor


def test_it_says_whose_work_it_is_where_a_task_has_several(
    sessions: tuple[Session, Session],
) -> None:
    worker = Worker()
    stack_lookup.register(sessions[1], worker)
    frame = sys._getframe()
    token = current.set(AmbientContext(*(ObserverBinding(session, frame) for session in sessions)))
    try:
        assert not current_session()
        assert worker.session() is sessions[1]
    finally:
        current.reset(token)


def test_what_two_running_sessions_have_says_nothing(sessions: tuple[Session, Session]) -> None:
    worker = Worker()
    for session in sessions:
        stack_lookup.register(session, worker)
    assert not elsewhere(worker.session)
    for session in sessions:  # and still nothing when it is heard of again
        stack_lookup.register(session, worker)
    assert not elsewhere(worker.session)


def test_the_next_session_takes_over_from_one_that_has_ended(
    sessions: tuple[Session, Session],
) -> None:
    worker = Worker()
    stack_lookup.register(sessions[0], worker)
    sessions[0].phase = Phase.ENDED
    stack_lookup.register(sessions[1], worker)
    assert elsewhere(worker.session) is sessions[1]


def test_it_keeps_neither_the_object_nor_the_session() -> None:
    gc.collect()  # what other tests have left
    before = len(stack_lookup._owned)
    worker, session = Worker(), Session("brief", "bot")
    stack_lookup.register(session, worker)
    del session
    gc.collect()
    assert not elsewhere(worker.session)
    del worker
    gc.collect()
    assert len(stack_lookup._owned) == before


def test_what_cannot_be_held_weakly_is_left_aside(sessions: tuple[Session, Session]) -> None:
    stack_lookup.register(sessions[0], Slotted())
