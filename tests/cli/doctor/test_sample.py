"""What the doctor's own session shows, and that it leaves nothing behind."""

import logging
from dataclasses import replace

import pytest
from loguru import logger

from pipecat_dd import _ddtrace, _guard
from pipecat_dd.cli.doctor import sample, sample_session, sending
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.sample_session import SampleSession
from tests.cli.doctor.running import found
from tests.support.agent import TestAgent


@pytest.fixture(scope="module")
def held() -> SampleSession:
    return sample_session.run(send=False)


def judged(held: SampleSession, *, ids: bool = True) -> dict[str, Finding]:
    return {finding.check: finding for finding in sample.judge_session(held, ids=ids)}


def without(held: SampleSession, *fields: str, **other: str) -> SampleSession:
    lines = [
        {key: value for key, value in {**line, **other}.items() if key not in fields}
        for line in held.lines
    ]
    return replace(held, lines=lines)


def test_lines_of_a_real_session_lead_to_its_spans(held: SampleSession) -> None:
    findings = judged(held)
    assert {name: finding.level for name, finding in findings.items()} == {
        "sample.lines": Level.OK,
        "sample.stdlib_lines": Level.OK,
    }
    assert findings["sample.lines"].facts["session_id"] == held.id
    assert {span.name for span in held.spans} >= {"pipecat.session", "pipecat.frame"}
    assert held.failures == 0


@pytest.mark.parametrize(
    "field",
    [
        *("session_id", "dd.trace_id", "dd.span_id"),
        *("pipecat.version", "pipecat.trace_id", "pipecat.span_id"),
    ],
)
def test_a_line_that_lacks_an_id_is_a_problem(held: SampleSession, field: str) -> None:
    findings = judged(without(held, field))
    assert findings["sample.lines"].level is Level.PROBLEM
    assert f"lacks {field}" in findings["sample.lines"].says
    assert findings["sample.stdlib_lines"].level is Level.PROBLEM


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_id": "another"},
        {"dd.span_id": "77"},
        {"dd.trace_id": "0" * 32},
        {"pipecat.trace_id": "0" * 32},
        {"pipecat.span_id": "77"},
    ],
)
def test_a_line_with_anothers_id_is_a_problem(held: SampleSession, wrong: dict[str, str]) -> None:
    finding = judged(without(held, **wrong))["sample.lines"]
    assert finding.level is Level.PROBLEM
    assert "ids of a different span" in finding.says


def test_a_line_that_does_not_arrive_is_a_problem(held: SampleSession) -> None:
    assert judged(replace(held, lines=[]))["sample.lines"].level is Level.PROBLEM


def test_ids_that_are_turned_off_are_not_missed(
    held: SampleSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ddtrace, "INJECTS_IDS", False)
    quiet = found(sample.lines, {"DD_LOGS_INJECTION": "false"})
    assert quiet["sample.lines"].level is Level.OK
    assert "carries session_id." in quiet["sample.lines"].says
    assert found(sample.lines)["sample.lines"].level is Level.PROBLEM


def test_without_tracing_no_session_is_held() -> None:
    (finding,) = found(sample.lines, {"DD_TRACE_ENABLED": "false"}).values()
    assert finding.level is Level.NOTE
    assert found(sending.accepted, {"DD_TRACE_ENABLED": "false"}) == {}


def test_a_session_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPECAT_DD_TAGS", "gold")
    (finding,) = found(sample.lines).values()
    assert finding.check == "sample.session"
    assert finding.level is Level.PROBLEM
    assert "PIPECAT_DD_TAGS" in finding.says


def test_a_part_of_ours_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipecat_dd.conversation.conversation import Conversation

    monkeypatch.setattr(_guard, "instrumentation", _guard.Part("listening"))

    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(Conversation, "start", broken)
    assert found(sample.lines)["sample.session"].facts["failures"] == 1


def test_a_variable_that_the_session_does_not_use_does_not_fail_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIPECAT_DD_CAPTURE_CONTNT", "1")  # misspelt
    monkeypatch.setenv("PIPECAT_DD_SAMPLE", "no sample")  # of configure_logging()
    assert "sample.session" not in found(sample.lines)


def test_a_trace_that_sampling_leaves_out_is_told(held: SampleSession) -> None:
    assert held.priority is not None
    assert held.priority > 0
    assert judged(replace(held, priority=-1))["sample.kept"].level is Level.NOTE


def test_nothing_is_sent_and_everything_is_as_it_was(agent: TestAgent) -> None:
    root = logging.getLogger()
    before = (repr(logger), list(root.handlers), root.level)
    held = sample_session.run(send=False)
    sent = sample_session.run(send=True)
    agent.session(sent.id)
    assert held.id not in str(agent.spans())
    assert (list(root.handlers), root.level) == before[1:]
    assert len(repr(logger).split("handlers=")[1]) == len(before[0].split("handlers=")[1])


def test_a_session_that_is_sent_arrives(agent: TestAgent) -> None:
    finding = found(sending.accepted)["sending.accepted"]
    assert finding.level is Level.OK
    session_id = str(finding.facts["session_id"])
    trace = agent.session(session_id)
    assert trace.named("pipecat.session")
    assert f"@session_id:{session_id}" in finding.do


def test_it_says_what_to_search_for(held: SampleSession) -> None:
    finding = judged(held)["sample.lines"]
    assert "@pipecat.trace_id:*" in finding.do
    assert "trace_id:<its id>" in finding.do


@pytest.mark.parametrize(
    ("before", "because"),
    [
        ({}, []),
        ({"agent.answers": Level.PROBLEM}, ["agent.answers"]),
        ({"agent.answers": Level.OK, "agent.trace_api": Level.PROBLEM}, ["agent.trace_api"]),
        (
            {"variables.value": Level.PROBLEM, "intake.key": Level.PROBLEM},
            ["intake.key", "variables.value"],
        ),
        ({"settings.unknown": Level.PROBLEM}, []),
    ],
)
def test_a_failure_to_send_names_the_check_that_says_why(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, Level], because: list[str]
) -> None:
    monkeypatch.setattr(
        sample_session, "run", lambda send: SampleSession("s", error=OSError("refused"))
    )
    earlier = [Finding(check, level, "", f"Mend {check}.") for check, level in before.items()]
    finding = found(sending.accepted, found=earlier)["sending.accepted"]
    assert finding.level is Level.PROBLEM
    assert finding.facts["because"] == because
    if because:
        assert finding.do.startswith(f"{because[0]} explains why. Mend {because[0]}.")
    else:
        assert "None of the other checks explains this" in finding.do
