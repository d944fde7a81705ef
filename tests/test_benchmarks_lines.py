"""The commands that show what lines carry, and what they cost, run and show what they found."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.versions import needs_pipecat

REPOSITORY = Path(__file__).parent.parent

pytestmark = needs_pipecat("1.8", "the address of Cartesia is fixed")


def shown(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=115,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_every_place_has_a_row_and_no_line_is_wrong(tmp_path: Path) -> None:
    from tests.support.places import PLACES

    path = tmp_path / "lines.json"
    table = shown("lines", "--sessions", "2", "--json", str(path))
    report = json.loads(path.read_text())
    assert [(c["sessions"], c["patched"]) for c in report["configurations"]] == [
        (1, False), (1, True), (2, False), (2, True),
    ]  # fmt: skip
    assert set(report["places"]) == {place.name for place in PLACES}
    for place, runs in report["places"].items():
        assert place in table
        assert all(counts["written"] and not counts["wrong"] for counts in runs), place


def test_todays_way_is_shown_beside_ours() -> None:
    table = shown("today")
    rows = [line.split("│")[1:-1] for line in table.splitlines() if line.startswith("│")]
    ours = next([int(cell) for cell in row[1:]] for row in rows if row[0].strip() == "pipecat_dd")
    written, session, span, participant, wrong = ours
    assert written == session == span > participant > 0
    assert wrong == 0


def test_a_lines_cost_is_shown_as_a_ratio() -> None:
    table = shown("line-cost", "--rounds", "2")
    for way in ("Loguru's serialize=True", "in a session", "outside of a session"):
        assert way in table


def test_what_shipping_costs_is_shown_as_a_ratio() -> None:
    table = shown("ship", "--rounds", "1")
    for way in ("without", "the intake is up", "the intake is down"):
        assert way in table
    (takes,) = [line for line in table.splitlines() if "is up" in line]
    assert "100%" in takes
