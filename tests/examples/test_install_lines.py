"""What an example's install line brings is all that the example imports."""

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.processes import REPOSITORY

EXAMPLES = REPOSITORY / "examples"

PROGRAM = """
import sys

lacking = set(sys.argv[2].split(","))

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in lacking:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacking())
import runpy
runpy.run_path(sys.argv[1], run_name="example")
"""


def brought_by(lines: list[str]) -> set[str]:
    """Return the distributions that pip installs for some requirements, by what is installed."""
    found: set[str] = set()
    done: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found.add(name)
        for extra in ("", *requirement.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            try:
                needed = requires(name) or []
            except PackageNotFoundError:  # for another system
                continue
            for one in map(Requirement, needed):
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    waiting.append(one)
    return found


def install_line(file: Path) -> list[str]:
    found = re.search(r"^    pip install (.+)$", file.read_text("utf8"), re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])


CASES = {file.name: install_line(file) for file in sorted(EXAMPLES.glob("*.py"))}
CASES["compose"] = (EXAMPLES / "compose" / "requirements.txt").read_text("utf8").split()


@pytest.mark.parametrize("name", CASES)
def test_all_that_an_example_imports_is_installed_by_its_line(name: str, tmp_path: Path) -> None:
    brought = brought_by(CASES[name])
    lacking = {
        module
        for module, owners in packages_distributions().items()
        if not brought & {canonicalize_name(owner) for owner in owners}
    }
    file = EXAMPLES / ("twilio_server.py" if name == "compose" else name)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), ",".join(sorted(lacking))],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "DD_TRACE_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", ["twilio_server.py", "compose"])
def test_a_server_of_websockets_has_what_uvicorn_needs_for_them(name: str) -> None:
    assert {"websockets", "wsproto"} & brought_by(CASES[name])
