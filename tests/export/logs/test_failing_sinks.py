"""A sink that fails shows nothing of what was to be written, and says so once."""

import asyncio
import io
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import configure_logging, datadog_format, failing, unconfigure_logging
from tests.export.logs.conftest import Lines

SECRETS = ("hunter2-hunter2", "sk-proj-abcdefghij", "tulip", "415 555 0123", "secret-in-an-error")
FULL = "/dev/full"

needs_full = pytest.mark.skipif(not os.path.exists(FULL), reason="this system has no /dev/full")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failing, "_reported", set())


def write_secrets() -> None:
    """What the bot writes; its callers must not learn that it fails."""
    logger.bind(password=SECRETS[0], ok=1).info("logging in")
    logger.info("key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")
    logger.patch(lambda r: r.update(name="pipecat.services.x")).info("Transcription: [tulip]")
    logging.getLogger("some.library").warning("call %s", "+1 415 555 0123")
    try:
        raise ValueError("secret-in-an-error " + "Bearer abcdefghijklmnop")
    except ValueError:
        logger.exception("failed")


def full() -> Any:
    return open(FULL, "w", buffering=1)


def gone() -> Any:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", buffering=1)


def closed() -> Any:
    stream = io.StringIO()
    stream.close()
    return stream


def raising() -> Any:
    def sink(message: Any) -> None:
        raise RuntimeError(f"cannot post {message.record}")

    return sink


class Raising:
    def __repr__(self) -> str:
        return "<Raising api_key=sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH>"

    def write(self, text: Any) -> None:
        raise KeyError(text.record)


def handler() -> Any:
    return logging.StreamHandler(full())


def handler_that_raises() -> Any:
    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError(record)

    return Own()


FAILING = [
    pytest.param(full, marks=needs_full),
    gone,
    closed,
    raising,
    Raising,
    pytest.param(handler, marks=needs_full),
    handler_that_raises,
    pytest.param(lambda: Path(FULL), id="path", marks=needs_full),
]


@pytest.fixture
def err(capfd: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """What was written to standard error, whoever wrote it."""
    yield lambda: capfd.readouterr().err
    unconfigure_logging()


def assert_said_once(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text
    assert text.count("This is reported once") == 1, text
    assert len(text.splitlines()) == 1, text
    assert text.startswith("pipecat_dd: the log sink ")


@pytest.mark.parametrize("enqueue", [False, True], ids=["direct", "enqueued"])
@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("sink", FAILING)
def test_nothing_is_shown_and_it_is_said_once(
    sink: Any, format_: Any, enqueue: bool, err: Any
) -> None:
    configure_logging(sink(), level="DEBUG", format=format_, enqueue=enqueue)
    for _ in range(20):
        write_secrets()
    if enqueue:
        logger.complete()
    assert_said_once(err())


# A full file raises once more when Loguru closes it, which is then the user's to do; a handler of
# the standard library's reports by itself, and has only our line.
@pytest.mark.parametrize("sink", [full, gone, closed, raising, Raising, handler_that_raises])
def test_nothing_is_shown_where_the_user_has_added_the_sink(sink: Any, err: Any) -> None:
    if sink is full and not os.path.exists(FULL):
        pytest.skip("this system has no /dev/full")
    logger.add(sink(), format=datadog_format)
    for _ in range(20):
        write_secrets()
    assert_said_once(err())


async def test_a_coroutine_that_fails_is_said_once(err: Any) -> None:
    async def sink(message: Any) -> None:
        await asyncio.sleep(0)
        raise RuntimeError(f"no answer to {message.record}")

    configure_logging(sink, level="DEBUG")
    for _ in range(20):
        write_secrets()
    await logger.complete()
    assert_said_once(err())


async def test_one_that_fails_after_it_was_removed_shows_nothing_either(err: Any) -> None:
    go_on = asyncio.Event()

    async def sink(message: Any) -> None:
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            raise RuntimeError(f"lost {message.record}") from None

    configure_logging(sink, level="DEBUG")
    write_secrets()
    await asyncio.sleep(0)
    unconfigure_logging()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert_said_once(err())


def test_other_sinks_get_their_lines_and_each_that_fails_is_named(err: Any) -> None:
    well = Lines()
    configure_logging(raising(), level="DEBUG")
    logger.add(Raising(), format=datadog_format)
    logger.add(well, format=datadog_format)
    logger.info("hello")
    logger.info("hello")
    text = err()
    assert "log sink sink fails (RuntimeError, test_failing_sinks.py:" in text
    assert "log sink <Raising api_key=[redacted]" in text
    assert "(KeyError, test_failing_sinks.py:" in text
    assert len(text.splitlines()) == 2
    assert len(well.all) == 2


def test_the_systems_reason_is_named(err: Any) -> None:
    configure_logging(gone())
    logger.info("hello")
    assert "BrokenPipeError: Broken pipe" in err()


def test_a_sink_of_the_users_own_format_is_reported_without_the_raw_record(err: Any) -> None:
    configure_logging(Lines(), level="DEBUG")
    logger.add(Raising(), format="{message}")
    write_secrets()
    text = err()
    assert text.count("--- Logging error in Loguru Handler") == 5
    assert '"message":"logging in"' in text
    assert "KeyError" in text
    for secret in ("hunter2-hunter2", "sk-proj-abcdefghij", "tulip"):
        assert secret not in text


def test_who_sets_redaction_off_reads_it_all(err: Any) -> None:
    configure_logging(Lines(), level="DEBUG", redact=False)
    logger.add(Raising(), format="{message}")
    logger.bind(password="hunter2-hunter2").info("logging in")
    assert "hunter2-hunter2" in err()


def test_after_unconfigure_loguru_reports_as_before(err: Any) -> None:
    configure_logging(Lines(), level="DEBUG")
    unconfigure_logging()
    logger.add(Raising(), format="{message}")
    logger.bind(password=SECRETS[0]).info("logging in")
    assert "hunter2-hunter2" in err()


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return _cannot, ()


def _cannot() -> None:
    raise ValueError("hunter2-hunter2")


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), lambda: None, Unreadable(), io.StringIO(), (x for x in ())],
    ids=lambda value: type(value).__name__,
)
def test_enqueued_what_cannot_be_pickled_costs_no_line(
    value: Any, err: Any, configured: Any
) -> None:
    lines = configured(enqueue=True)
    seen: list[Any] = []
    logger.bind(password="hunter2-hunter2", value=value, a=1).info("hello")
    logger.info("after")
    logger.complete()
    hello, after = lines.all
    assert (hello["message"], hello["a"], hello["password"]) == ("hello", 1, "[redacted]")
    assert after["message"] == "after"
    configure_logging(lambda message: seen.append(message.record), enqueue=True)
    logger.bind(value=value, a=1).info("hello")
    logger.complete()
    assert seen[0]["message"] == "hello"
    assert "value" in seen[0]["extra"] or isinstance(value, Unreadable)
    assert err() == ""


def test_enqueued_an_error_that_cannot_be_pickled_costs_no_line(err: Any, configured: Any) -> None:
    class Local(Exception):  # noqa: N818
        def __init__(self, one: int, two: int) -> None:
            super().__init__("three")

    lines = configured(enqueue=True)
    try:
        raise Local(1, 2)
    except Local:
        logger.exception("failed")
    logger.complete()
    assert lines.one["error"]["message"] == "three"
    assert err() == ""


def test_a_patcher_of_the_users_that_fails_does_not_show_what_a_library_logs(err: Any) -> None:
    def patcher(record: Any) -> None:
        raise KeyError(record["message"])

    configure_logging(Lines())
    logger.configure(patcher=patcher)
    for _ in range(3):
        logging.getLogger("some.library").warning("call %s", "hunter2-hunter2")
    text = err()
    assert "hunter2" not in text
    assert len(text.splitlines()) == 1
    assert "a line of the standard library's logging is lost (KeyError" in text


def test_a_handlers_own_report_of_errors_is_put_back() -> None:
    one = logging.StreamHandler(io.StringIO())
    configure_logging(one)
    assert "handleError" in vars(one)
    unconfigure_logging()
    assert "handleError" not in vars(one)
