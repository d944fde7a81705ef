"""What nobody catches is one line with its session and stack; all that was told of it still is."""

import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import configure_logging, unconfigure_logging
from tests.export.logs.conftest import KNOWN, Lines


@pytest.fixture
def hooks() -> Iterator[list[Any]]:
    """Hooks of somebody's, set before us: what each was called with."""
    called: list[Any] = []
    before = sys.excepthook, threading.excepthook
    sys.excepthook = lambda *args: called.append(args)
    threading.excepthook = called.append
    theirs = sys.excepthook, threading.excepthook
    yield called
    unconfigure_logging()
    assert (sys.excepthook, threading.excepthook) == theirs, "they are not as they were"
    sys.excepthook, threading.excepthook = before


class OddError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def fail(text: str = "nobody caught it") -> None:
    raise LookupError(text)


def report(error: BaseException) -> None:
    """Do what the interpreter does with what nobody caught."""
    sys.excepthook(type(error), error, error.__traceback__)


def raised(text: str = "nobody caught it") -> LookupError:
    try:
        fail(text)
    except LookupError as error:
        return error
    raise AssertionError


def in_thread(**options: Any) -> None:
    thread = threading.Thread(target=fail, name="worker", **options)
    thread.start()
    thread.join()


def test_what_ends_the_program_is_a_line(hooks: list[Any], configured: Any, known: Any) -> None:
    lines = configured()
    error = raised()
    report(error)
    line = lines.one
    assert line["message"] == "Uncaught exception: LookupError: nobody caught it"
    assert (line["status"], line["levelname"]) == ("error", "ERROR")
    assert (line["name"], line["function"]) == (__name__, "fail")
    assert line["line"] == fail.__code__.co_firstlineno + 1
    assert line["error"]["kind"] == "LookupError"
    assert line["error"]["message"] == "nobody caught it"
    assert "in fail" in line["error"]["stack"]
    assert line["session_id"] == KNOWN.session_id
    assert line["dd.span_id"] == KNOWN.span_id
    assert hooks == [(LookupError, error, error.__traceback__)]


def test_what_ends_a_thread_is_a_line(hooks: list[Any], configured: Any, known: Any) -> None:
    lines = configured()
    in_thread()
    assert lines.one["message"] == (
        "Uncaught exception in thread worker: LookupError: nobody caught it"
    )
    assert "in fail" in lines.one["error"]["stack"]
    assert [args.thread.name for args in hooks] == ["worker"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_who_ends_it_on_purpose_has_failed_at_nothing(
    kind: Any, hooks: list[Any], configured: Any
) -> None:
    lines = configured()
    report(kind())
    in_threads_place = threading.ExceptHookArgs((kind, kind(), None, None))
    threading.excepthook(in_threads_place)
    assert lines.text == ""
    assert len(hooks) == 2


def test_hooks_that_are_set_after_ours_are_called_and_stay(
    hooks: list[Any], configured: Any
) -> None:
    before, later = sys.excepthook, []
    lines = configured()
    ours = sys.excepthook

    def theirs(*args: Any) -> None:
        later.append(args)
        ours(*args)

    sys.excepthook = theirs
    report(raised())
    assert (len(later), len(hooks), len(lines.all)) == (1, 1, 1)
    unconfigure_logging()
    assert sys.excepthook is theirs
    report(raised())
    assert (len(later), len(hooks), len(lines.all)) == (2, 2, 1)
    sys.excepthook = before


def test_configuring_twice_writes_one_line(hooks: list[Any], configured: Any) -> None:
    configured()
    lines = configured()
    report(raised())
    in_thread()
    assert (len(lines.all), len(hooks)) == (2, 2)


@pytest.mark.parametrize("options", [{"intercept_stdlib": False}, {"enqueue": True}])
def test_it_does_not_depend_on_the_settings(
    options: Any, hooks: list[Any], configured: Any
) -> None:
    lines = configured(**options)
    report(raised())
    logger.complete()
    assert lines.one["error"]["kind"] == "LookupError"


def test_it_is_redacted_like_any_line(hooks: list[Any], configured: Any) -> None:
    lines = configured()
    report(raised("Bearer abcdef0123456789"))
    report(raised("x" * 495 + " Bearer abcdef0123456789"))
    assert "abcdef" not in lines.text
    assert lines.all[1]["message"] == "Uncaught exception: LookupError"


def test_an_exception_that_cannot_be_read_is_a_line(hooks: list[Any], configured: Any) -> None:
    lines = configured()
    report(OddError())
    threading.excepthook(threading.ExceptHookArgs((OddError, None, None, None)))
    assert [line["error"]["kind"] for line in lines.all] == ["OddError", "OddError"]
    assert len(hooks) == 2


def test_silencing_a_library_does_not_silence_what_ends_the_bot(
    hooks: list[Any], configured: Any
) -> None:
    lines = configured()
    for name in (__name__, "pipecat_dd"):
        logger.disable(name)
    report(raised())
    for name in (__name__, "pipecat_dd"):
        logger.enable(name)
    assert lines.one["name"] == __name__


def test_a_sink_that_fails_keeps_nobody_from_being_told(hooks: list[Any]) -> None:
    def sink(_: Any) -> None:
        raise OSError

    with redirect_stderr(io.StringIO()):
        configure_logging(sink)
        report(raised())
        in_thread()
    assert len(hooks) == 2


def test_handlers_of_others_do_not_see_it(hooks: list[Any], configured: Any) -> None:
    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    seen: list[Any] = []
    lines = configured()
    logger.add(Keeper())
    report(raised())
    assert lines.one["error"]
    assert seen == []


def test_in_the_users_own_sink_it_is_an_error_of_loguru(hooks: list[Any], configured: Any) -> None:
    configured()
    theirs = io.StringIO()
    logger.add(theirs, format="{level} {name}:{function} {file.name} {message}")
    report(raised())
    first = theirs.getvalue().splitlines()[0]
    assert first == (
        f"ERROR {__name__}:fail test_uncaught.py Uncaught exception: LookupError: nobody caught it"
    )


PROGRAM = """
import asyncio, sys, threading
from pipecat_dd import configure_logging
configure_logging(open(sys.argv[2], "w"))

def work():
    raise RuntimeError("a thread broke")

async def main():
    if sys.argv[1] == "interrupted":
        raise KeyboardInterrupt
    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)
    raise RuntimeError("the bot broke")

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["broken", "interrupted"])
def test_a_program_ends_as_it_does_without_us(how: str, tmp_path: Any) -> None:
    def run(program: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", program, how, str(tmp_path / "lines")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return done.returncode, [line for line in done.stderr.splitlines() if line[:1] != "2"]

    without = run(
        PROGRAM.replace("from pipecat_dd import configure_logging", "").replace(
            'configure_logging(open(sys.argv[2], "w"))', ""
        )
    )
    assert run(PROGRAM) == without
    lines = Lines()
    lines.written = [(tmp_path / "lines").read_text()]
    expected = [] if how == "interrupted" else ["a thread broke", "the bot broke"]
    found = [line["error"]["message"] for line in lines.all if line["levelname"] == "ERROR"]
    assert found == expected
