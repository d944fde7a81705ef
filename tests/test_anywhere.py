"""Every line, from anywhere, carries the ids of the work that wrote it, and never wrong ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.support.versions import needs_pipecat

REPOSITORY = Path(__file__).parent.parent
SESSIONS = {"alone": "1", "several at once": "3"}
# Cartesia's services take the address of a server of one's own since then.
pytestmark = needs_pipecat("1.8", "the address of Cartesia is fixed")


def held(*launcher: str, patches: str = "none") -> dict[str, dict[str, dict[str, int]]]:
    """Hold the conversations in a process of their own; return what came of each place."""
    done = subprocess.run(
        [
            *launcher,
            *("-m", "tests.support.anywhere"),
            *("--sessions", *SESSIONS.values()),
            *("--patches", patches),
        ],
        cwd=REPOSITORY,
        env=quiet_environment()
        | {
            "DD_SERVICE": "test-bot",
            "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_TRACE_LOG_STREAM_HANDLER": "false",
            "DD_TRACE_STARTUP_LOGS": "false",
        },
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, dict[str, dict[str, int]]] = json.loads(done.stdout)
    return found


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "nothing of ddtrace's patched": {},
    "asyncio, futures, logging and loguru patched before us": {"patches": "before"},
    "asyncio, futures, logging and loguru patched after us": {"patches": "after"},
    "ddtrace-run": {"run_by": str(Path(sys.executable).with_name("ddtrace-run"))},
}


@pytest.fixture(scope="module", params=CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def outcomes(request: pytest.FixtureRequest) -> dict[str, dict[str, dict[str, int]]]:
    options = dict(request.param)
    run_by = options.pop("run_by", None)
    return held(*([run_by] if run_by else []), sys.executable, **options)


@pytest.mark.parametrize("sessions", SESSIONS.values(), ids=SESSIONS)
def test_every_line_from_every_place_carries_the_right_ids_and_none_a_wrong_one(
    outcomes: dict[str, dict[str, Any]], sessions: str
) -> None:
    from tests.support.places import PLACES

    found = outcomes[sessions]
    assert set(found) == {place.name for place in PLACES}
    for place in PLACES:
        outcome = found[place.name]
        said = f"{place.name}: {outcome}"
        assert outcome["written"] >= int(sessions), said
        assert outcome["wrong"] == 0, said
        for carried in ("session", "span", "participant"):
            assert outcome[carried] == outcome["written"], said
