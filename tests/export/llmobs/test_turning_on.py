"""When LLM Observability is on, and what a processor says of itself."""

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest

from pipecat_dd.instrumentation.declared import QUESTIONS, declared_kinds
from pipecat_dd.settings import Settings
from tests.export.llmobs.calls import documented
from tests.export.llmobs.conftest import environment
from tests.support.agent import TestAgent
from tests.support.lines import written_lines
from tests.support.ports import free_port
from tests.support.versions import DDTRACE

OFF_THEN_ON = """
import json, sys
from pipecat_dd import DatadogObserver

first = DatadogObserver()
imported = "ddtrace.llmobs" in sys.modules
others = [DatadogObserver(llmobs=True) for _ in range(2)]
from ddtrace.llmobs import LLMObs
print(json.dumps([imported, LLMObs.enabled]))
"""


def run(url: str, **variables: str) -> "subprocess.Popen[str]":
    everything = environment(url) | variables
    return subprocess.Popen(
        [sys.executable, "-c", OFF_THEN_ON],
        env={name: value for name, value in everything.items() if value},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_costs_no_import_until_it_is_wanted_and_what_keeps_it_off_is_said_once(
    agent: TestAgent,
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    wanted = run(agent.url, DD_LLMOBS_ENABLED="", DD_LLMOBS_ML_APP="")
    refused = run(agent.url, DD_LLMOBS_ENABLED="false")
    alone = run(nowhere, DD_LLMOBS_ENABLED="")
    for process, on, why in (
        (wanted, True, None),
        (refused, False, "DD_LLMOBS_ENABLED turns it off"),
        (alone, False, "if it reaches no Agent"),
    ):
        out, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
        assert json.loads(out) == [False, on]
        assert complaints.count("pipecat_dd:") == (why is not None), complaints
        assert why is None or why in complaints


def test_what_an_older_ddtrace_shows_less_of_is_said_once(agent: TestAgent) -> None:
    process = run(agent.url, LOGURU_LEVEL="INFO")
    _, complaints = process.communicate(timeout=60)
    said = complaints.count("shows less of a session in LLM Observability")
    assert said == (1 if DDTRACE < (4, 16) else 0), complaints


def test_true_needs_a_name_for_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DD_LLMOBS_ML_APP", raising=False)
    monkeypatch.setattr("ddtrace.config.service", None)
    with pytest.raises(
        ValueError, match=r"^llmobs=True: .*DD_LLMOBS_ML_APP or DD_SERVICE must be set"
    ):
        Settings.read(llmobs=True)
    monkeypatch.setenv("DD_LLMOBS_ML_APP", "voice")
    assert Settings.read(llmobs=True).llmobs is True


def test_it_is_a_truth_value_by_argument_or_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match=r"^llmobs='yes': must be True or False"):
        Settings.read(llmobs="yes")
    assert Settings.read().llmobs is None
    monkeypatch.setenv("PIPECAT_DD_LLMOBS", "off")
    assert Settings.read().llmobs is False


NUMBERS = itertools.count()


class Says:
    def __init__(self, kind: Any) -> None:
        self.llmobs_kind = kind


class LLMContextFrame:
    pass


@pytest.mark.parametrize(
    ("declared", "kinds"),
    [
        ("retrieval", {"LLMContextFrame": "retrieval", "TranscriptionFrame": "retrieval"}),
        ({"LLMContextFrame": "task"}, {"LLMContextFrame": "task"}),
        ({LLMContextFrame: "retrieval"}, {"LLMContextFrame": "retrieval"}),
        (None, {}),
    ],
)
def test_a_processor_says_what_its_work_is(declared: Any, kinds: dict[str, str]) -> None:
    assert declared_kinds(Says(declared)) == kinds


def test_a_processor_says_it_as_the_document_shows() -> None:
    assert set(declared_kinds(documented()["Knowledge"]())) == set(QUESTIONS)


@pytest.mark.parametrize("declared", ["search", {"LLMContextFrame": "llm"}, 7, ["retrieval"]])
def test_a_kind_there_is_not_is_ignored_and_said(declared: Any) -> None:
    # It is said once of each class.
    own = type(f"Says{next(NUMBERS)}", (Says,), {})
    with written_lines() as lines:
        assert declared_kinds(own(declared)) == {}
        assert declared_kinds(own(declared)) == {}
    (line,) = lines.all
    assert f"{own.__name__}.llmobs_kind=" in line["message"]
    assert "'retrieval'" in line["message"]
