"""However the process ends, its lines are sent within two seconds, or kept in the spool."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.export.shipping.conftest import ShipTo
from tests.support.intake import KEY, Intake, Reply

PROGRAM = Path(__file__).with_name("dying_program.py")
HUNDRED = [f"line {number}" for number in range(100)]


def started(intake: Intake, way: str, **environment: Any) -> "subprocess.Popen[str]":
    # A long interval: what arrives was sent because of the end.
    return subprocess.Popen(
        [sys.executable, "-m", "tests.export.shipping.dying_program", way],
        cwd=PROGRAM.parents[3],
        env=quiet_environment()
        | {
            "DD_API_KEY": KEY,
            "DD_TRACE_ENABLED": "false",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "PIPECAT_DD_SHIP": "true",
            "PIPECAT_DD_SHIP_URL": intake.url,
            "PIPECAT_DD_SHIP_FLUSH_INTERVAL_SECS": "60",
        }
        | {key: str(value) for key, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def await_word(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"it ended without saying {word!r}")


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    said, _ = process.communicate(timeout=30)
    return process.returncode, said.splitlines()


@pytest.mark.parametrize(
    ("way", "code", "last"),
    [
        ("returns", 0, ["last"]),
        ("raises", 1, ["Uncaught exception: ZeroDivisionError: division by zero"]),
    ],
)
def test_a_program_that_ends_in_order_has_sent_all(
    intake: Intake, way: str, code: int, last: list[str]
) -> None:
    returned, said = ended(started(intake, way))
    assert returned == code
    assert intake.messages == ["first", *last]
    lines = len(intake.messages)
    assert said == [f"counts {lines} {lines} 0 0"]


def test_a_bot_that_is_told_to_terminate_has_sent_all(intake: Intake) -> None:
    process = started(intake, "is told to terminate")
    await_word(process, "working")
    process.send_signal(signal.SIGTERM)
    returned, _ = ended(process)
    assert returned in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert intake.messages == ["first", *HUNDRED]


def test_a_session_that_is_told_to_terminate_has_sent_all(intake: Intake) -> None:
    process = started(intake, "observer")
    await_word(process, "working")
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert intake.messages[-1] == "in the session"
    assert intake.lines[-1]["session_id"] == "the-session"


def test_an_intake_that_hangs_holds_the_end_up_for_two_seconds_at_most(
    intake: Intake, tmp_path: Path
) -> None:
    hangs = threading.Event()
    intake.script = lambda number, lines: Reply(202, after=hangs, keeps=False)
    process = started(intake, "is told to terminate", PIPECAT_DD_SHIP_SPOOL_DIR=tmp_path)
    await_word(process, "working")
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert time.monotonic() - begun < 2.5  # and some of the interpreter's own end
    hangs.set()
    assert _lines_on_disk(tmp_path) == 101


def test_what_a_killed_process_had_spooled_is_sent_by_the_next(
    intake: Intake, ship_to: ShipTo, tmp_path: Path
) -> None:
    intake.script = lambda number, lines: Reply(503)
    process = started(
        intake,
        "is killed",
        PIPECAT_DD_SHIP_SPOOL_DIR=tmp_path,
        PIPECAT_DD_SHIP_FLUSH_INTERVAL_SECS="0.05",
    )
    await_word(process, "working")
    deadline = time.monotonic() + 20
    while _lines_on_disk(tmp_path) < 101:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    ended(process)
    intake.script = lambda number, lines: Reply()
    ship_to(intake, spool_dir=tmp_path)
    intake.wait_for_lines(101)
    assert intake.messages == ["first", *HUNDRED]


def _lines_on_disk(directory: Path) -> int:
    return sum(int(path.name.split("-")[3].split(".")[0]) for path in directory.rglob("*.gz"))


@pytest.mark.parametrize(
    ("way", "message"), [("forks", "in the child"), ("multiprocessing", "in the process")]
)
def test_a_forked_process_sends_its_own_lines_and_not_its_parents(
    intake: Intake, way: str, message: str
) -> None:
    _, said = ended(started(intake, way))
    assert sorted(intake.messages) == sorted(["first", message, "last"])
    assert "child 1" in said
    assert said[-1] == "counts 2 2 0 0"


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_parent_that_forks_while_a_request_is_out_sends_it_once(
    intake: Intake, ship_to: ShipTo
) -> None:
    from loguru import logger

    answers = threading.Event()
    intake.script = lambda number, lines: Reply(202, after=answers if number == 0 else None)
    ship_to(intake)
    logger.info("of the parent")
    intake.wait_for_requests(1)
    child = os.fork()
    if child == 0:
        try:
            from pipecat_dd.export.shipping import flush_shipping, shipping_counts

            logger.info("of the child")
            flush_shipping()
            os._exit(0 if shipping_counts().shipped == shipping_counts().written == 1 else 1)
        finally:
            os._exit(2)
    answers.set()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    logger.info("of the parent again")
    intake.wait_for_lines(3)
    assert sorted(intake.messages) == ["of the child", "of the parent", "of the parent again"]
