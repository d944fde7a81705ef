"""What the lines of a run carry, held against the spans of the sessions that wrote them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tests.support import places
from tests.support.places import PLACES, Place

MILLISECOND_NS = 1_000_000


class Writer(Protocol):
    """A bot that wrote lines.

    Attributes:
        mark: What its lines say of whose they are.
        names: The names of its worker and its runner, which their own lines begin with.
    """

    mark: str
    names: dict[str, Place]


@dataclass
class Outcome:
    """What the lines of one place carried.

    Attributes:
        written: How many lines were written there.
        session: How many carry the session's id.
        span: How many carry the id of a span that is right there, and its trace's.
        participant: How many carry the id of the participant who is there, and none when
            nobody is.
        named: How many carry a participant's id, and the right one.
        none: How many carry no id at all.
        wrong: How many carry an id of another's, or of a span that is not at work there.
    """

    written: int = 0
    session: int = 0
    span: int = 0
    participant: int = 0
    named: int = 0
    none: int = 0
    wrong: int = 0


_MARK = re.compile(r"⟨(\w+)\|([^⟩]+)⟩")


def place_of(line: dict[str, Any], bots: Iterable[Writer]) -> tuple[str, Place] | None:
    """Return whose line it is, and from which place, by what it says."""
    said = _MARK.search(line["message"])
    if said is not None:
        return said[1], next(place for place in PLACES if place.name == said[2])
    if line["name"].startswith("pipecat."):
        for bot in bots:
            for name, place in bot.names.items():
                if re.search(rf"{re.escape(name)}(?!\d)", line["message"]):
                    return bot.mark, place
    return None


def judge(
    bots: Iterable[Writer], ids: Mapping[str, str], lines: list[dict[str, Any]], spans: list[Any]
) -> dict[str, Outcome]:
    """Hold the lines of a run against its spans.

    Args:
        bots: The bots that ran.
        ids: The id of each one's session, by its mark.
        lines: All lines.
        spans: All spans, as `pipecat_dd.testing` has them.

    Returns:
        What came of each place, by its name.
    """
    by_id = {str(span.span_id): span for span in spans}
    trace_of = {s.tags.get("session_id"): f"{s.trace_id:032x}" for s in spans}
    there = [s for s in spans if s.name == "pipecat.participant"]
    outcomes = {place.name: Outcome() for place in PLACES}
    for line in lines:
        found = place_of(line, bots)
        if found is None:
            continue
        mark, place = found
        outcome, session_id = outcomes[place.name], ids[mark]
        outcome.written += 1
        span = by_id.get(line.get("dd.span_id", ""))
        has_session = line.get("session_id") == session_id
        has_span = (
            span is not None
            and line.get("dd.trace_id") == f"{span.trace_id:032x}" == trace_of[session_id]
            and (not place.spans or span.name in place.spans)
            and (place.spans != places.FRAME or span.resource == "Everywhere LLMTextFrame")
        )
        own = {
            s.tags["participant_id"]: (s.start_ns, s.end_ns)
            for s in there
            if s.tags["session_id"] == session_id
        }
        written_by = line.get("participant_id")
        has_participant = written_by == _who_was_there(line, own)
        carries = {"session_id", "participant_id", "dd.trace_id", "dd.span_id"} & set(line)
        outcome.session += has_session
        outcome.span += has_span
        outcome.participant += has_participant
        outcome.named += has_participant and written_by is not None
        outcome.none += not carries
        outcome.wrong += (
            ("session_id" in line and not has_session)
            or ("dd.span_id" in line and not has_span)
            or ("dd.trace_id" in line and line["dd.trace_id"] != trace_of[session_id])
            or (written_by is not None and written_by not in own)
        )
    return outcomes


def _who_was_there(line: dict[str, Any], own: dict[str, tuple[int, int]]) -> str | None:
    """Return the only participant who was there when a line was written, if there was one.

    A line's time is in milliseconds: in the one of joining or leaving, either is right.
    """
    written_ns = int(datetime.fromisoformat(line["timestamp"]).timestamp() * 1e9)
    for participant_id, (start_ns, end_ns) in own.items():
        if start_ns + MILLISECOND_NS <= written_ns <= end_ns - MILLISECOND_NS:
            return participant_id
        if start_ns - MILLISECOND_NS <= written_ns <= end_ns + MILLISECOND_NS:
            said: str | None = line.get("participant_id")
            return said
    return None
