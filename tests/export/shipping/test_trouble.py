"""The intake is slow, refuses, cuts connections, is down and comes back."""

import threading
import time
from email.utils import formatdate
from http.client import HTTPMessage
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import unconfigure_logging
from pipecat_dd.export.shipping import Reason, _http, retry, shipping_counts, worker
from tests.export.shipping.conftest import ShipTo, check_sum
from tests.support.intake import KEY, Intake, Reply, always, first, running_intake
from tests.support.ports import free_server_port


def write(*messages: str) -> None:
    for message in messages:
        logger.info(message)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, None])
def test_what_may_pass_is_tried_again_and_arrives_once(
    intake: Intake, ship_to: ShipTo, status: int | None
) -> None:
    intake.script = first(Reply(status), Reply(status))
    ship_to(intake)
    write("one", "two")
    intake.wait_for_lines(2)
    unconfigure_logging()
    assert intake.messages == ["one", "two"]
    assert [request.status for request in intake.requests] == [status, status, 202]
    counted = check_sum()
    assert (counted.shipped, counted.waiting, counted.requests) == (2, 0, 3)
    assert not counted.dropped


def test_what_is_written_meanwhile_comes_after_in_order(intake: Intake, ship_to: ShipTo) -> None:
    intake.script = first(*[Reply(503)] * 4)
    ship_to(intake)
    write(*(f"before {n}" for n in range(5)))
    intake.wait_for_requests(2)
    write(*(f"after {n}" for n in range(5)))
    intake.wait_for_lines(10)
    assert intake.messages == [
        *(f"before {n}" for n in range(5)),
        *(f"after {n}" for n in range(5)),
    ]


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_it_is_left_alone_for_as_long_as_it_asks(
    intake: Intake, ship_to: ShipTo, header: str
) -> None:
    intake.script = first(Reply(429, ((header, "0.5"),)))
    ship_to(intake)
    write("hello")
    intake.wait_for_lines(1)
    asked, again = intake.requests
    assert again.at - asked.at >= 0.5


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "120"}, 120, 120),
        ({"Retry-After": formatdate(time.time() + 3_600, usegmt=True)}, 3_000, 3_600),
        ({"Retry-After": formatdate(time.time() - 60, usegmt=True)}, 0, 0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "7"}, 7, 7),
        ({"X-RateLimit-Reset": "-3"}, 0, 0),
    ],
)
def test_how_long_to_wait_is_read_from_the_answer(
    headers: dict[str, str], least: float, most: float
) -> None:
    message = HTTPMessage()
    for name, value in headers.items():
        message[name] = value
    secs = _http._wait_secs(message)
    assert secs is not None
    assert least <= secs <= most


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf"])
def test_what_is_no_time_to_wait_is_none(text: str) -> None:
    message = HTTPMessage()
    message["Retry-After"] = text
    assert _http._wait_secs(message) is None


def test_waits_grow_and_are_not_the_same_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_SECS", 1.0)
    monkeypatch.setattr(retry, "LONGEST_WAIT_SECS", 60.0)

    def waits() -> list[float]:
        backoff, found = retry.Backoff(), []
        for _ in range(12):
            backoff.record_failure(None)
            found.append(backoff.remaining_secs)
        return found

    one, other = waits(), waits()
    assert one != other
    assert 0.4 < one[0] <= 1
    assert 29 < one[-1] <= 60


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_said_once_and_not_tried_for_ever(
    intake: Intake, ship_to: ShipTo, status: int
) -> None:
    intake.script = always(status)
    sink = ship_to(intake)
    write("first")
    intake.wait_for_requests(retry.REFUSALS_BEFORE_DROPPING)
    for _ in range(50):
        write(*["more"] * 100)
    unconfigure_logging()
    assert len(intake.requests) == retry.REFUSALS_BEFORE_DROPPING
    counted = check_sum()
    assert counted.dropped == {Reason.REFUSED: 5_001}
    said, end = sink.said()
    assert "could not be shipped before the end" in end
    assert "DD_API_KEY" in said
    assert "DD_SITE" in said
    assert str(status) in said
    assert KEY not in sink.text


def test_lines_are_dropped_soon_after_the_key_is_refused_not_at_the_end(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_SPOOL_SECS", 0.05)
    intake.script = always(403)
    ship_to(intake)
    write("first")
    intake.wait_for_requests(retry.REFUSALS_BEFORE_DROPPING)
    write("second")
    wait_until(lambda: shipping_counts().dropped == {Reason.REFUSED: 2})


def test_a_single_refusal_loses_nothing(intake: Intake, ship_to: ShipTo) -> None:
    intake.script = first(Reply(403))
    sink = ship_to(intake)
    write("one")
    intake.wait_for_lines(1)
    unconfigure_logging()
    assert not check_sum().dropped
    assert "accepts the API key again" in sink.text


def test_a_key_that_was_put_right_is_noticed(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "REFUSED_WAIT_SECS", 0.2)
    monkeypatch.setattr(worker, "_SPOOL_SECS", 0.05)
    intake.script = first(*[Reply(403)] * 5)
    ship_to(intake)
    write("one")
    wait_until(lambda: bool(shipping_counts().dropped))
    wait_until(lambda: (write("again"), bool(intake.lines))[1])
    unconfigure_logging()
    check_sum()


def test_what_is_too_large_goes_in_halves(intake: Intake, ship_to: ShipTo) -> None:
    intake.script = lambda number, lines: Reply(413 if len(lines) > 3 else 202)
    ship_to(intake, flush_interval_secs=60)
    messages = [str(n) for n in range(20)]
    write(*messages)
    unconfigure_logging()
    assert intake.messages == messages
    assert not check_sum().dropped


def test_a_single_line_that_is_too_large_goes_alone(intake: Intake, ship_to: ShipTo) -> None:
    intake.script = lambda number, lines: Reply(
        413 if any(line["message"] == "7" for line in lines) else 202
    )
    ship_to(intake, flush_interval_secs=60)
    write(*(str(n) for n in range(20)))
    unconfigure_logging()
    assert intake.messages == [str(n) for n in range(20) if n != 7]
    assert check_sum().dropped == {Reason.TOO_LARGE: 1}


@pytest.mark.parametrize("status", [301, 400, 404])
def test_what_would_be_rejected_again_is_dropped_and_said_once(
    intake: Intake, ship_to: ShipTo, status: int
) -> None:
    intake.script = first(Reply(status, (("Location", "http://127.0.0.1:9/"),)), Reply(status))
    sink = ship_to(intake)
    for number, message in enumerate(("one", "two", "three")):
        write(message)
        intake.wait_for_requests(number + 1)
    intake.wait_for_lines(1)
    unconfigure_logging()
    assert intake.messages == ["three"]
    assert check_sum().dropped == {Reason.REJECTED: 2}
    (said,) = sink.said()
    assert str(status) in said


def test_down_from_the_start_and_then_there(ship_to: ShipTo) -> None:
    port = free_server_port()
    down = stopped(port)
    sink = ship_to(down)
    messages = [str(n) for n in range(2_500)]
    write(*messages)
    wait_until(lambda: shipping_counts().requests >= 2)
    with running_intake(port=port) as up:
        up.wait_for_lines(2_500)
        assert up.messages == messages
        unconfigure_logging()
        assert up.messages == messages
    counted = check_sum()
    assert counted.shipped == 2_500
    assert not counted.dropped
    gone, back = sink.said()
    assert "do not reach" in gone
    assert "again" in back


def test_down_and_back(ship_to: ShipTo) -> None:
    port = free_server_port()
    with running_intake(port=port) as before:
        ship_to(before)
        write("one")
        before.wait_for_lines(1)
    write("two")
    wait_until(lambda: shipping_counts().requests >= 3)
    with running_intake(port=port) as after:
        write("three")
        after.wait_for_lines(2)
        assert after.messages == ["two", "three"]
    assert before.messages == ["one"]
    assert not check_sum().dropped


def test_a_connection_that_was_closed_while_idle_costs_no_request(
    ship_to: ShipTo,
) -> None:
    with running_intake() as intake:
        ship_to(intake)
        write("one")
        intake.wait_for_lines(1)
        wait_until(lambda: shipping_counts().shipped == 1)
        intake.cut_connections()
        write("two")
        intake.wait_for_lines(2)
        assert shipping_counts().requests == len(intake.requests) == 2


def test_an_answer_that_is_lost_has_its_lines_sent_again(intake: Intake, ship_to: ShipTo) -> None:
    # Whether they arrived is unknown: twice is better than never (docs/deploy/agentless.md).
    intake.script = first(Reply(None, keeps=True))
    ship_to(intake)
    write("one")
    intake.wait_for_lines(2)
    assert intake.messages == ["one", "one"]
    assert intake.requests[0].lines == intake.requests[1].lines


def test_one_that_never_answers_is_given_up_on_and_tried_again(
    intake: Intake, ship_to: ShipTo
) -> None:
    intake.script = first(Reply(202, after=threading.Event(), keeps=False))
    ship_to(intake, timeout_secs=0.2)
    write("one")
    intake.wait_for_lines(1)
    assert intake.messages == ["one"]
    assert len(intake.requests) == 2


def test_memory_is_bounded_and_the_newest_lines_stay(intake: Intake, ship_to: ShipTo) -> None:
    hangs = threading.Event()
    intake.script = first(Reply(202, after=hangs))
    sink = ship_to(intake, max_memory_bytes=2**20)
    write("first")
    intake.wait_for_requests(1)
    for number in range(1_500):
        logger.bind(number=number).info("x" * 1_000)
    counted = check_sum()
    assert counted.waiting < 2**20 / 1_000 + 2
    assert set(counted.dropped) == {Reason.MEMORY_FULL}
    hangs.set()
    intake.wait_for_lines(counted.waiting)
    numbers = [line["number"] for line in intake.lines[1:]]
    assert numbers == list(range(1_500 - len(numbers), 1_500))
    unconfigure_logging()
    (said,) = sink.said()
    assert f"{counted.dropped_in_all} log lines were dropped" in said


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("script", [always(403), always(503), always(400), always(None)])
def test_nothing_that_is_said_of_it_is_shipped_or_holds_the_key(
    intake: Intake, ship_to: ShipTo, script: Any
) -> None:
    intake.script = script
    sink = ship_to(intake, {"level": "TRACE", "levels": {"http": "TRACE", "urllib3": "TRACE"}})
    write("one")
    intake.wait_for_requests(1)
    unconfigure_logging()
    assert sink.said()
    assert shipping_counts().written == 1
    assert KEY not in sink.text
    for request in intake.requests:
        assert [line["message"] for line in request.lines] == ["one"]


def stopped(port: int) -> Intake:
    """Return an intake that is down."""
    with running_intake(port=port) as intake:
        pass
    return intake


def wait_until(holds: Any, timeout_secs: float = 10.0) -> None:
    """Wait for what only the counts tell of."""
    deadline = time.monotonic() + timeout_secs
    while not holds():
        assert time.monotonic() < deadline, shipping_counts()
        time.sleep(0.005)
