"""Loguru's first handler, which has the id 0; and ``logger.remove()`` after us.

Each in a process of its own: ids of handlers are never given again.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

BEGINS = """
import sys
from loguru import logger
from pipecat_dd import DatadogObserver, configure_logging, unconfigure_logging
"""


def run(program: str, **environment: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Run a program; return the lines of JSON it wrote, and what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINS + program],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("DD_", "LOGURU"))},
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DD_TRACE_ENABLED": "false",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_TRACE_LOG_STREAM_HANDLER": "false",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    err = [line for line in done.stderr.splitlines() if "| pipecat:<module>" not in line]
    return [json.loads(line) for line in done.stdout.splitlines()], err


def messages(lines: list[dict[str, Any]]) -> list[str]:
    return [line["message"] for line in lines]


def test_a_script_that_begins_by_removing_it_goes_on() -> None:
    lines, err = run("""
configure_logging()
logger.remove(0)
logger.add(sys.stderr, format="MINE {message}")
logger.info("hello")
unconfigure_logging()
logger.info("after")
""")
    assert messages(lines) == ["hello"]
    assert err == ["MINE hello", "MINE after"], "what the user has removed does not come back"


def test_it_is_borne_once_as_loguru_would() -> None:
    lines, _ = run("""
configure_logging()
configure_logging()
logger.remove(0)
for one, handler_id in ((logger, 0), (logger.bind(a=1), 0), (logger, 99)):
    try:
        one.remove(handler_id)
    except ValueError as error:
        logger.info(error)
""")
    assert messages(lines) == [
        "There is no existing handler with id 0",
        "There is no existing handler with id 0",
        "There is no existing handler with id 99",
    ]


def test_where_it_was_put_back_it_is_what_is_removed() -> None:
    lines, err = run("""
configure_logging()
unconfigure_logging()
logger.remove(0)
logger.info("nobody hears this")
configure_logging()
unconfigure_logging()
logger.info("nor this")
""")
    assert (lines, err) == ([], [])


@pytest.mark.parametrize("word", ["false", "0", "no"])
def test_a_first_handler_of_the_users_stays(word: str) -> None:
    lines, err = run(
        """
mine = logger.add(sys.stderr, format="MINE {message}")
assert mine == 0
configure_logging()
logger.info("hello")
configure_logging()
unconfigure_logging()
logger.info("after")
configure_logging()
logger.remove(0)
logger.info("without mine")
""",
        LOGURU_AUTOINIT=word,
    )
    assert messages(lines) == ["hello", "without mine"]
    assert err == ["MINE hello", "MINE after"]


def test_a_removal_before_us_stays() -> None:
    lines, err = run("""
logger.remove(0)
logger.add(sys.stderr, format="MINE {message}")
configure_logging()
logger.info("hello")
unconfigure_logging()
logger.info("after")
""")
    assert messages(lines) == ["hello"]
    assert err == ["MINE hello", "MINE after"]


def test_who_removes_all_handlers_after_us_has_removed_it_too() -> None:
    lines, err = run("""
configure_logging()
logger.remove()
logger.add(sys.stderr, format="MINE {message}")
configure_logging()
logger.info("hello")
unconfigure_logging()
logger.info("after")
""")
    assert messages(lines) == ["hello"]
    assert err == ["MINE hello", "MINE after"]


TAKEN_AWAY = "logger.remove() was called after configure_logging()"


def test_that_remove_took_our_handler_away_is_said_at_the_next_session_once() -> None:
    lines, err = run("""
configure_logging()
logger.remove()
logger.add(sys.stderr, format="{level} {message}")
logger.info("hello")
DatadogObserver()
DatadogObserver()
""")
    assert lines == []
    said = [line for line in err if TAKEN_AWAY in line]
    assert len(said) == 1
    assert said[0].startswith("WARNING pipecat_dd: ")
    assert err[0] == "INFO hello"


def test_where_no_handler_is_left_it_is_said_on_standard_error() -> None:
    lines, err = run("configure_logging()\nlogger.remove()\nDatadogObserver()\nDatadogObserver()")
    assert lines == []
    assert len([line for line in err if TAKEN_AWAY in line]) == 1


@pytest.mark.parametrize(
    "after",
    [
        "configure_logging()",
        "unconfigure_logging()",
        "from pipecat_dd import datadog_format; logger.add(sys.stdout, format=datadog_format)",
    ],
)
def test_nothing_is_said_where_lines_are_shaped_again_or_on_purpose_not(after: str) -> None:
    lines, err = run(f"configure_logging()\nlogger.remove()\n{after}\nDatadogObserver()")
    assert TAKEN_AWAY not in str(messages(lines) + err)


def test_nothing_is_said_where_our_handler_alone_was_removed() -> None:
    lines, err = run("logger.remove(configure_logging())\nDatadogObserver()")
    assert TAKEN_AWAY not in str(messages(lines) + err)
