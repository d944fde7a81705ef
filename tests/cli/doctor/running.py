"""Running the doctor: its checks in this process, the whole command in one of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding

ROOT = Path(__file__).parents[3]


def found(
    check: Callable[[Context], Iterable[Finding]],
    environ: Mapping[str, str] | None = None,
    **context: Any,
) -> dict[str, Finding]:
    """Run one check; its findings by name, of which the last counts."""
    return {finding.check: finding for finding in check(Context(dict(environ or {}), **context))}


@dataclass
class Ran:
    """A run of the command."""

    code: int
    out: str
    err: str

    @cached_property
    def report(self) -> dict[str, Any]:
        """What it printed with ``--json``."""
        report: dict[str, Any] = json.loads(self.out)
        return report

    def of(self, check: str) -> dict[str, Any]:
        """The finding of a check."""
        (finding,) = (one for one in self.report["findings"] if one["check"] == check)
        return dict(finding)

    def levels(self) -> dict[str, str]:
        """The level of each finding by its check."""
        return {one["check"]: one["level"] for one in self.report["findings"]}


def doctor(
    *arguments: str,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    ddtrace_run: bool = False,
    path: Iterable[Path] = (),
    before: str = "",
) -> Ran:
    """Run ``pipecat-dd doctor`` as a user does.

    Args:
        arguments: What comes after it.
        cwd: Where.
        environ: What is set.
        ddtrace_run: Whether under ``ddtrace-run``.
        path: Where else Python looks for modules.
        before: Python that comes first.
    """
    code = f"{before}\nfrom pipecat_dd.cli.main import main\nmain(prog_name='pipecat-dd')"
    command = [sys.executable, "-c", code, "doctor", *arguments]
    if ddtrace_run:
        command = [sys.executable, "-m", "ddtrace.commands.ddtrace_run", *command]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={
            **quiet_environment(),
            "PYTHONPATH": ":".join(map(str, [*path, ROOT])),
            **(environ or {}),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
