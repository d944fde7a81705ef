"""Nothing that Pipecat can utter is overlooked: each has an entry, and each entry is true."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import pipecat_dd.instrumentation
from pipecat_dd.instrumentation import beneath, frame_traits
from pipecat_dd.instrumentation.event_facts import NOT_RECORDED
from pipecat_dd.instrumentation.frame_handlers import HANDLERS
from tests.support.versions import PIPECAT
from tests.versions.coverage import (
    BENEATH,
    EVENTS,
    FRAMES,
    METRICS,
    PARTICIPANT_EVENT,
    SERVICE_EVENT,
    Fate,
    Group,
    How,
    entries,
)
from tests.versions.vocabulary import Utterer, installed
from tests.versions.write_docs import DOCS, tables

IS_NEWEST = PIPECAT >= (1, 14)
"""Whether the installed Pipecat has all that is in the table; older ones have less."""

FRAME_FATES = dict(entries(FRAMES))
METRIC_FATES = dict(entries(METRICS))
EVENT_FATES = {
    (part, name): fate for part, groups in EVENTS.items() for name, fate in entries(groups)
}

WITHOUT_HANDLER = {
    "StartFrame": "followed from processor to processor: frame_traits.py",
}
"""Frames that are shown otherwise than by a handler, and by what."""


def test_every_frame_has_an_entry() -> None:
    missing = installed().frames - FRAME_FATES.keys()
    assert not missing, f"new in Pipecat: say in coverage.py what becomes of {sorted(missing)}"


def test_every_metric_has_an_entry() -> None:
    missing = installed().metrics - METRIC_FATES.keys()
    assert not missing, f"new in Pipecat: say in coverage.py what becomes of {sorted(missing)}"


def test_every_event_has_an_entry() -> None:
    missing = installed().event_names - EVENT_FATES.keys()
    assert not missing, f"new in Pipecat: say in coverage.py what becomes of {sorted(missing)}"
    assert not installed().unknown, "a name that is no literal: read it otherwise"


@pytest.mark.skipif(not IS_NEWEST, reason="an older Pipecat lacks some")
def test_no_entry_is_of_something_that_is_gone() -> None:
    assert not FRAME_FATES.keys() - installed().frames
    assert not METRIC_FATES.keys() - installed().metrics
    assert not EVENT_FATES.keys() - installed().event_names


def test_each_has_one_entry() -> None:
    def names(groups: tuple[Group, ...]) -> list[str]:
        return [name for name, _ in entries(groups)]

    for groups in (FRAMES, METRICS, *EVENTS.values()):
        assert [name for name, n in Counter(names(groups)).items() if n > 1] == []


# What the table says is true


def shown(fates: dict[str, Fate], known: set[str]) -> set[str]:
    return {name for name, fate in fates.items() if fate.how is How.SHOWN and name in known}


def test_what_is_shown_of_frames_has_a_handler_and_nothing_else_has() -> None:
    names = installed().frames
    handled = {name for name in names if installed().above(name) & HANDLERS.keys()}
    without = (WITHOUT_HANDLER.keys()) & names
    assert shown(FRAME_FATES, names) - handled == without
    assert handled - shown(FRAME_FATES, names) == set()


def test_what_is_media_is_only_counted() -> None:
    for name in frame_traits._MEDIA:
        fate = FRAME_FATES.get(name)
        assert fate is None or fate.how is How.COUNTED


def test_what_is_shown_of_metrics_is_read() -> None:
    read = {
        node.value
        for path in Path(pipecat_dd.instrumentation.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf8")))
        if isinstance(node, ast.Constant) and node.value in METRIC_FATES
    }
    known = installed().metrics
    assert {name for name in known if installed().above(name) & read} == shown(METRIC_FATES, known)


def test_every_event_of_a_transport_is_shown() -> None:
    for name, utterers in installed().events.items():
        for by in utterers:
            if by.part == "transports":
                is_transports = "BaseTransport" in installed().above(by.class_name)
                fate = EVENT_FATES[by.part, name]
                is_shown = fate.how is How.SHOWN and fate is not BENEATH
                assert is_shown is is_transports, f"{name} of {by.class_name}"


def test_of_what_lies_beneath_a_transport_that_is_shown_which_is_recorded() -> None:
    def shown_of(part: str) -> set[str]:
        return {
            name for (whose, name), fate in EVENT_FATES.items() if whose == part and fate is BENEATH
        }

    assert shown_of("transports") == beneath.CONNECTION_EVENTS
    assert shown_of("serializers") == beneath.SERIALIZER_EVENTS


def test_what_is_shown_as_an_event_of_a_service_is_recorded() -> None:
    for name, utterers in installed().events.items():
        for part in {by.part for by in utterers if _is_heard(by)}:
            in_place = all(by.is_sync for by in utterers if by.part == part)
            is_recorded = name not in NOT_RECORDED and not in_place
            is_shown = EVENT_FATES[part, name] is SERVICE_EVENT
            assert is_shown is is_recorded, f"{name} of {part}"


def _is_heard(by: Utterer) -> bool:
    """Whether an event is of a processor or worker of a session, or of what hangs off one."""
    if by.part == "workers":
        return "BaseWorker" in installed().above(by.class_name)
    return by.part in ("services", "processors", "turns", "audio", "extensions", "pipeline")


NOT_OF_A_SESSION = {"classifiers", "observers", "evals"}


def test_what_is_not_of_a_session_is_left_out() -> None:
    for (part, name), fate in EVENT_FATES.items():
        if part in NOT_OF_A_SESSION:
            assert fate.how is How.LEFT_OUT, f"{name} of {part}"
        elif part not in ("transports", "serializers"):
            assert fate not in (PARTICIPANT_EVENT, BENEATH)


def test_the_page_is_written_from_the_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert tables() in text, "the page is behind: python -m tests.write_docs"
