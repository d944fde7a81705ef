"""A bot without code of ours, observed by ``PIPECAT_SETUP_FILES`` alone."""

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import _setup_file
from pipecat_dd.cli.view.bot_process import SETUP_FILE
from tests.cli.view.bots import PLAIN_BOT, environment
from tests.cli.view.served import serving

NO_TURNS = (*PLAIN_BOT, "--turns=0", "--calls=plain,plain")


async def run(*command: str, agent: str, **variables: str) -> tuple[str, str]:
    """Run a bot to its end; return what it has written to standard output and error."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(PIPECAT_SETUP_FILES=str(SETUP_FILE), DD_TRACE_AGENT_URL=agent, **variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert out.decode().endswith("END\n")
    return out.decode(), errors.decode()


def lines_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def over(lines: list[dict[str, Any]]) -> set[str]:
    """Return the sessions of the lines that the bots' own functions write after their runs."""
    return {line["session_id"] for line in lines if line["message"] == "plain is over"}


async def test_by_variables_alone_each_call_is_a_session_and_lines_go_where_they_should() -> None:
    traced = shutil.which("ddtrace-run", path=str(Path(sys.executable).parent))
    assert traced is not None
    async with serving() as served:
        given = [
            run(traced, *NO_TURNS, agent=served.url, PIPECAT_DD_NAME="untouched"),
            run(*NO_TURNS, "--logging=sink", agent=served.url),
            run(
                *(*NO_TURNS, "--logging=sink,basic"),
                agent=served.url,
                PIPECAT_DD_LOG_TO="stdout",
                PIPECAT_DD_TAGS="team:voice",
            ),
            run(*NO_TURNS, "--logging=configured", agent=served.url),
        ]
        untouched, with_sink, beside, configured = await asyncio.gather(*given)
        summaries = {one["id"]: one for one in served.store.summaries()}

    assert len(summaries) == 8
    assert {one["end_reason"] for one in summaries.values()} == {"ended"}
    # Loguru as it is: as `configure_logging()` writes.
    lines = lines_in(untouched[0])
    assert len(over(lines)) == 2
    assert {summaries[one]["name"] for one in over(lines)} == {"untouched"}
    # A sink of the bot's own: nothing but that, and how to have more.
    assert lines_in(with_sink[0]) == []
    assert with_sink[1].count("OWN INFO plain is over {}") == 2
    assert with_sink[1].count("PIPECAT_DD_LOG_TO=stdout") == 1
    # Beside it, where that is asked for, also lines of `logging`, each once.
    lines = lines_in(beside[0])
    assert len(over(lines)) == 2
    assert beside[1].count("OWN INFO plain is over {}") == 2
    for level in ("a warning of logging", "an info of logging"):
        assert [line["message"] for line in lines].count(level) == 2
        assert beside[1].count(f"BASIC {level}") == 2
        assert f"OWN INFO {level}" not in beside[1]
    # The bot's own `configure_logging`: each line once.
    lines = lines_in(configured[0])
    assert [line["message"] for line in lines].count("plain is over") == len(over(lines)) == 2


async def test_a_file_for_lines_that_cannot_be_written_is_one_line_and_the_bot_runs_on() -> None:
    async with serving() as served:
        command = (*NO_TURNS, "--logging=sink,basic")
        out, errors = await run(*command, agent=served.url, PIPECAT_DD_LOG_TO="/dev/null/bot.log")
    assert lines_in(out) == []
    assert errors.count("PIPECAT_DD_LOG_TO=") == 1
    assert (
        "pipecat_dd: PIPECAT_DD_LOG_TO='/dev/null/bot.log': must be `stdout`, `stderr`, `off` or "
        "the path of a file: Not a directory. No lines go there"
    ) in errors
    assert "Traceback" not in errors


# What goes wrong with us


@pytest.fixture
def said() -> Iterator[list[str]]:
    found: list[str] = []
    handler = logger.add(lambda message: found.append(str(message)), level="WARNING")
    yield found
    logger.remove(handler)


@pytest.mark.parametrize("hook", ["setup_worker_runner", "setup_pipeline_worker"])
async def test_whatever_goes_wrong_in_our_file_the_bot_runs_on(
    hook: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await getattr(_setup_file, hook)(object())  # no runner or worker at all
    monkeypatch.setattr(_setup_file, "_AUTOMATIC", "pipecat_dd.not_there")
    await getattr(_setup_file, hook)(object())
    assert "Install pipecat-dd in the environment that the bot runs in" in said[-1]
    broken = ModuleType("broken")
    broken.IS_READY = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "broken", broken)
    monkeypatch.setattr(_setup_file, "_AUTOMATIC", "broken")
    await getattr(_setup_file, hook)(object())
    assert len([line for line in said if "this conversation is not observed" in line]) == 2


async def test_an_import_in_progress_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of several conversations that begin together only the first finds nothing there.
    half = ModuleType("pipecat_dd.automatic")
    whole = sys.modules.pop("pipecat_dd.automatic", None)
    monkeypatch.setitem(sys.modules, "pipecat_dd.automatic", half)
    asked = []

    def import_module(name: str) -> ModuleType:
        asked.append(name)
        half.observe_worker = asked.append  # type: ignore[attr-defined]
        return half

    monkeypatch.setattr(_setup_file, "import_module", import_module)
    await _setup_file.setup_pipeline_worker("worker")
    assert asked == ["pipecat_dd.automatic", "worker"]
    if whole is not None:
        monkeypatch.setitem(sys.modules, "pipecat_dd.automatic", whole)
