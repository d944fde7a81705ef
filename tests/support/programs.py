"""Python programs in processes of their own, which import what the tests can import."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run_python(
    *arguments: str,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    given: str | None = None,
    timeout_secs: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """Run Python to its end, and return its output and exit code.

    Args:
        *arguments: What Python is given: ``-c`` and a program, a file, or ``-m`` and a module.
        cwd: The directory that it runs in.
        variables: Environment variables beside those of the tests.
        given: What it can read from standard input.
        timeout_secs: How long it may take.
    """
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **(variables or {}), "PYTHONPATH": os.pathsep.join(sys.path)},
        input=given,
        capture_output=True,
        text=True,
        timeout=timeout_secs,
    )
