"""Lines of the standard library's logging come through once, as what they were."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import configure_logging, refresh_logging, unconfigure_logging
from pipecat_dd.export.logs.stdlib import InterceptHandler as InterceptHandlerOfOurs
from tests.export.logs.conftest import Lines


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    one = logging.getLogger("some.library")
    yield one
    one.handlers.clear()
    one.propagate = True
    one.setLevel(logging.NOTSET)


def test_a_record_keeps_its_name_place_time_and_values(
    configured: Any, known: Any, library: logging.Logger
) -> None:
    lines = configured()
    library.warning("%s of %d", "one", 2, extra={"duration_ms": 3.5, "status": 404})
    line = lines.one
    assert line["message"] == "one of 2"
    assert line["name"] == "some.library"
    assert line["function"] == "test_a_record_keeps_its_name_place_time_and_values"
    assert line["line"] == sys._getframe().f_lineno - 5
    assert line["levelname"] == "WARNING"
    assert line["duration_ms"] == 3.5
    assert line["extra"] == {"status": 404}
    assert line["session_id"] == "abc123"


def test_other_sinks_see_the_records_own_time_and_thread(configured: Any) -> None:
    configured()
    seen: list[Any] = []
    logger.add(seen.append, format="{time:YYYY-MM-DD} {name} {thread.name} {file.name} {message}")
    record = logging.LogRecord("lib", 30, "/x/lib.py", 7, "hello", (), None)
    record.created, record.threadName = 86400.0 * 365, "theirs"
    logging.getLogger().handle(record)
    assert str(seen[0]) == "1971-01-01 lib theirs lib.py hello\n"


class Unreadable:
    def __str__(self) -> str:
        raise ValueError("not now")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"msg": "order of %s", "args": (Unreadable(),)}, "order of %s (<unreadable Unreadable>,)"),
        ({"msg": "order of %s", "args": {"a": Unreadable()}}, "order of %s <unreadable dict>"),
        ({"msg": Unreadable()}, "<unreadable Unreadable>"),
        ({"msg": {"event": "order", "of": Unreadable()}}, "order"),
        ({"msg": "order", "created": None}, "order"),
        ({"msg": "order", "exc_info": True}, "order"),
        ({"msg": "order", "levelno": -5}, "order"),
    ],
)
def test_a_record_with_something_wrong_about_it_is_a_line(
    configured: Any, library: logging.Logger, made: dict[str, Any], expected: str
) -> None:
    lines = configured(level=0)
    # To ours alone: pytest's own handler fails a test by such a record.
    record = logging.makeLogRecord({"name": library.name, "levelno": 40} | made)
    InterceptHandlerOfOurs().handle(record)
    assert lines.one["message"] == expected


def test_an_exception_comes_along(configured: Any, library: logging.Logger) -> None:
    lines = configured()
    try:
        raise ValueError("bad")
    except ValueError:
        library.exception("it failed", stack_info=True)
    library.error("no exception", exc_info=True)
    failed, fine = lines.all
    assert failed["error"]["kind"] == "ValueError"
    assert "Traceback" in failed["error"]["stack"]
    assert "Stack" in failed["stack_info"]
    assert "error" not in fine


@pytest.mark.parametrize(
    ("number", "name", "status"),
    [(10, "DEBUG", "debug"), (50, "CRITICAL", "critical"), (15, "Level 15", "debug")],
)
def test_levels_are_mapped_by_name_or_number(
    configured: Any, library: logging.Logger, number: int, name: str, status: str
) -> None:
    lines = configured(level=0)
    library.log(number, "hello")
    assert (lines.one["levelname"], lines.one["status"]) == (name, status)


def test_a_level_that_only_logging_knows_keeps_its_name(
    configured: Any, library: logging.Logger
) -> None:
    logging.addLevelName(26, "NOTICE")
    lines = configured()
    library.log(26, "hello")
    assert (lines.one["levelname"], lines.one["status"]) == ("NOTICE", "notice")


def test_a_message_is_not_formatted_twice(configured: Any, library: logging.Logger) -> None:
    lines = configured()
    library.warning("{} <red>%% {0}")
    library.warning("%s", "{x}", extra={"a": 1})
    assert [line["message"] for line in lines.all] == ["{} <red>%% {0}", "{x}"]


def test_arguments_that_do_not_fit_do_not_raise(configured: Any) -> None:
    lines = configured()
    record = logging.LogRecord("lib", 30, "lib.py", 7, "%d and %d", ("one",), None)
    InterceptHandlerOfOurs().handle(record)
    assert lines.one["message"] == "%d and %d ('one',)"


def test_the_root_level_follows_ours_and_chatty_libraries_stay_quiet(
    configured: Any, library: logging.Logger
) -> None:
    lines = configured(level="DEBUG", levels={"urllib3": "DEBUG"})
    library.debug("mine")
    logging.getLogger("websockets.client").debug("> BINARY 00 00 [640 bytes]")
    logging.getLogger("openai._base_client").debug("Request options: {...}")
    logging.getLogger("urllib3.connectionpool").debug("asked for")
    assert [line["message"] for line in lines.all] == ["mine", "asked for"]


def test_levels_reach_below_the_level(configured: Any, library: logging.Logger) -> None:
    lines = configured(level="INFO", levels={"some": "DEBUG", "some.other": "ERROR"})
    library.debug("asked for")
    logging.getLogger("some.other").warning("not asked for")
    logger.debug("not asked for")
    assert lines.one["message"] == "asked for"


def test_it_can_be_left_out(configured: Any, library: logging.Logger) -> None:
    handlers = list(logging.getLogger().handlers)
    lines = configured(intercept_stdlib=False)
    library.error("hello")
    assert lines.text == ""
    assert logging.getLogger().handlers == handlers


def test_other_handlers_on_the_root_logger_stay(configured: Any, library: logging.Logger) -> None:
    mine = io.StringIO()
    handler = logging.StreamHandler(mine)
    logging.getLogger().addHandler(handler)
    lines = configured()
    library.warning("hello")
    assert mine.getvalue() == "hello\n"
    assert lines.one["message"] == "hello"


@pytest.mark.parametrize("console", ["stdout", "stderr"])
def test_a_plain_console_handler_does_not_print_a_second_time_and_comes_back(
    console: str, library: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handler = logging.StreamHandler(getattr(sys, console))
    root.addHandler(handler)
    configure_logging()
    library.warning("hello")
    written = capsys.readouterr()
    assert (written.out + written.err).count("hello") == 1
    unconfigure_logging()
    assert handler in root.handlers
    library.warning("hello again")
    written = capsys.readouterr()
    assert "hello again\n" in getattr(written, "out" if console == "stdout" else "err")


def test_a_console_handler_stays_where_our_lines_go_elsewhere(
    configured: Any, library: logging.Logger
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    configured()
    assert handler in logging.getLogger().handlers


def test_a_logger_that_does_not_propagate_comes_through_once(
    library: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging()
    # As uvicorn does, when its server starts.
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.ERROR)
    library.addHandler(handler)
    library.propagate = False
    refresh_logging()
    refresh_logging()
    library.error("hello")
    library.warning("below the handler's level")
    written = capsys.readouterr()
    assert written.out.count("hello") == 1
    assert '"name":"some.library"' in written.out
    assert "below" not in written.out
    assert written.err == ""
    unconfigure_logging()
    assert library.handlers == [handler]


def test_uvicorns_lines_come_through(capsys: pytest.CaptureFixture[str]) -> None:
    import copy
    import logging.config

    uvicorn_config = pytest.importorskip("uvicorn.config")
    configure_logging()
    logging.config.dictConfig(copy.deepcopy(uvicorn_config.LOGGING_CONFIG))
    try:
        refresh_logging()
        logging.getLogger("uvicorn.error").info("started")
        logging.getLogger("uvicorn.access").info(
            '%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", "/", "1.1", 200
        )
        out = capsys.readouterr().out.splitlines()
    finally:
        unconfigure_logging()
        for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
            logging.getLogger(name).setLevel(logging.NOTSET)
    assert len(out) == 2
    assert '"message":"started"' in out[0]
    assert "GET / HTTP/1.1" in out[1]


class PropagateHandler(logging.Handler):
    """The recipe of Loguru's documents."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


@pytest.mark.parametrize("enqueue", [False, True])
@pytest.mark.parametrize("ours_first", [False, True])
def test_lines_that_are_propagated_back_do_not_go_round(
    library: logging.Logger, enqueue: bool, ours_first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    if ours_first:
        configure_logging(lines)
    propagate = logger.add(PropagateHandler(), format="{message}", enqueue=enqueue)
    if not ours_first:
        configure_logging(lines)
    elsewhere = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(elsewhere))
    logger.info("from loguru")
    library.warning("from logging")
    logger.remove(propagate)
    assert [line["message"] for line in lines.all] == ["from loguru", "from logging"]
    assert "from loguru" in elsewhere.getvalue()
    assert "Logging error" not in capsys.readouterr().err


def test_a_patcher_that_logs_does_not_go_round(configured: Any, library: logging.Logger) -> None:
    lines = configured()
    logger.configure(patcher=lambda record: library.warning("from the patcher"))
    logger.info("hello")
    assert [line["message"] for line in lines.all] == ["hello"]


class InterceptHandler(logging.Handler):
    """The recipe of Loguru's documents, as many bots have it."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())


def test_the_users_own_intercept_handler_does_not_double_lines(
    configured: Any, library: logging.Logger
) -> None:
    theirs = InterceptHandler()
    logging.getLogger().addHandler(theirs)
    lines = configured()
    library.warning("hello")
    assert lines.one["name"] == "some.library"
    unconfigure_logging()
    assert theirs in logging.getLogger().handlers


def test_warnings_come_through(configured: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        showing = warnings.showwarning
        lines = configured()
        warnings.warn("careful", UserWarning, stacklevel=1)
        unconfigure_logging()
        assert warnings.showwarning is showing
    assert lines.one["levelname"] == "WARNING"
    assert "UserWarning: careful" in lines.one["message"]


async def test_an_exception_nobody_awaited_comes_through(configured: Any) -> None:
    import asyncio
    import gc

    lines = configured()

    async def fail() -> None:
        raise ValueError("lost")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert lines.one["name"] == "asyncio"
    assert lines.one["error"]["kind"] == "ValueError"


def test_many_threads_write_whole_lines(configured: Any, library: logging.Logger) -> None:
    lines = configured()

    def write(n: int) -> None:
        for i in range(100):
            library.warning("%d/%d", n, i)
            logger.info("{}:{}", n, i)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({line["message"] for line in lines.all}) == 1600


def test_a_configured_logger_costs_little_where_nothing_is_written(
    configured: Any, library: logging.Logger
) -> None:
    configured(level="WARNING")
    begun = time.process_time()
    for _ in range(10_000):
        library.debug("not written")
    assert time.process_time() - begun < 1


FORKS = """
import asyncio, gc, logging, os, threading

# Registered first, these are called while Loguru has locked all its handlers, as Python 3.12's own
# warning of a fork with threads is: before it last of all, after it first of all.
os.register_at_fork(
    before=lambda: (logging.getLogger("hook").warning("about to fork"), kept.clear(), gc.collect()),
    after_in_child=lambda: logging.getLogger("hook").warning("in the child"),
)

from loguru import logger
from pipecat_dd import configure_logging

kept = []
configure_logging()
threading.Thread(target=threading.Event().wait, daemon=True).start()

async def fails():
    raise ValueError

async def main():
    with logger.contextualize(session_id="A"):
        kept.append(asyncio.create_task(fails()))
    await asyncio.sleep(0)
    with logger.contextualize(session_id="B"):
        child = os.fork()
        if child == 0:
            logging.warning("the child")
            os._exit(0)
        os.waitpid(child, 0)
        logging.warning("the parent")

asyncio.run(main())
"""


def test_what_is_logged_in_the_moment_of_a_fork_is_written_once_it_is_over() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", FORKS],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    written = [json.loads(line) for line in done.stdout.splitlines()]
    # Python 3.12 and later warn of their own.
    said = [
        (line["message"].splitlines()[0], line["session_id"])
        for line in written
        if "is multi-threaded" not in line["message"]
    ]
    assert sorted(said) == [
        ("Task exception was never retrieved", "A"),
        ("about to fork", "B"),
        ("in the child", "B"),
        ("the child", "B"),
        ("the parent", "B"),
    ]
    assert said.index(("about to fork", "B")) < said.index(("the parent", "B"))
