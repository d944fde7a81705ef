"""The pages of the reference are what the code gives, and name all of it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pipecat_dd
import pipecat_dd.testing
from pipecat_dd.cli.main import main
from pipecat_dd.settings import table
from tests.reference import api_page, cli_page
from tests.support import settings_page

PACKAGE = Path(pipecat_dd.__file__).parent
ANEW = "write it: python -m tests.write_docs"

PIPECATS = {
    "DatadogObserver": {
        *("setup", "cleanup", "on_push_frame", "on_process_frame", "on_pipeline_started"),
        *("on_processor_setup", "observe_every_push"),
    },
    "Redactor": {"judge", "secrecy", "id"},
    "Session": {
        *("phase", "is_void", "root", "next_turn_tags", "turn", "quiet_ns", "processors", "people"),
        *("inferences", "blocking", "runtime", "exporter", "binder", "flow_node", "reporter"),
        *("enter_turn", "stage"),
    },
}
"""What has no underscore and is for Pipecat or for other modules of ours, not for users."""


def test_the_page_of_python_names_is_what_the_code_gives() -> None:
    assert api_page.PAGE.read_text("utf8") == api_page.page(), ANEW


def test_the_page_of_commands_is_what_the_code_gives() -> None:
    assert cli_page.PAGE.read_text("utf8") == cli_page.page(), ANEW


@pytest.mark.parametrize("module", [pipecat_dd, pipecat_dd.testing])
def test_every_public_name_is_on_the_page(module: Any) -> None:
    public = {name for name in module.__all__ if not name.startswith("__")}
    assert set(api_page.ORDER[module.__name__]) == public


@pytest.mark.parametrize("name", api_page.MEMBERS)
def test_every_member_of_a_public_class_is_public_or_known_to_be_internal(name: str) -> None:
    thing = getattr(pipecat_dd, name)
    members = {one for one in vars(thing) if not one.startswith("_")}
    members |= set(getattr(thing, "__dataclass_fields__", ()))
    public = set(api_page.MEMBERS[name])
    assert members == public | PIPECATS[name]


def _examples() -> Iterator[Any]:
    text = api_page.PAGE.read_text("utf8")
    for section in re.split(r"\n(?=#{2,4} )", text):
        heading = section.partition("\n")[0].strip("# `()")
        _, _, examples = section.partition("**Example:**")
        for code in re.findall(r"```py\n(.*?)```", examples, re.S):
            yield pytest.param(code, id=heading)


AROUND = """
import asyncio, sys
from types import SimpleNamespace
from ddtrace.llmobs import LLMObs
from ddtrace.propagation.http import HTTPPropagator
from fastapi import FastAPI
from loguru import logger
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat_dd import *
app, observers, headers = FastAPI(), {}, {}
pipeline = Pipeline([IdentityFilter()])
request = SimpleNamespace(participant_id="p-1")

async def call():
    observer = DatadogObserver()
"""
"""What the examples use and do not make."""


@pytest.mark.parametrize("code", list(_examples()))
def test_an_example_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code.replace("/var/spool/bot", str(tmp_path / "spool"))
    indented = "".join(f"    {line}\n" for line in code.splitlines())
    program = f"{AROUND}{indented}\nasyncio.run(call())\n"
    monkeypatch.setenv("DD_API_KEY", "0" * 32)
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    monkeypatch.setenv("DD_LLMOBS_ENABLED", "false")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_every_command_states_its_exit_codes() -> None:
    without = {name for name, one in main.commands.items() if "Exit codes: " not in one.help}
    assert without == {"setup-file"}


def test_what_commands_need_are_extras() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf8"))["project"]
    assert set(cli_page.EXTRAS.values()) <= set(project["optional-dependencies"])


# Variables

_VARIABLE = re.compile(r"(?:PIPECAT|DD|DATADOG|LOGURU)_[A-Z0-9_]+[A-Z0-9]")


def _spelled_out() -> set[str]:
    """Return all variables that the code spells out, in docstrings or not."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and _VARIABLE.fullmatch(text):
                found.add(text)
    return found


def _in_environ() -> set[str]:
    """Return the names that the code looks up in ``os.environ`` by a literal."""
    text = "\n".join(path.read_text("utf8") for path in PACKAGE.rglob("*.py"))
    return set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", text))


def _on_the_page() -> set[str]:
    groups = settings_page.OTHER_VARIABLES.values()
    return {name for group in groups for names in group for name in names.split()}


def test_every_variable_that_the_code_reads_is_on_the_page_of_settings() -> None:
    known = _on_the_page() | set(table.VARIABLES) | settings_page.WRITTEN_ONLY
    assert _spelled_out() | _in_environ() <= known


def test_no_variable_on_the_page_is_unknown_to_the_code() -> None:
    text = "\n".join(path.read_text("utf8") for path in PACKAGE.rglob("*.py"))
    read_by_others = {"DD_SERVICE_MAPPING", "HTTPS_PROXY", "NO_COLOR"}
    for name in _on_the_page() - read_by_others:
        assert name in text, name
