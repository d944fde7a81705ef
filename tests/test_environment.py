"""The environment is no trap: a variable that is wrong costs a line, and never the bot."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import DatadogObserver, configure_logging, unconfigure_logging
from pipecat_dd.settings import Settings, notes, table
from tests.support.bot import Bot

WRONG = {
    "PIPECAT_DD_SESSION_ID": "x" * 201,
    "PIPECAT_DD_NAME": "n" * 101,
    "PIPECAT_DD_TAGS": "gold",
    "PIPECAT_DD_CAPTURE_CONTENT": "maybe",
    "PIPECAT_DD_TURN_END_TIMEOUT_SECS": "soon",
    "PIPECAT_DD_FRAME_SPANS": "some",
    "PIPECAT_DD_SLOW_FRAME_MS": "-1",
    "PIPECAT_DD_BLOCKED_MS": "5",
    "PIPECAT_DD_TRACE_SCOPE": "call",
    "PIPECAT_DD_PARTICIPANT_NAMES": "2",
    "PIPECAT_DD_PHONE_HASH_KEY": "short",
    "PIPECAT_DD_LLMOBS": "ja",
    "PIPECAT_DD_METRICS": "1.5",
    "PIPECAT_DD_LOG_LEVEL": "LOUD",
    "PIPECAT_DD_MAX_LINE_BYTES": "16 KiB",
    "PIPECAT_DD_SHIP": "perhaps",
    "PIPECAT_DD_SHIP_URL": "nowhere",
    "PIPECAT_DD_SHIP_SOURCE": "s" * 201,
    "PIPECAT_DD_SHIP_TAGS": "team",
    "PIPECAT_DD_SHIP_FLUSH_INTERVAL_SECS": "nan",
    "PIPECAT_DD_SHIP_TIMEOUT_SECS": "61",
    "PIPECAT_DD_SHIP_MAX_MEMORY_BYTES": "1e400",
    "PIPECAT_DD_SHIP_SPOOL_DIR": "~nobody-of-that-name/spool",
    "PIPECAT_DD_SHIP_MAX_SPOOL_BYTES": "little",
}
SECRET = {"PIPECAT_DD_PHONE_HASH_KEY", "PIPECAT_DD_SHIP_URL"}


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(notes, "_reported", set())
    monkeypatch.setattr(notes, "_found", {})
    yield
    unconfigure_logging()


@pytest.fixture
def written() -> Iterator[list[str]]:
    """What is written of ours, with its level."""
    lines: list[str] = []
    handler_id = logger.add(
        lines.append,
        format="{level} {message}",
        filter=lambda record: record["message"].startswith("pipecat_dd: PIPECAT_DD_"),
    )
    yield lines
    logger.remove(handler_id)


def test_every_variable_has_a_wrong_value_here() -> None:
    known = {name for name in table.VARIABLES if name.startswith(table.ENV_PREFIX)}
    # Any text may be right for these two.
    assert known - {table.API_URL.variable, table.LOG_TO.variable} == set(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_is_one_warning_where_logging_is_configured(
    name: str, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, WRONG[name])
    configure_logging(lambda message: None)
    (line,) = written
    assert line.startswith(f"WARNING pipecat_dd: {name}")
    assert "must " in line or "default" in line
    if name in SECRET:
        assert WRONG[name] not in line
    configure_logging(lambda message: None)
    DatadogObserver()
    DatadogObserver()
    assert written == [line], "once in a process"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_is_one_warning_at_the_first_session(
    name: str, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, WRONG[name])
    DatadogObserver()
    (line,) = written
    assert line.startswith(f"WARNING pipecat_dd: {name}")
    DatadogObserver()
    configure_logging(lambda message: None)
    assert written == [line]


def test_its_default_counts_and_the_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    without = Settings.read()
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    assert Settings.read() == without
    monkeypatch.setenv("PIPECAT_DD_NAME", "alice")
    assert Settings.read().name == "alice"


def test_arguments_still_raise_and_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="frame_spans="):
        DatadogObserver(frame_spans="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_line_bytes="):
        configure_logging(max_line_bytes=1)
    assert Settings.read(frame_spans="all", capture_content=True).capture_content is True


async def test_a_bot_answers_with_every_variable_wrong(
    written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    configure_logging(lambda message: None)
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.end()
    named = sorted(line.split()[2].rstrip(":").partition("=")[0] for line in written)
    assert named == sorted(WRONG)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PIPECAT_DD_CAPTURE_CONTNET", "PIPECAT_DD_CAPTURE_CONTENT"),
        ("PIPECAT_DD_SHIPPING", "PIPECAT_DD_SHIP"),
        ("PIPECAT_DD_LINE_BYTES", "PIPECAT_DD_MAX_LINE_BYTES"),
        ("PIPECAT_DD_XYZZY", None),
    ],
)
def test_a_name_that_is_none_is_said_with_the_one_that_may_be_meant(
    name: str, meant: str | None, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "true")
    DatadogObserver()
    configure_logging(lambda message: None)
    (line,) = written
    assert line.startswith(f"WARNING pipecat_dd: {name} is not a variable of pipecat_dd")
    assert (f"{meant} may be meant" in line) if meant else ("may be meant" not in line)


def test_nothing_is_said_of_what_is_right(
    written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PIPECAT_DD_CAPTURE_CONTENT": "Yes",
        "PIPECAT_DD_TAGS": "tier:gold",
        "PIPECAT_DD_MAX_LINE_BYTES": "16000",
        "PIPECAT_DD_SHIP": "off",
        "PIPECAT_DD_API_URL": "http://127.0.0.1:9",
        "PIPECAT_DD_SHIP_TIMEOUT_SECS": "",
    }.items():
        monkeypatch.setenv(name, value)
    configure_logging(lambda message: None)
    DatadogObserver()
    assert written == []


PROGRAM = """
import sys
sys.modules["datadog"] = None  # as where the extra is not installed
from pipecat_dd import DatadogObserver, configure_logging
configure_logging()
observers = [DatadogObserver() for _ in range(2)]
"""


def test_an_extra_that_is_asked_for_and_missing_is_said_and_the_bot_goes_on() -> None:
    lines = run(PROGRAM, PIPECAT_DD_METRICS="true")
    (line,) = (one for one in lines if "PIPECAT_DD_METRICS" in one["message"])
    assert line["levelname"] == "WARNING"
    assert "pip install 'pipecat-dd[metrics]'" in line["message"]


def test_llm_observability_without_a_name_is_said_and_the_bot_goes_on() -> None:
    lines = run(PROGRAM, PIPECAT_DD_LLMOBS="true")
    (line,) = (one for one in lines if "PIPECAT_DD_LLMOBS" in one["message"])
    assert "DD_LLMOBS_ML_APP or DD_SERVICE" in line["message"]


def run(program: str, **environment: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("DD_", "PIPECAT_DD_"))},
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_TRACE_LOG_STREAM_HANDLER": "false",
            "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
