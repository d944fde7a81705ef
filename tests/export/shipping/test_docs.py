"""docs/deploy/agentless.md shows what runs, and names all that is counted."""

import re
from pathlib import Path

from pipecat_dd.export.shipping import Reason
from tests.support.intake import KEY, Intake
from tests.support.programs import run_python

TEXT = (Path(__file__).parents[3] / "docs" / "deploy" / "agentless.md").read_text("utf8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_the_examples_run(tmp_path: Path, intake: Intake) -> None:
    variables = {"DD_API_KEY": KEY, "PIPECAT_DD_SHIP_URL": intake.url}
    done = run_python("-c", "\n".join(EXAMPLES), cwd=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr
    assert intake.messages == ["This line goes to standard output, and to Datadog"]
    line, counted = done.stdout.splitlines()
    assert intake.messages[0] in line
    assert counted == "1 lines sent, 0 dropped"


def test_every_reason_is_in_the_table() -> None:
    for reason in Reason:
        assert re.search(rf"^\|.*`{reason}`", TEXT, re.M), reason
