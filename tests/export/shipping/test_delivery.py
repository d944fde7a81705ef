"""Lines arrive at the intake: all, once, in order, as they are on the sink."""

import json
import logging
import threading
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import Redactor, configure_logging, unconfigure_logging
from pipecat_dd.export.shipping import Shipping, flush_shipping, shipping_counts
from tests.export.shipping.conftest import ShipTo, check_sum
from tests.support.intake import KEY, MAX_LINES, MAX_REQUEST_BYTES, Intake

ADDED = {"ddsource", "ddtags", "hostname"}


def without_added(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ADDED}


def test_a_line_arrives_as_it_is_on_the_sink_and_says_where_it_is_from(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DD_ENV", "prod")
    monkeypatch.setenv("DD_VERSION", "1.2.0")
    monkeypatch.setenv("DD_TAGS", "region:eu,on-call")
    monkeypatch.setenv("DD_HOSTNAME", "pod-7")
    sink = ship_to(intake, tags={"team": "voice"})
    logger.bind(operation="weather", duration_ms=812.4, note='{"a": "é <b>"}').info("{} done", 1)
    (line,) = intake.wait_for_lines(1)
    assert without_added(line) == json.loads(sink.text)
    assert line["message"] == "1 done"
    assert line["service"] == "test-bot"
    assert line["ddsource"] == "python"
    assert line["hostname"] == "pod-7"
    assert set(line["ddtags"].split(",")) == {
        "region:eu", "on-call", "env:prod", "version:1.2.0", "team:voice",
    }  # fmt: skip


def test_a_request_is_what_the_intake_wants(intake: Intake, ship_to: ShipTo) -> None:
    ship_to(intake)
    logger.info("hello")
    (request,) = intake.wait_for_requests(1)
    assert request.path == "/api/v2/logs"
    assert request.headers["dd-api-key"] == KEY
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/json"


def test_what_people_read_on_the_console_goes_as_json_to_datadog(
    intake: Intake, ship_to: ShipTo
) -> None:
    sink = ship_to(intake, {"format": "console"})
    logger.bind(n=1).warning("hello")
    (line,) = intake.wait_for_lines(1)
    assert (line["message"], line["n"], line["status"]) == ("hello", 1, "warning")
    assert "hello n=1" in sink.text
    assert "{" not in sink.text


def test_levels_sampling_and_redaction_hold_for_both(intake: Intake, ship_to: ShipTo) -> None:
    options = {
        "level": "DEBUG",
        "levels": {"chatty": "ERROR"},
        "sample": {"DEBUG": 0.0},
        "redact": Redactor(patterns=["hunter2"]),
    }
    sink = ship_to(intake, options)
    logger.trace("too low")
    logger.debug("sampled away")
    logging.getLogger("chatty").warning("too low for its name")
    logging.getLogger("library").warning("password=hunter2 and hunter2")
    logger.info("last")
    lines = intake.wait_for_lines(2)
    assert [without_added(line) for line in lines] == [
        json.loads(line) for line in sink.text.splitlines()
    ]
    assert "hunter2" not in json.dumps(lines)


def test_thousands_of_lines_from_several_threads_arrive_once_and_in_order(
    intake: Intake, ship_to: ShipTo
) -> None:
    ship_to(intake)
    threads, each = 4, 1_500

    def write(thread: int) -> None:
        for number in range(each):
            logger.bind(thread_=thread, number=number).info("x" * 300)

    running = [threading.Thread(target=write, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    lines = intake.wait_for_lines(threads * each)
    for thread in range(threads):
        numbers = [line["number"] for line in lines if line["thread_"] == thread]
        assert numbers == list(range(each))
    for request in intake.requests:
        assert len(request.lines) <= MAX_LINES
        assert request.size <= MAX_REQUEST_BYTES
    assert len(intake.requests) < 100, "lines are sent together"
    assert intake.connections == 1, "over one connection"
    unconfigure_logging()
    counted = check_sum()
    assert counted.written == counted.shipped == threads * each
    assert counted.waiting == 0
    assert not counted.dropped


def test_configuring_it_twice_alike_goes_on_with_the_same_shipper(
    intake: Intake, ship_to: ShipTo
) -> None:
    ship_to(intake)
    logger.info("one")
    ship_to(intake)
    logger.info("two")
    assert [line["message"] for line in intake.wait_for_lines(2)] == ["one", "two"]
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("pipecat-dd-shipper") == 1


def test_configuring_it_anew_sends_what_was_written_and_then_to_the_other_place(
    intake: Intake, ship_to: ShipTo
) -> None:
    from tests.support.intake import running_intake

    with running_intake() as other:
        ship_to(intake, flush_interval_secs=60)
        logger.info("one")
        ship_to(other, flush_interval_secs=60)
        assert intake.messages == ["one"]
        logger.info("two")
        unconfigure_logging()
        assert other.messages == ["two"]
        assert intake.messages == ["one"]
    assert shipping_counts().shipped == 2


def test_unconfiguring_sends_what_is_left_and_ends_the_thread(
    intake: Intake, ship_to: ShipTo
) -> None:
    ship_to(intake, flush_interval_secs=60)
    logger.info("hello")
    unconfigure_logging()
    assert intake.messages == ["hello"]
    for thread in threading.enumerate():
        if thread.name == "pipecat-dd-shipper":
            thread.join(5)
            assert not thread.is_alive()
    logger.info("not configured any more")
    assert shipping_counts().written == 1


def test_what_is_written_can_be_sent_at_once(intake: Intake, ship_to: ShipTo) -> None:
    ship_to(intake, flush_interval_secs=60)
    logger.info("hello")
    flush_shipping()
    assert intake.messages == ["hello"]


def test_without_ship_nothing_is_sent_and_no_key_is_needed() -> None:
    configure_logging(lambda message: None)
    logger.info("hello")
    assert shipping_counts().written == 0


def test_a_refused_call_leaves_shipping_as_it_was(intake: Intake, ship_to: ShipTo) -> None:
    ship_to(intake)
    with pytest.raises(ValueError, match="rotation"):
        configure_logging(
            "x.log", rotation="never", ship=Shipping(api_key=KEY, site="datadoghq.eu")
        )
    logger.info("hello")
    intake.wait_for_lines(1)


def test_a_bot_that_logs_its_environment_does_not_ship_the_key(
    intake: Intake, ship_to: ShipTo
) -> None:
    ship_to(intake)
    logger.bind(values=[KEY]).info(f"started with {KEY}")
    (line,) = intake.wait_for_lines(1)
    assert line["message"] == "started with [redacted]"
    assert KEY not in json.dumps(line)
