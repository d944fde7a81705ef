"""A deprecation that only a library's authors can act on is a line at DEBUG."""

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.export.logs import configure_logging, unconfigure_logging
from tests.support.processes import REPOSITORY

BOT = '''
"""A user's bot: a real pipeline, which uses one deprecated name itself."""
import asyncio
from pipecat_dd import DatadogObserver, configure_logging

configure_logging(level="DEBUG")

import pipecat.services.cartesia.tts  # Pipecat's own class extends a deprecated one of its own
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.worker import PipelineWorker
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.tts_service import AudioContextTTSService


async def main() -> None:
    LocalSmartTurnAnalyzerV3()  # calls what a library of Pipecat's has deprecated
    tts = CartesiaTTSService(api_key="key", voice_id="voice")

    class MyVoice(AudioContextTTSService):
        pass

    worker = PipelineWorker(Pipeline([]), observers=[DatadogObserver()])
    await worker.queue_frame(EndFrame())
    await PipelineRunner().run(worker)

asyncio.run(main())
'''


def test_a_bots_own_deprecations_stay_warnings_and_those_of_libraries_do_not(
    tmp_path: Path,
) -> None:
    pytest.importorskip("pipecat.pipeline.worker", reason="needs Pipecat 1.3")
    (tmp_path / "bot.py").write_text(BOT)
    done = subprocess.run(
        [sys.executable, "-W", "default", "bot.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "DD_TRACE_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [line for line in lines if "DeprecationWarning: " in line["message"]]
    warned = {_about(line) for line in found if line["status"] == "warning"}
    lowered = {_about(line) for line in found if line["status"] == "debug"}
    bot = str(tmp_path / "bot.py")
    assert any(file == bot and "voice_id" in text for file, text in warned)
    assert any(file == bot and "PipelineRunner" in text for file, text in warned)
    # Of the same class: extended by the bot, and by Pipecat.
    assert any(file == "<frozen abc>" and "AudioContextTTS" in text for file, text in warned)
    assert {file for file, _ in warned} == {bot, "<frozen abc>"}
    assert any(file == "<frozen abc>" for file, _ in lowered) or _pipecat_does_not_extend_it()
    assert not any(file == bot for file, _ in lowered)


@pytest.mark.parametrize("name", ["shop_bot/__init__.py", "shop_bot.py"])
def test_a_bot_that_is_installed_is_no_library(tmp_path: Path, name: str) -> None:
    packages = tmp_path / "site-packages"
    bot = packages / name
    bot.parent.mkdir(parents=True, exist_ok=True)
    bot.write_text(
        "import warnings\n"
        "from pipecat_dd import configure_logging\n"
        "import other_library\n"
        "configure_logging()\n"
        "warnings.warn('mine', DeprecationWarning)\n"
        "other_library.act()\n"
    )
    (packages / "other_library.py").write_text(
        "import warnings\ndef act(): warnings.warn('theirs', DeprecationWarning)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", "import shop_bot"],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join((str(packages), str(REPOSITORY))),
            "DD_TRACE_ENABLED": "false",
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    warned = [_about(line) for line in lines if "DeprecationWarning: " in line["message"]]
    assert [file for file, _ in warned] == [str(bot)]


def _about(line: dict[str, Any]) -> tuple[str, str]:
    file, _, text = line["message"].partition(": DeprecationWarning: ")
    return file.rpartition(":")[0], text


def _pipecat_does_not_extend_it() -> bool:
    from pipecat.services.cartesia import tts

    return "AudioContextTTSService" not in Path(str(tts.__file__)).read_text("utf8")


LIBRARY = str(Path(pytest.__file__).parent / "nowhere.py")


@pytest.mark.parametrize(
    ("category", "file", "status"),
    [
        (DeprecationWarning, LIBRARY, "debug"),
        (PendingDeprecationWarning, LIBRARY, "debug"),
        (DeprecationWarning, logging.__file__, "debug"),
        (UserWarning, LIBRARY, "warning"),
        (RuntimeWarning, LIBRARY, "warning"),
        (DeprecationWarning, __file__, "warning"),
        (DeprecationWarning, "/srv/bot/bot.py", "warning"),
        (DeprecationWarning, "<stdin>", "warning"),
        (UserWarning, __file__, "warning"),
    ],
)
def test_the_level_is_by_what_the_warning_is_about(
    category: type[Warning], file: str, status: str
) -> None:
    out = io.StringIO()
    configure_logging(out, level="DEBUG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn_explicit("old", category, file, 7)
    finally:
        unconfigure_logging()
    (line,) = (json.loads(line) for line in out.getvalue().splitlines())
    assert line["status"] == status
    assert f"{category.__name__}: old" in line["message"]


def test_another_handler_gets_the_warning_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    configure_logging(io.StringIO(), level="DEBUG")
    try:
        warnings.warn_explicit("old", DeprecationWarning, LIBRARY, 8)
    finally:
        unconfigure_logging()
    (record,) = (one for one in caplog.records if one.name == "py.warnings")
    assert record.levelno == logging.WARNING


def test_at_info_no_line_is_written() -> None:
    out = io.StringIO()
    configure_logging(out)
    try:
        warnings.warn_explicit("old", DeprecationWarning, LIBRARY, 9)
    finally:
        unconfigure_logging()
    assert out.getvalue() == ""
