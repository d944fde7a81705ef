"""Work in a thread pool is done where it was submitted from."""

import multiprocessing.pool
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from pipecat_dd import _guard
from pipecat_dd.conversation import pools
from pipecat_dd.conversation.context import WorkContext, current, current_session
from pipecat_dd.conversation.live_sessions import register
from pipecat_dd.conversation.model import Session
from pipecat_dd.conversation.no_session import NO_SESSION
from pipecat_dd.conversation.pools import carry_into_pools, carry_into_thread_pools

MINE, OTHER = Session("mine", "bot"), Session("other", "bot")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    carry_into_pools()
    for session in (MINE, OTHER):
        register(session)
    with ThreadPoolExecutor(1) as one:
        yield one


def test_work_knows_its_session_and_leaves_nothing_behind(pool: ThreadPoolExecutor) -> None:
    token = current.set(WorkContext(MINE))
    submitted = pool.submit(current_session)
    current.reset(token)
    assert submitted.result() is MINE
    assert pool.submit(current_session).result() is NO_SESSION
    assert pool.submit(current.get).result() is None


def test_arguments_results_and_exceptions_pass_through(pool: ThreadPoolExecutor) -> None:
    current.set(WorkContext(MINE))

    def work(a: int, *, b: int) -> int:
        if b == 0:
            raise ZeroDivisionError
        return a // b

    assert pool.submit(work, 6, b=2).result() == 3
    assert isinstance(pool.submit(work, 6, b=0).exception(), ZeroDivisionError)
    assert list(pool.map(abs, [-1, -2])) == [1, 2]
    submitted: Future[int] = pool.submit(work, 6)  # type: ignore[call-arg]
    assert isinstance(submitted.exception(), TypeError)


def test_it_is_done_once_and_still_looks_the_same() -> None:
    carry_into_pools()
    before = ThreadPoolExecutor.submit
    carry_into_pools()
    assert ThreadPoolExecutor.submit is before
    assert before.__name__ == "submit"
    assert before.__doc__


PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pipecat_dd.conversation.context import WorkContext, current, current_session
from pipecat_dd.conversation.pools import carry_into_pools
from pipecat_dd.conversation.model import Session
from pipecat_dd.conversation.live_sessions import register
import ddtrace
from ddtrace.contrib.internal.futures.patch import patch, unpatch
for step in sys.argv[1:]:
    {"ours": carry_into_pools, "patch": patch, "unpatch": unpatch}[step]()
mine, other = Session("mine", "bot"), Session("other", "bot")
register(mine), register(other)
current.set(WorkContext(mine))
with ThreadPoolExecutor(1) as pool, ddtrace.tracer.trace("span") as span:
    assert pool.submit(current_session).result() is mine
    trace_id = pool.submit(lambda: getattr(ddtrace.tracer.current_trace_context(), "trace_id", 0))
    carried = trace_id.result() == span.trace_id
    assert carried is (sys.argv[-1] != "unpatch" and "patch" in sys.argv), carried
"""


@pytest.mark.parametrize("steps", ["ours", "ours patch", "patch ours", "ours patch unpatch"])
def test_ddtraces_patch_may_come_before_or_after(steps: str) -> None:
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *steps.split()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        timeout=60,
    )


def test_a_failure_of_ours_does_not_reach_who_submits(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr(_guard, "instrumentation", part := _guard.Part("a test's"))
    carry_into_pools()
    monkeypatch.setattr(pools, "carried", broken)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: 7).result() == 7
    with multiprocessing.pool.ThreadPool(1) as threads:
        carry_into_thread_pools()
        assert threads.apply(lambda: 8) == 8
    assert part.failures >= 2
