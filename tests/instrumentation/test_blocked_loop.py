"""Who blocks the event loop is named, in its own session; who waits for it says so."""

import asyncio
import http.server
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipecat_dd.instrumentation import blocked_loop
from pipecat_dd.testing import SeenSession, SeenSpan, capture
from tests.instrumentation import blocking_bots as bots
from tests.instrumentation.blocking_bots import Act, Poked

COUNT = 20
EXACT_SECS = 0.03
"""How exact a duration must be."""

PLACES: dict[Act, tuple[Any, str]] = {
    bots.tool_sleeps: (bots.forecast, "pipecat.tool"),
    bots.tool_uses_library: (bots.slow_library, "pipecat.tool"),
    bots.tool_runs_program: (bots.slow_process, "pipecat.tool"),
    bots.processor_sleeps: (Poked.in_process_frame, "pipecat.frame"),
    bots.timer_sleeps: (Poked.blocking_timer, "pipecat.session"),
    bots.own_function_sleeps: (bots.own_function_sleeps, "pipecat.session"),
}
"""What a bot does, the function that blocks, and the span that this is part of."""

NESTED: dict[Act, tuple[str, str]] = {
    bots.callback_sleeps: ("blocking_callback", "pipecat.session"),
    bots.processor_event_sleeps: ("poked", "pipecat.service.event"),
    bots.transport_event_sleeps: ("connected", "pipecat.participant.event"),
    bots.task_sleeps: ("blocking_task", "pipecat.session"),
}
"""The same, for functions within others."""

HARMLESS: tuple[Act, ...] = (bots.thread_sleeps,)
OTHERS: tuple[Act, ...] = (bots.tool_imports, bots.nobodys_callback_sleeps, *HARMLESS)
MATCHING = range(len(PLACES) + len(NESTED) + len(OTHERS), COUNT - 4)
"""The bots that match a pattern. The last bots of all do nothing."""
NAMED: tuple[Act, ...] = (*PLACES, *NESTED, bots.tool_imports)
ACTS: tuple[Act, ...] = (*PLACES, *NESTED, *OTHERS, *(bots.tool_matches for _ in MATCHING))
SURE = len(PLACES) + len(NESTED) + len(OTHERS) - len(HARMLESS) - 2
"""How many blocks are counted at least: a busy machine may hide some."""


class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(bots.BLOCK_SECS)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def slow_server() -> Iterator[None]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        bots.SLOW_URL[0] = f"http://127.0.0.1:{server.server_port}/"
        yield
        server.shutdown()


def on_asyncio(main: Callable[[], Any]) -> None:
    asyncio.run(main())


def on_uvloop(main: Callable[[], Any]) -> None:
    pytest.importorskip("uvloop").run(main())


class Ran:
    """What was seen of twenty bots on one loop, most of which block it once."""

    def __init__(self, run: Callable[[Callable[[], Any]], None]) -> None:
        self.is_asyncio = run is on_asyncio
        self._numbers = {act: number for number, act in enumerate(ACTS)}
        blocked_loop.forget_lines()
        bots.regex_text()
        with capture() as self.seen:
            acts: list[Act | None] = [*ACTS, *[None] * (COUNT - len(ACTS))]
            forget_slow_module()
            run(lambda: bots.run_all(acts))
            # A machine may be so busy that a block is mostly a time without a CPU, which blames
            # nobody. Such a bot tries once more.
            again = [act for act in NAMED if self.is_named(act) and not bots.blocked(self.of(act))]
            if again:
                forget_slow_module()
                self._numbers |= {act: COUNT + at for at, act in enumerate(again)}
                run(lambda: bots.run_all(again, first=COUNT))

    def is_named(self, act: Act) -> bool:
        """Whether the code can be known: uvloop does not show in which context it calls one."""
        return self.is_asyncio or act is not bots.callback_sleeps

    def of(self, act: Act) -> SeenSession:
        """Return what was seen of the bot that did something."""
        return self.seen.session(f"session-{self._numbers[act]}")

    def sessions(self) -> list[SeenSession]:
        """Return what was seen of each of the twenty."""
        return [self.seen.session(f"session-{number}") for number in range(COUNT)]


@pytest.fixture(scope="module", params=[on_asyncio, on_uvloop])
def ran(request: pytest.FixtureRequest, slow_server: None) -> Ran:
    return Ran(request.param)


def forget_slow_module() -> None:
    import sys

    sys.modules.pop("tests.instrumentation.slow_module", None)


def blocked(session: SeenSession) -> SeenSpan:
    (found,) = bots.blocked(session)
    return found


def line_that_blocks(function: Any) -> int:
    """Return the line of a function that blocks: its last, or the one that is marked."""
    lines, first = inspect.getsourcelines(inspect.unwrap(function))
    found = [at for at, line in enumerate(lines) if "block()" in line or "# blocks" in line]
    return first + found[-1]


@pytest.mark.parametrize("act", PLACES, ids=lambda act: act.__name__)
def test_the_place_that_blocked_is_named_where_it_was_at_work(ran: Ran, act: Act) -> None:
    function, above = PLACES[act]
    found = blocked(ran.of(act))
    assert found.resource == f"{bots.__name__}.{function.__qualname__}"
    line = line_that_blocks(function)
    assert found.tags["blocked.location"] == f"tests/instrumentation/blocking_bots.py:{line}"
    assert found.tags["blocked.cause"] == "code"
    assert found.parent is not None
    assert found.parent.name == above
    last = str(found.tags["blocked.stack"]).splitlines()
    assert any(f"{found.resource} (" in call for call in last)


@pytest.mark.parametrize("act", NESTED, ids=lambda act: act.__name__)
def test_a_handler_and_a_task_of_the_bots_are_named_by_their_function(ran: Ran, act: Act) -> None:
    name, above = NESTED[act]
    if not ran.is_named(act):
        assert not bots.blocked(ran.of(act))
        return
    found = blocked(ran.of(act))
    assert found.resource == f"{bots.__name__}.{name}"
    assert found.parent is not None
    assert found.parent.name == above


def test_a_task_is_named(ran: Ran) -> None:
    assert blocked(ran.of(bots.task_sleeps)).tags["blocked.task"] == "of the user's"


def test_it_lies_within_what_it_is_part_of_and_takes_as_long_as_the_block(ran: Ran) -> None:
    wrong: list[float] = []
    for act in (bots.tool_sleeps, bots.processor_sleeps, bots.timer_sleeps, bots.task_sleeps):
        found = blocked(ran.of(act))
        above = found.parent
        assert above is not None
        assert above.start_ns <= found.start_ns
        assert found.end_ns <= above.end_ns
        wrong.append(abs(found.secs - bots.BLOCK_SECS))
    # A busy machine makes some of them longer.
    assert sorted(wrong)[1] < EXACT_SECS


def test_a_module_that_is_slow_to_be_imported_is_named(ran: Ran) -> None:
    found = blocked(ran.of(bots.tool_imports))
    assert found.tags["blocked.import"] == "tests.instrumentation.slow_module"
    assert found.tags["blocked.cause"] == "import"
    assert found.resource == "tests.instrumentation.slow_module.<module>"


def test_code_that_holds_pythons_lock_is_named(ran: Ran) -> None:
    found = [one for at in MATCHING for one in bots.blocked(ran.sessions()[at])]
    # The stack can be read once the lock is free, and on a busy machine not always in time.
    assert found
    assert {one.resource for one in found} == {f"{bots.__name__}.regex"}
    for one in found:
        assert one.parent is not None
        assert one.parent.resource == "regex"
        assert float(one.tags["blocked.cpu_seconds"]) > 0.12


def test_waiting_takes_no_cpu(ran: Ran) -> None:
    assert float(blocked(ran.of(bots.tool_sleeps)).tags["blocked.cpu_seconds"]) < 0.1


def test_nobodys_code_and_a_thread_make_no_span(ran: Ran) -> None:
    for act in (bots.nobodys_callback_sleeps, bots.thread_sleeps):
        assert not bots.blocked(ran.of(act))


def test_no_other_session_is_named(ran: Ran) -> None:
    for number in range(len(ACTS), COUNT):
        assert not bots.blocked(ran.sessions()[number])


def test_each_session_that_waited_says_so(ran: Ran) -> None:
    for session in ran.sessions():
        tags = session.root.tags
        # On a busy machine there may be more.
        assert tags["session.blocked_count"] >= SURE
        assert tags["session.blocked_seconds"] > SURE * 0.9 * bots.BLOCK_SECS
        assert tags["session.longest_blocked_seconds"] > 0.9 * bots.BLOCK_SECS
        for turn in session.named("pipecat.turn"):
            # ddtrace keeps the end of a span to a quarter of a microsecond.
            assert float(turn.tags.get("turn.blocked_seconds", 0)) <= turn.secs + 1e-6


def test_one_line_names_the_place_in_its_session_with_the_spans_id(ran: Ran) -> None:
    for act, (function, _) in PLACES.items():
        session = ran.of(act)
        (line,) = [
            one for one in session.saying("the event loop") if function.__name__ in one["message"]
        ]
        assert line["status"] == "warning"
        assert session.span_of(line) is blocked(session)
        assert " waited" in line["message"]


def test_code_of_no_session_has_a_line_of_no_session(ran: Ran) -> None:
    (line,) = [one for one in ran.seen.lines if "blocking_nobody" in one["message"]]
    assert "session_id" not in line
    assert "dd.trace_id" not in line or line["dd.trace_id"] in (None, "0")
