"""A conversation as trace events, which Perfetto and chrome://tracing open.

Each lane is a thread. Events of one thread must lie within each other or apart, so what overlaps
(two responses at once) gets a further thread of the same name. Times are microseconds since the
conversation's beginning.
"""

from collections.abc import Iterator
from typing import Any, Final

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind

_LANES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("conversation", (Kind.SESSION, Kind.TURN, Kind.STARTUP)),
    ("participants", (Kind.PARTICIPANT, Kind.PARTICIPANT_EVENT)),
    ("user's speech", (Kind.USER_SPEECH,)),
    ("end of turn", (Kind.END_OF_TURN,)),
    ("stt", (Kind.STT,)),
    ("llm", (Kind.LLM,)),
    ("tools", (Kind.TOOL,)),
    ("tts", (Kind.TTS,)),
    ("bot's speech", (Kind.BOT_SPEECH,)),
    ("services", (Kind.SERVICE_EVENT, Kind.BLOCKED)),
    ("frames", (Kind.FRAME,)),
)
_OTHERS: Final = "other spans"
_LINES: Final = "lines"
_PROCESS: Final = 1
_LANE_STEP: Final = 100
"""How many threads a lane may have; further ones share the last."""

Event = dict[str, Any]


def trace_events(call: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation as a trace, to be written as JSON."""
    session, spans = call["session"], call["spans"]
    began_ms = min([one["start"] for one in spans] + [one["t"] for one in call["lines"]], default=0)
    names = [name for name, _ in _LANES] + [_OTHERS, _LINES]
    kinds = {str(kind): name for name, of in _LANES for kind in of}
    lanes: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for span in spans:
        lanes[kinds.get(span.get("kind", ""), _OTHERS)].append(span)
    events: list[Event] = [_about("process_name", 0, session.get("name") or session["id"])]
    for order, name in enumerate(names):
        first = (order + 1) * _LANE_STEP
        for number, group in enumerate(_apart(lanes[name])):
            thread = first + number
            events += [_about("thread_name", thread, name), _sorted_as(thread)]
            events += (_event(span, thread, began_ms) for span in group)
    thread = (names.index(_LINES) + 1) * _LANE_STEP
    if call["lines"]:
        events += [_about("thread_name", thread, _LINES), _sorted_as(thread)]
    events += (_instant(line, thread, began_ms) for line in call["lines"])
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"session": session["id"], "began_ms": began_ms},
    }


def _apart(spans: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield spans in groups; in each, one lies within another or apart from it."""
    groups: list[tuple[list[dict[str, Any]], list[int]]] = []
    for span in sorted(spans, key=lambda one: (one["start"], -one["dur"])):
        start, end = _micros(span["start"]), _micros(span["start"]) + _micros(span["dur"])
        for group, ends in groups:
            while ends and ends[-1] <= start:
                ends.pop()
            if not ends or end <= ends[-1] or len(groups) >= _LANE_STEP:
                group.append(span)
                ends.append(end)
                break
        else:
            groups.append(([span], [end]))
    yield from (group for group, _ in groups)


def _event(span: dict[str, Any], thread: int, began_ms: float) -> Event:
    start = _micros(span["start"])
    event: Event = {
        "ph": "X",
        "name": _name(span),
        "cat": ",".join(filter(None, [span.get("kind") or "other", "error" * span["error"]])),
        "ts": start - _micros(began_ms),
        "dur": _micros(span["dur"]),
        "pid": _PROCESS,
        "tid": thread,
        "args": {"span": span["id"]} | span["tags"] | span["metrics"],
    }
    if span["error"]:
        event["cname"] = "terrible"
    return event


def _name(span: dict[str, Any]) -> str:
    kind = span.get("kind") or span["name"]
    number = span["metrics"].get(tags.TURN_NUMBER)
    about = f"{number:.0f}" if number is not None else span.get("resource", "")
    return " ".join(filter(None, [kind, about]))


def _instant(line: dict[str, Any], thread: int, began_ms: float) -> Event:
    return {
        "ph": "i",
        "s": "t",
        "name": line["msg"] or line["level"],
        "cat": line["level"],
        "ts": max(0, _micros(line["t"]) - _micros(began_ms)),
        "pid": _PROCESS,
        "tid": thread,
        "args": {
            key: line[key]
            for key in ("level", "logger", "function", "line", "span", "participant")
            if key in line
        },
    }


def _about(what: str, thread: int, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": _PROCESS, "tid": thread, "args": {"name": name}}


def _sorted_as(thread: int) -> Event:
    return {
        "ph": "M",
        "name": "thread_sort_index",
        "pid": _PROCESS,
        "tid": thread,
        "args": {"sort_index": thread},
    }


def _micros(ms: float) -> int:
    return round(ms * 1000)
