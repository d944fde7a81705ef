"""Whoever else receives records receives each of them once, as without us."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import configure_logging, unconfigure_logging
from tests.export.logs.conftest import Lines


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    one = logging.getLogger("some.library")
    before = logging.Logger.handle
    yield one
    one.handlers.clear()
    unconfigure_logging()
    assert logging.Logger.handle is before, "unconfigure_logging() has not put it back"


class Keeper(logging.Handler):
    """A handler of somebody's, such as one that sends records to a collector."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage().strip())


class Propagates(logging.Handler):
    """The recipe of Loguru's documents."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


def propagate(message: Any) -> None:
    record = message.record
    logging.getLogger(record["name"]).log(record["level"].no, str(message).strip())


async def propagate_later(message: Any) -> None:
    await asyncio.sleep(0)
    propagate(message)


class ToLogging:
    """A stream that is a logger."""

    def write(self, text: str) -> None:
        if text.strip():
            logging.getLogger("a.stream").warning("from a stream: %s", text.strip())


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("enqueue", [False, True])
@pytest.mark.parametrize("sink", [Propagates(), propagate, ToLogging()])
def test_what_a_sink_propagates_to_logging_is_there_once(
    library: logging.Logger, sink: Any, enqueue: bool, ours_first: bool
) -> None:
    ours, theirs = Lines(), Keeper()
    if ours_first:
        configure_logging(ours)
    logger.add(sink, format="{message}", enqueue=enqueue)
    if not ours_first:
        configure_logging(ours)
    logging.getLogger().addHandler(theirs)
    logger.warning("with Loguru")
    library.warning("with logging")
    library.warning("")
    logger.complete()
    texts = [text.removeprefix("from a stream: ") for text in theirs.texts]
    assert sorted(filter(None, texts)) == ["with Loguru", "with logging"]
    assert [line["message"] for line in ours.all] == ["with Loguru", "with logging", ""]


async def test_what_a_coroutine_propagates_to_logging_is_there_once(
    library: logging.Logger,
) -> None:
    ours, theirs = Lines(), Keeper()
    configure_logging(ours)
    logger.add(propagate_later, format="{message}")
    logging.getLogger().addHandler(theirs)
    library.warning("with logging")
    await logger.complete()
    assert theirs.texts == ["with logging"]
    assert ours.one["message"] == "with logging"


def test_a_sink_may_log_something_of_its_own(library: logging.Logger) -> None:
    ours, theirs = Lines(), Keeper()
    configure_logging(ours)
    logging.getLogger().addHandler(theirs)
    logger.add(lambda _: logging.getLogger("urllib3.x").warning("posted"))
    library.warning("hello")
    assert theirs.texts == ["posted", "hello"]


@pytest.mark.parametrize("same", [True, False])
def test_a_handler_that_is_given_to_both_has_each_record_once(
    library: logging.Logger, same: bool
) -> None:
    one = Keeper()
    other = one if same else Keeper()
    logging.getLogger().addHandler(one)
    logger.add(other, format="{message}")
    configure_logging(Lines())
    library.warning("with logging")
    logger.warning("with Loguru")
    both = one.texts if same else one.texts + other.texts
    assert sorted(both) == ["with Loguru", "with logging"]


@pytest.mark.parametrize("as_handler", [True, False])
def test_a_stream_that_both_write_to_has_each_record_once(
    library: logging.Logger, as_handler: bool
) -> None:
    stream = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(stream))
    logger.add(logging.StreamHandler(stream) if as_handler else stream, format="{message}")
    configure_logging(Lines())
    library.warning("with logging")
    logger.warning("with Loguru")
    assert sorted(stream.getvalue().split("\n")) == ["", "with Loguru", "with logging"]


def test_a_file_of_the_users_own_has_all_lines(library: logging.Logger, tmp_path: Any) -> None:
    configure_logging(Lines())
    logger.add(logging.FileHandler(tmp_path / "a.log"), format="{message}")
    logger.add(tmp_path / "b.log", format="{message}")
    library.warning("with logging")
    for name in ("a.log", "b.log"):
        assert (tmp_path / name).read_text().split() == ["with", "logging"]


def test_a_handler_as_our_sink_has_all_lines(library: logging.Logger) -> None:
    ours = Keeper()
    configure_logging(ours)
    library.warning("with logging")
    assert [json.loads(text)["message"] for text in ours.texts] == ["with logging"]


class InterceptHandler(logging.Handler):
    """The recipe of Loguru's documents."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())


def test_who_had_logging_in_loguru_before_us_has_it_still(library: logging.Logger) -> None:
    logging.getLogger().addHandler(InterceptHandler())
    theirs = Keeper()
    logger.add(theirs, format="{message}")
    configure_logging(Lines())
    library.warning("with logging")
    assert theirs.texts == ["with logging"]


# Sentry

SENTRY = """
import sys, logging
import pipecat  # which greets with a line
import sentry_sdk
from sentry_sdk.transport import Transport
from loguru import logger

events, logs = [], []

class Keeps(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type == "event":
                event = item.payload.json
                said = (event.get("logentry") or {}).get("message") or "exception"
                values = (event.get("exception") or {}).get("values") or [{}]
                how = (values[-1].get("mechanism") or {}).get("type")
                events.append([said.strip().rpartition(" - ")[2], event["level"], how])
            elif item.type == "log":
                logs.extend(one["body"] for one in item.payload.json["items"])

def sentry():
    sentry_sdk.init(dsn="http://a@127.0.0.1:1/1", transport=Keeps, enable_logs=True)

def ours():
    from pipecat_dd import configure_logging
    configure_logging(open(sys.argv[2], "w"))

def sink():
    logger.add(lambda message: None, level="ERROR")

for step in filter(None, sys.argv[1].split(",")):
    globals()[step]()

def fails():
    raise RuntimeError("nobody caught it")

import atexit, json
def show():
    sentry_sdk.flush()
    breadcrumbs = [b["message"].strip().rpartition(" - ")[2] for b in
                   sentry_sdk.get_isolation_scope()._breadcrumbs]
    print(json.dumps([events, sorted(logs), sorted(breadcrumbs)]))
atexit.register(show)
"""

BODY = """
logger.info("of Loguru")
logger.error("error of Loguru")
logging.getLogger("some.library").error("error of logging")
logging.getLogger("some.library").warning("of logging")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("caught with Loguru")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("some.library").exception("caught with logging")
import threading
thread = threading.Thread(target=fails, name="worker")
thread.start()
thread.join()
fails()
"""


def run(order: str, path: Any = "") -> tuple[list[Any], list[dict[str, Any]], str]:
    """Return what Sentry got, our lines, and what was written to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", SENTRY + BODY, order, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path else []
    return json.loads(done.stdout.splitlines()[-1]), lines, done.stderr


@pytest.fixture(scope="module")
def sentry_alone() -> list[Any]:
    pytest.importorskip("sentry_sdk")
    return run("sentry")[0]


@pytest.mark.parametrize("order", ["sentry,ours", "ours,sentry", "sink,ours,sentry"])
def test_sentry_gets_what_it_gets_without_us(
    order: str, sentry_alone: list[Any], tmp_path: Any
) -> None:
    got, lines, errors = run(order, tmp_path / "lines")
    assert got == sentry_alone
    assert [how for _, _, how in got[0][-2:]] == ["threading", "excepthook"]
    assert len(got[0]) == 6
    assert len(lines) == 8
    for line in lines[-2:]:
        assert line["error"]["message"] == "nobody caught it"
    assert errors.count("RuntimeError: nobody caught it") == 2, "the interpreter's own reports"


# logger.disable


def module_of(name: str) -> Any:
    """Return what logs as a module of this name does."""
    namespace: dict[str, Any] = {"__name__": name, "logger": logger}
    exec("def say(text): logger.info(text)", namespace)
    return namespace["say"]


@pytest.fixture
def enabled() -> Iterator[None]:
    yield
    for name in ("pipecat_dd", "noisy", "noisy.part"):
        logger.enable(name)


def test_disabling_us_silences_our_own_lines_alone(
    library: logging.Logger, enabled: None, configured: Any
) -> None:
    lines = configured()
    logger.disable("pipecat_dd")
    library.info("of a library")
    module_of("bot")("of the bot")
    module_of("pipecat_dd.observer")("of ours")
    logging.getLogger("pipecat_dd.x").info("of ours")
    assert [line["message"] for line in lines.all] == ["of a library", "of the bot"]


def test_a_library_is_disabled_by_its_name(
    library: logging.Logger, enabled: None, configured: Any
) -> None:
    lines = configured()
    seen: list[str] = []
    logger.add(lambda message: seen.append(message.record["message"]), format="")
    part, root = logging.getLogger("noisy.part"), logging.getLogger("noisy")
    part.info("before")
    logger.disable("noisy")
    for one in (part, root, logging.getLogger("noisy_too"), library):
        one.info("%s is disabled", one.name)
    logger.enable("noisy.part")
    part.info("part is enabled")
    root.info("but not all of it")
    expected = [
        "before", "noisy_too is disabled", "some.library is disabled", "part is enabled",
    ]  # fmt: skip
    assert [line["message"] for line in lines.all] == expected
    assert seen == expected
