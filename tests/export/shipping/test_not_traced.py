"""Requests of shipping's own become neither spans of the conversation nor lines to ship."""

import http.client
import logging
import threading
from collections.abc import Iterator

import ddtrace
import pytest
from loguru import logger

from pipecat_dd.export.shipping import _http, flush_shipping
from pipecat_dd.testing import capture
from tests.export.shipping.conftest import ShipTo
from tests.support.intake import Intake, running_intake


@pytest.fixture
def patched() -> Iterator[None]:
    """ddtrace's patch of http.client, which is on only where somebody asks for it."""
    from ddtrace.contrib.internal.httplib.patch import unpatch

    ddtrace.patch(httplib=True)
    yield
    unpatch()


@pytest.mark.usefixtures("patched")
def test_ddtrace_does_not_trace_them(intake: Intake, ship_to: ShipTo) -> None:
    with running_intake() as elsewhere, capture() as seen:
        ship_to(intake)
        logger.info("hello")
        flush_shipping()
        assert [span.name for span in seen.spans] == []
        connection = http.client.HTTPConnection("127.0.0.1", elsewhere.port)
        connection.request("POST", "/", b"", {"Content-Length": "0"})
        with pytest.raises(http.client.HTTPException):
            connection.getresponse()
        assert [span.name for span in seen.spans] == ["http.client.request"], "the patch is on"
    assert intake.messages == ["hello"]
    assert not [name for name in intake.requests[0].headers if "datadog" in name]


def test_nothing_is_logged_of_them_at_the_lowest_level(intake: Intake, ship_to: ShipTo) -> None:
    logging.getLogger().setLevel(1)
    ship_to(intake, {"level": "TRACE", "levels": {"http": 1, "urllib3": 1, "ssl": 1}})
    for number in range(3):
        logger.trace(f"line {number}")
        flush_shipping()
    assert intake.messages == ["line 0", "line 1", "line 2"]


def test_what_a_library_logs_of_a_request_of_ours_is_not_shipped_in_turn(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = http.client.HTTPConnection.connect

    def connect_and_log(self: http.client.HTTPConnection) -> None:
        logging.getLogger("some.library").warning("a connection was made")
        thread = threading.Thread(target=logging.getLogger("some.library").warning, args=("x",))
        thread.start()
        thread.join()
        connect(self)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect_and_log)
    # Each request by a connection of its own.
    monkeypatch.setattr(_http, "_IDLE_SECS", -1)
    ship_to(intake)
    for number in range(3):
        logger.info(f"line {number}")
        flush_shipping()
    logging.getLogger("some.library").warning("on the bot's behalf")
    flush_shipping()
    assert intake.messages == ["line 0", "line 1", "line 2", "on the bot's behalf"]
