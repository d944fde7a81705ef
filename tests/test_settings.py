"""What a user can set, and what is said of what cannot be."""

import uuid
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import DatadogObserver
from pipecat_dd.settings import MAX_SESSION_ID_CHARS, Settings


def test_no_argument_is_needed() -> None:
    observer = DatadogObserver()
    assert uuid.UUID(observer.session_id)


def test_a_session_id_that_loguru_holds_is_taken() -> None:
    with logger.contextualize(session_id="cloud-1"):
        assert DatadogObserver().session_id == "cloud-1"
        assert DatadogObserver(session_id="mine").session_id == "mine"


def test_a_session_id_that_loguru_holds_is_cut_to_what_an_id_may_have() -> None:
    with logger.contextualize(session_id=" " + "x" * 100_000):
        assert DatadogObserver().session_id == "x" * MAX_SESSION_ID_CHARS


def test_a_session_id_of_spaces_that_loguru_holds_is_none() -> None:
    with logger.contextualize(session_id=" \n"):
        assert uuid.UUID(DatadogObserver().session_id)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"session_id": ""}, ValueError),
        ({"session_id": "x" * 201}, ValueError),
        ({"session_id": 7}, TypeError),
        ({"name": "  "}, ValueError),
        ({"tags": ["a"]}, TypeError),
        ({"tags": {"session_id": "x"}}, ValueError),
        ({"tags": {"a": None}}, TypeError),
        ({"tags": {"": "x"}}, ValueError),
        ({"parent": "00-abc"}, TypeError),
        ({"capture_content": "yes"}, TypeError),
        ({"turn_end_timeout_secs": 0}, ValueError),
        ({"turn_end_timeout_secs": float("nan")}, ValueError),
        ({"turn_end_timeout_secs": "2"}, TypeError),
        ({"turn_end_timeout_secs": True}, TypeError),
    ],
)
def test_a_wrong_argument_is_refused_by_name_with_what_is_allowed(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    (name,) = arguments
    with pytest.raises(error, match=f"^{name}.*(must|reserved)"):
        DatadogObserver(**arguments)


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("PIPECAT_DD_SESSION_ID", "s-9", "session_id", "s-9"),
        ("PIPECAT_DD_NAME", "alice", "name", "alice"),
        ("PIPECAT_DD_TAGS", "tier:gold, team : voice", "tags", {"tier": "gold", "team": "voice"}),
        ("PIPECAT_DD_CAPTURE_CONTENT", "TRUE", "capture_content", True),
        ("PIPECAT_DD_CAPTURE_CONTENT", "0", "capture_content", False),
        ("PIPECAT_DD_TURN_END_TIMEOUT_SECS", "4.5", "turn_end_timeout_secs", 4.5),
    ],
)
def test_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(Settings.read(), field) == expected


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPECAT_DD_NAME", "from-the-environment")
    assert Settings.read(name="argument").name == "argument"


def test_the_bots_name_is_its_service_unless_it_has_one() -> None:
    assert Settings.read().name == "test-bot"
