"""The commands that show how reliable it is run, and show what they found."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.together import together

REPOSITORY = Path(__file__).parent.parent

COMMANDS = {
    "soak": ["--minutes", "1", "--sessions", "5", "--at-once", "1"],
    "kill": ["--bots", "1", "--secs", "1"],
    "faults": ["--conversations", "1", "--agent", "dead"],
}


def test_soak_kill_and_faults_run_and_show_what_they_found(tmp_path: Path) -> None:
    def check(command: str) -> None:
        path = tmp_path / f"{command}.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", command, *COMMANDS[command], "--json", str(path)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        report = json.loads(path.read_text())
        assert str(report["machine"]["date"]) in " ".join(done.stdout.split())
        if command == "soak":
            assert len(report["rows"]) == 6
            for row in report["rows"]:
                assert row["spans"] > 0 if row["observed"] else row["spans"] == 0
                assert row["left"] == {}, "something of ours is left"
        if command == "kill":
            assert [row["way"] for row in report["rows"]] == ["SIGKILL", "SIGTERM"]
            for row in report["rows"]:
                assert row["sessions"] > 0
                assert row["old_missing"] == 0
        if command == "faults":
            (row,) = report["rows"]
            assert row["health"] == "dead"
            assert row["same"]
            assert row["blocked"] == []
            assert row["resumed_secs"] is not None

    together(COMMANDS, check)
