"""configure_logging can be called at any time, any number of times, and be undone."""

import io
import logging
import os
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.export.logs import Redactor, configure_logging, unconfigure_logging
from tests.export.logs.conftest import Lines


def handlers() -> str:
    return repr(logger)


def test_standard_output_is_the_default_as_it_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logger.info("hello")
    assert '"message":"hello"' in capsys.readouterr().out


def test_calling_it_twice_writes_lines_once(configured: Any) -> None:
    first, second = configured(), configured(level="DEBUG")
    logger.debug("hello")
    assert first.text == ""
    assert second.one["message"] == "hello"


def test_the_users_sinks_stay(configured: Any) -> None:
    mine = Lines()
    logger.add(mine, format="{message}")
    configured()
    configured()
    logger.info("one")
    unconfigure_logging()
    logger.info("two")
    assert mine.text == "one\ntwo\n"


def test_it_returns_the_handlers_id() -> None:
    sink = Lines()
    handler_id = configure_logging(sink)
    logger.remove(handler_id)
    logger.info("hello")
    assert sink.text == ""
    unconfigure_logging()


def test_after_the_users_remove_it_stays_removed_until_called_again(configured: Any) -> None:
    gone = configured()
    logger.remove()
    logger.info("hello")
    assert gone.text == ""
    again = configured()
    logger.info("hello")
    assert again.one["message"] == "hello"


def test_unconfigure_puts_loguru_and_logging_back(configured: Any) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("websockets").level)
    there = handlers()
    configured(level="DEBUG", levels={"some.library": "ERROR"})
    assert logging.getLogger("some.library").level == logging.ERROR
    unconfigure_logging()
    unconfigure_logging()
    assert (root.level, list(root.handlers), logging.getLogger("websockets").level) == before
    assert logging.getLogger("some.library").level == logging.NOTSET
    assert handlers() == there


def test_logurus_own_handler_is_removed_and_comes_back(tmp_path: Path) -> None:
    import subprocess

    program = """
import sys
from loguru import logger
from pipecat_dd.export.logs import configure_logging, unconfigure_logging
configure_logging()
logger.info("configured")
unconfigure_logging()
logger.info("as before")
configure_logging()
logger.info("configured anew")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert '"message":"configured"' in done.stdout
    assert "as before" not in done.stdout
    assert "as before" in done.stderr
    assert "configured" not in done.stderr
    assert '"message":"configured anew"' in done.stdout


def test_a_refused_call_changes_nothing(configured: Any, tmp_path: Path) -> None:
    lines = configured()
    there = handlers()
    with pytest.raises(ValueError, match="rotation"):
        configure_logging(tmp_path / "x.log", rotation="whenever I like")
    with pytest.raises(ValueError, match="level="):
        configure_logging(level="LOUD")
    assert handlers() == there
    logger.info("hello")
    assert lines.one["message"] == "hello"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"sink": 3}, TypeError, "sink=3"),
        ({"level": "LOUD"}, ValueError, "level='LOUD'.*INFO"),
        ({"level": -1}, ValueError, "level=-1"),
        ({"level": True}, TypeError, "level=True"),
        ({"level": None}, TypeError, "level=None"),
        ({"levels": "httpx"}, TypeError, "levels='httpx'"),
        ({"levels": {"httpx": "LOUD"}}, ValueError, r"levels\['httpx'\]='LOUD'"),
        ({"levels": {3: "INFO"}}, TypeError, "levels: 3"),
        ({"levels": {"": "INFO"}}, ValueError, "levels: ''"),
        ({"format": "xml"}, ValueError, "format='xml'.*json.*console"),
        ({"sample": 0.1}, TypeError, "sample=0.1"),
        ({"sample": {"LOUD": 0.1}}, ValueError, "sample='LOUD'"),
        ({"sample": {"DEBUG": 1.1}}, ValueError, r"sample\['DEBUG'\]=1.1"),
        ({"sample": {"DEBUG": "0.1"}}, TypeError, r"sample\['DEBUG'\]='0.1'"),
        ({"sample": {"DEBUG": float("nan")}}, ValueError, "sample"),
        ({"sample": {"DEBUG": 0.1}, "sample_by": "line"}, ValueError, "sample_by='line'"),
        ({"sample_by": "line"}, ValueError, "sample_by='line'"),
        ({"redact": "yes"}, TypeError, "redact='yes'.*Redactor"),
        ({"capture_content": "yes"}, TypeError, "capture_content='yes'"),
        ({"intercept_stdlib": 1}, TypeError, "intercept_stdlib=1"),
        ({"enqueue": 1}, TypeError, "enqueue=1"),
        ({"max_message_chars": 0}, ValueError, "max_message_chars=0"),
        ({"max_message_chars": "9"}, TypeError, "max_message_chars='9'"),
        ({"rotation": "1 MB"}, ValueError, "rotation='1 MB'.*path"),
    ],
)
def test_a_bad_argument_is_refused_by_name_and_value(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    there = handlers()
    with pytest.raises(error, match=says):
        configure_logging(**options)
    assert handlers() == there


def test_a_file_is_written_in_utf8_and_rotated(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    configure_logging(path, rotation=1000, retention=2, enqueue=True)
    for _ in range(20):
        logger.info("漢 " * 20)
    unconfigure_logging()
    files = list(tmp_path.iterdir())
    assert 1 < len(files) <= 3
    assert "漢" in path.read_text("utf8")


def test_a_function_a_handler_and_a_coroutine_can_be_sinks() -> None:
    texts: list[str] = []
    configure_logging(lambda message: texts.append(str(message)))
    logger.info("function")
    stream = io.StringIO()
    configure_logging(logging.StreamHandler(stream))
    logger.info("handler")
    assert '"message":"function"' in texts[0]
    assert stream.getvalue().count("\n") == 1
    assert '"message":"handler"' in stream.getvalue()


async def test_a_coroutine_can_be_a_sink() -> None:
    texts: list[str] = []

    async def write(message: str) -> None:
        texts.append(str(message))

    configure_logging(write)
    logger.info("coroutine")
    await logger.complete()
    assert '"message":"coroutine"' in texts[0]


def test_levels_hold_for_a_name_and_what_is_below_it(configured: Any) -> None:
    lines = configured(level="INFO", levels={"a.b": "ERROR", "a.b.c": "DEBUG", "quiet": 100})

    def write(name: str, level: str) -> None:
        logger.patch(lambda record: record.update(name=name)).log(level, f"{name} {level}")

    for name in ("a", "a.b", "a.bb", "a.b.x", "a.b.c", "a.b.c.d", "quiet", None):
        for level in ("DEBUG", "INFO", "ERROR"):
            write(name, level)  # type: ignore[arg-type]
    assert [line["message"] for line in lines.all] == [
        "a INFO", "a ERROR",
        "a.b ERROR",
        "a.bb INFO", "a.bb ERROR",
        "a.b.x ERROR",
        "a.b.c DEBUG", "a.b.c INFO", "a.b.c ERROR",
        "a.b.c.d DEBUG", "a.b.c.d INFO", "a.b.c.d ERROR",
        "None INFO", "None ERROR",
    ]  # fmt: skip


def test_ddtraces_patch_before_or_after_us_adds_nothing_wrong(configured: Any, known: Any) -> None:
    import ddtrace

    lines = configured()
    ddtrace.patch(loguru=True)
    try:
        logger.info("after")
        lines_again = configured()
        logger.info("before")
    finally:
        from ddtrace.contrib.internal.loguru.patch import unpatch

        unpatch()
    for line in (*lines.all, *lines_again.all):
        assert line["dd.service"] == line["service"] == "pipecat-chatbot"
        assert line["dd.trace_id"] == "68c1a2b300000000a1b2c3d4e5f60718"
        assert "extra" not in line


@pytest.mark.parametrize("entered_as", ["pipecat.runner.run", "__main__"])
def test_it_stays_through_pipecats_development_runner(
    entered_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pytest.importorskip("pipecat.runner.run", exc_type=ImportError)
    sink, during = Lines(), []
    mine = Lines()
    logger.add(mine, format="{message}")
    configure_logging(sink)

    def serve(*args: Any, **options: Any) -> None:
        for thread in threading.enumerate():
            if thread.name == "pipecat-dd-restore-logging":
                thread.join(5)
        during.append(handlers())
        logger.info("from the bot")

    monkeypatch.setattr(run.uvicorn, "run", serve)
    monkeypatch.setattr(sys, "argv", ["bot.py", "-t", "webrtc"])
    # As in ``python -m pipecat.runner.run``, which names the module __main__.
    monkeypatch.setitem(run.main.__globals__, "__name__", entered_as)
    run.main()
    assert len(during) == 1
    assert sink.all[-1]["message"] == "from the bot"
    assert "<stderr>" not in during[0], "the runner's own sink would write everything again"
    unconfigure_logging()
    assert "pipecat_dd" not in handlers()


def remove_as_the_runner_does(meanwhile: Callable[[], Any]) -> Any:
    """Remove Loguru's handlers as Pipecat's runner does, and wait for what is done about it.

    Args:
        meanwhile: Called before the runner adds the sink of its own; what it returns is returned.
    """
    runner = types.ModuleType("pipecat.runner.run")
    exec("def main(logger):\n    logger.remove()", runner.__dict__)
    runner.main(logger)
    (restoring,) = [t for t in threading.enumerate() if t.name == "pipecat-dd-restore-logging"]
    result = meanwhile()
    logger.add(io.StringIO())
    restoring.join(5)
    assert not restoring.is_alive()
    return result


def test_configuring_again_while_the_runner_starts_does_not_double_lines(configured: Any) -> None:
    configured()
    lines = remove_as_the_runner_does(configured)
    logger.info("hello")
    assert lines.one["message"] == "hello"
    remove_as_the_runner_does(unconfigure_logging)
    assert "pipecat_dd" not in handlers()


def test_another_remove_is_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Lines()
    configure_logging(sink)
    users = types.ModuleType("users")
    exec("def silence(logger):\n    logger.remove()", users.__dict__)
    users.silence(logger)
    assert not [t for t in threading.enumerate() if t.name == "pipecat-dd-restore-logging"]
    logger.info("hello")
    assert sink.text == ""


def test_redactors_can_be_shared(configured: Any) -> None:
    lines = configured(redact=Redactor(patterns=["hunter2"]))
    logger.info("it is hunter2")
    assert lines.one["message"] == "it is [redacted]"
