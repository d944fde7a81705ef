"""What users and ddtrace do to Loguru keeps working, before and after us, and so do we."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import configure_logging, unconfigure_logging
from tests.export.logs.conftest import KNOWN, Lines


def stamp(record: Any) -> None:
    record["extra"]["region"] = "eu"


def patched_by_configure() -> Any:
    logger.configure(patcher=stamp)
    return logger


def patched_by_bind_and_configure() -> Any:
    bound = logger.bind(team="voice")
    bound.configure(patcher=stamp)
    return bound


def patched_by_patch() -> Any:
    return logger.patch(stamp)


@pytest.mark.parametrize("when", ["before us", "after us"])
@pytest.mark.parametrize(
    "patched", [patched_by_configure, patched_by_bind_and_configure, patched_by_patch]
)
def test_the_users_patcher_and_our_ids_are_on_the_line(
    patched: Callable[[], Any], when: str, configured: Any, known: Any
) -> None:
    log = patched() if when == "before us" else None
    lines = configured()
    (log or patched()).info("hello")
    assert lines.one["region"] == "eu"
    assert lines.one["session_id"] == KNOWN.session_id
    assert lines.one["dd.span_id"] == KNOWN.span_id


def test_what_configure_binds_to_all_is_on_the_line(configured: Any, known: Any) -> None:
    logger.configure(extra={"region": "eu"})
    lines = configured()
    logger.info("hello")
    assert lines.one["region"] == "eu"


def test_logger_configure_with_handlers_is_the_users_word(configured: Any) -> None:
    ours, theirs = configured(), Lines()
    logger.configure(handlers=[{"sink": theirs, "format": "{message}"}])
    logger.info("hello")
    assert (ours.text, theirs.text) == ("", "hello\n")


def test_opt_does_what_it_does(configured: Any) -> None:
    lines = configured()
    logger.opt(lazy=True).info("lazy {}", lambda: 1)
    logger.opt(colors=True).info("<red>colours</red> {}", "<red>")
    logger.opt(record=True).info("from {record[name]}")
    logger.opt(depth=1).info("deeper")
    logger.opt(capture=False).info("not captured {x}", x=1)
    logger.info("captured {x}", x=1)
    assert [line["message"] for line in lines.all] == [
        "lazy 1",
        "colours <red>",
        f"from {__name__}",
        "deeper",
        "not captured 1",
        "captured 1",
    ]
    assert lines.all[3]["function"] != lines.all[0]["function"]
    assert "x" not in lines.all[4]
    assert lines.all[5]["x"] == 1


def test_a_bad_record_of_the_users_raises_as_it_does_without_us(configured: Any) -> None:
    configured()
    with pytest.raises(KeyError):
        logger.opt(record=True).info("{record[nothing]}")


@pytest.mark.parametrize("enqueue", [False, True])
def test_the_users_sinks_after_us_see_what_they_would_without_us(
    configured: Any, enqueue: bool
) -> None:
    lines = configured()
    seen: list[Any] = []
    text = io.StringIO()
    logger.add(lambda message: seen.append(message.record), enqueue=enqueue)
    logger.add(text, format="{level} {message} {extra}", enqueue=enqueue)
    serialized = io.StringIO()
    logger.add(serialized, serialize=True, enqueue=enqueue)
    logger.bind(a=1).info("hello")
    logger.complete()
    assert seen[0]["extra"] == {"a": 1}
    assert set(seen[0]) == set(json.loads(serialized.getvalue())["record"])
    assert text.getvalue() == "INFO hello {'a': 1}\n"
    assert lines.one["a"] == 1


def test_an_enqueued_line_carries_the_ids_of_where_it_was_written(
    configured: Any, known: Any
) -> None:
    lines = configured(enqueue=True)
    logger.info("one")
    known(KNOWN._replace(session_id="other"))
    logger.info("two")
    logger.complete()
    assert [line["session_id"] for line in lines.all] == ["abc123", "other"]


def test_the_session_that_pipecat_cloud_contextualizes_is_on_the_line(
    configured: Any, known: Any
) -> None:
    lines = configured()
    with logger.contextualize(session_id="cloud-7"):
        logger.info("hello")
        logging.getLogger("some.library").warning("hello")
    assert [line["session_id"] for line in lines.all] == ["cloud-7", "cloud-7"]


def test_pipecat_clouds_word_for_no_session_hides_no_session(configured: Any, known: Any) -> None:
    lines = configured()
    try:
        logger.configure(extra={"session_id": "NONE"})  # as its base image does
        logger.info("in a thread of a session")
        known(KNOWN._replace(session_id=None))
        logger.info("of no session")
    finally:
        logger.configure(extra={})
    assert [line.get("session_id") for line in lines.all] == ["abc123", None]


def test_pytests_capture_sees_what_it_sees_without_us(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging()
    with caplog.at_level(logging.INFO):
        logging.getLogger("some.library").info("from a library")
    logger.info("from loguru")
    unconfigure_logging()
    assert caplog.messages == ["from a library"]
    out = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["message"] for line in out] == ["from a library", "from loguru"]


PROGRAM = """
import json, logging, sys
when, patcher = sys.argv[1:]
def stamp(record): record["extra"]["region"] = "eu"
from loguru import logger
import ddtrace
def patch():
    if when != "never":
        ddtrace.patch(logging=True, loguru=True, asyncio=True, futures=True)
def users():
    if patcher == "with":
        logger.configure(patcher=stamp)
if when == "before": patch()
users()
from pipecat_dd import DatadogObserver, configure_logging
configure_logging()
if when == "after": patch()
observer = DatadogObserver(session_id="mine")
logger.bind(a=1).info("from loguru")
logging.getLogger("some.library").warning("from logging", extra={"a": 1})
print(ddtrace.tracer.current_trace_context() is not None, file=sys.stderr)
"""


def run(program: str, *arguments: str, run_by: tuple[str, ...] = (), **environment: str) -> Any:
    done = subprocess.run(
        [*run_by, sys.executable, "-c", program, *arguments],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("DD_")},
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_TRACE_LOG_STREAM_HANDLER": "false",
            "DD_TRACE_STARTUP_LOGS": "false",
            "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
            "DD_SERVICE": "bot",
            "DD_ENV": "prod",
            "DD_VERSION": "1.2",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


DDTRACE_RUN = str(Path(sys.executable).with_name("ddtrace-run"))


@pytest.mark.parametrize("injection", ["true", "false"])
@pytest.mark.parametrize("patcher", ["with", "without"])
@pytest.mark.parametrize("when", ["never", "before", "after", "ddtrace-run"])
def test_lines_are_the_same_whatever_ddtrace_has_patched(
    when: str, patcher: str, injection: str
) -> None:
    run_by = (DDTRACE_RUN,) if when == "ddtrace-run" else ()
    written = run(PROGRAM, when, patcher, run_by=run_by, DD_LOGS_INJECTION=injection)
    lines = [line for line in written if line["message"].startswith("from ")]
    assert [line["message"] for line in lines] == ["from loguru", "from logging"]
    for line in lines:
        assert line["session_id"] == "mine"
        assert line["a"] == 1
        assert (line["dd.service"], line["dd.env"], line["dd.version"]) == ("bot", "prod", "1.2")
        assert line["service"] == "bot"
        assert "extra" not in line
        # DD_LOGS_INJECTION=false: no ids of traces; whose line it is remains.
        assert ("dd.trace_id" in line) is ("dd.span_id" in line) is (injection == "true")
        if when != "after":  # ddtrace's patch itself replaces a patcher that is there before it
            assert ("region" in line) is (patcher == "with")


REPLACED = """
from pipecat_dd import DatadogObserver, configure_logging
configure_logging()
observers = [DatadogObserver() for _ in range(3)]
"""


def test_settings_that_do_nothing_any_more_are_named_once_with_what_replaced_them() -> None:
    lines = run(REPLACED, DD_TRACE_SAMPLE_RATE="0.25", DD_TRACE_ANALYTICS_ENABLED="true")
    rate, analytics = (line for line in lines if "no effect" in line["message"])
    assert rate["levelname"] == analytics["levelname"] == "WARNING"
    assert rate["message"].startswith("DD_TRACE_SAMPLE_RATE=0.25 has no effect")
    assert """DD_TRACE_SAMPLING_RULES='[{"sample_rate": 0.25}]'""" in rate["message"]
    assert analytics["message"].startswith("DD_TRACE_ANALYTICS_ENABLED=true has no effect")
    assert "retention filters" in analytics["message"]
    assert "session_id" in rate


def test_nothing_is_said_of_settings_that_are_not_set() -> None:
    assert not [line for line in run(REPLACED) if "no effect" in line["message"]]


def test_tracing_that_is_turned_off_stays_off() -> None:
    program = REPLACED + "import ddtrace, json; print(json.dumps(ddtrace.tracer.enabled))"
    assert run(program, DD_TRACE_ENABLED="false")[-1] is False
