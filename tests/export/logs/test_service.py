"""Lines are of the service that their spans are of, whatever names it."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
from loguru import logger
from pipecat_dd import DatadogObserver
from pipecat_dd.testing import capture
from tests.support.bot import Bot

async def main():
    with capture() as seen:
        observer = DatadogObserver()
        logger.warning("in a session")
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            await bot.end()
    spans = {span.service for span in seen.spans}
    lines = {(line["service"], line["dd.service"]) for line in seen.lines}
    print([sorted(spans), sorted(lines)])

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("environment", "service"),
    [
        ({"DD_SERVICE": "bot", "DD_SERVICE_MAPPING": "other:x,bot:voice"}, "voice"),
        ({"DD_TAGS": "service:bot", "DD_SERVICE_MAPPING": "bot:voice"}, "voice"),
        ({"DD_SERVICE": "bot", "DD_SERVICE_MAPPING": "other:x"}, "bot"),
    ],
)
def test_a_mapped_service_is_the_mapped_one_on_lines_too(
    environment: dict[str, str], service: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "DD_SERVICE"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**kept, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    spans, lines = eval(done.stdout.splitlines()[-1])
    assert spans == [service]
    assert lines == [(service, service)]
