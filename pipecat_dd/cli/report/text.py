"""A conversation as plain text, for terminals, programs and coding agents."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from pipecat_dd.cli.report.content import CONTENT_TAGS
from pipecat_dd.cli.terminal import without_controls
from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind

_SLOW_FRAME_MS: Final = 50.0
_QUIET: Final = ("TRACE", "DEBUG")
_MAX_CHARS: Final = 300
_FIGURES: Final = (
    (tags.METRICS_TTFB, "ttfb {:.3f} s"),
    (tags.STT_FINALIZATION_SECONDS, "final {:.3f} s after the speech"),
    (tags.GEN_AI_USAGE_INPUT_TOKENS, "{:.0f} tokens in"),
    (tags.GEN_AI_USAGE_OUTPUT_TOKENS, "{:.0f} tokens out"),
    (tags.TOOL_WAIT_SECONDS, "waited {:.3f} s"),
    (tags.BOT_SPEECH_UNHEARD_SECONDS, "{:.2f} s unheard"),
    (tags.BOT_SPEECH_GAP_COUNT, "{:.0f} gaps"),
    (tags.USER_AUDIO_GAP_COUNT, "{:.0f} gaps in the user's audio"),
    (tags.FRAME_COUNT, "{:.0f} frames"),
)
_WORDS: Final = (
    *(tags.GEN_AI_PROVIDER_NAME, tags.GEN_AI_REQUEST_MODEL, tags.TOOL_OUTCOME),
    *(tags.END_OF_TURN_OUTCOME, tags.LLM_OUTCOME, tags.BLOCKED_LOCATION, tags.FLOW_NODE),
)


def as_text(call: dict[str, Any]) -> str:
    """Return a conversation as text.

    DEBUG lines and quick frames are left out; times are seconds since the conversation's beginning.
    """
    return "\n".join(map(without_controls, _rows(call))) + "\n"


def _rows(call: dict[str, Any]) -> Iterator[str]:
    session = call["session"]
    began_ms = session.get("start", 0.0)
    yield from _head(session, began_ms)
    children: dict[str, list[dict[str, Any]]] = {}
    known = {span["id"] for span in call["spans"]}
    for span in call["spans"]:
        parent = span.get("parent", "")
        children.setdefault(parent if parent in known else "", []).append(span)
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in call["lines"]:
        span_id = line.get("span", "")
        lines.setdefault(span_id if span_id in known else "", []).append(line)
    yield from _below("", 0, children, lines, began_ms)


def _head(session: dict[str, Any], began_ms: float) -> Iterator[str]:
    yield f"session {session['id']}"
    at = datetime.fromtimestamp(began_ms / 1000, UTC)
    is_known = "start" in session  # its lines may not say when they were written
    length = (session["end"] - began_ms) / 1000 if "end" in session else None
    yield ", ".join(
        filter(
            None,
            [
                f"{session.get('name') or 'bot'} (service {session.get('service') or 'unknown'})",
                f"{at:%Y-%m-%d %H:%M:%S} UTC" if is_known else "time unknown",
                "goes on" if length is None else f"{length:.1f} s" if is_known else None,
                "its end was not received" if session.get("has_no_end") else None,
                session.get("end_reason"),
                f"outcome {session['outcome']}" if "outcome" in session else None,
            ],
        )
    )
    names = ", ".join(session.get("participant_names", ()))
    yield ", ".join(
        filter(
            None,
            [
                f"{session.get('turns', 0)} turns",
                f"{session.get('participants', 0)} participants" + (f" ({names})" if names else ""),
                f"{session.get('errors', 0)} errors",
                f"{session.get('interruptions', 0)} interruptions",
                _sum(session, "slowest answer", None, "slowest_answer_secs"),
                _sum(session, "voice gaps", "voice_gap_count", "voice_gap_secs"),
                _sum(session, "blocked", "blocked_count", "blocked_secs"),
                f"{session['dropped']} spans and lines forgotten" if session["dropped"] else None,
            ],
        )
    )


def _sum(session: dict[str, Any], what: str, count: str | None, secs: str) -> str | None:
    if secs not in session:
        return None
    times = f"{session[count]:.0f} " if count is not None and count in session else ""
    return f"{times}{what} {session[secs]:.2f} s"


def _below(
    parent: str,
    depth: int,
    children: dict[str, list[dict[str, Any]]],
    lines: dict[str, list[dict[str, Any]]],
    began_ms: float,
) -> Iterator[str]:
    spans = [("span", one["start"], one) for one in children.get(parent, ())]
    items = spans + [("line", one["t"], one) for one in lines.get(parent, ())]
    indent = "  " * depth
    for what, at_ms, item in sorted(items, key=lambda one: (one[1], one[0])):
        at = f"{indent}{(at_ms - began_ms) / 1000:+.3f}"
        if what == "line":
            if item["level"] not in _QUIET:
                yield f"{at} {_line(item)}"
            continue
        below = list(_below(item["id"], depth + 1, children, lines, began_ms))
        is_quick = item.get("kind") == Kind.FRAME and item["dur"] < _SLOW_FRAME_MS
        if is_quick and not item["error"] and not below:
            continue
        yield f"{at} {_span(item)}"
        if item.get("kind") == Kind.TURN and (waits := _waits(item)):
            yield f"{indent}  waited: {waits}"
        for name in CONTENT_TAGS:
            if name in item["tags"]:
                yield f"{indent}  {name}: {_short(item['tags'][name])}"
        yield from below


def _span(span: dict[str, Any]) -> str:
    given, metrics = span["tags"], span["metrics"]
    name = span.get("kind") or span["name"]
    if (number := metrics.get(tags.TURN_NUMBER)) is not None:
        name += f" {number:.0f}"
    parts = [name, f"{span['dur'] / 1000:.3f} s", _short(span.get("resource", ""))]
    if span.get("open"):
        parts.append("(its end was not received)")
    if (latency := metrics.get(tags.TURN_USER_BOT_LATENCY_SECONDS)) is not None:
        parts.append(f"answered after {latency:.2f} s")
    parts += [given[name] for name in (tags.TURN_OUTCOME, *_WORDS) if name in given]
    parts += [text.format(metrics[name]) for name, text in _FIGURES if metrics.get(name)]
    if "true" in (given.get(tags.INTERRUPTED), given.get(tags.TURN_WAS_INTERRUPTED)):
        parts.append("INTERRUPTED")
    if span["error"]:
        what = ": ".join(
            given[name] for name in (tags.ERROR_TYPE, tags.ERROR_MESSAGE) if name in given
        )
        parts.append(f"ERROR {_short(what)}")
    return "  ".join(filter(None, parts))


def _waits(turn: dict[str, Any]) -> str:
    found = (
        (part, turn["metrics"].get(tags.turn_wait_seconds(part))) for part, _ in tags.WAIT_PARTS
    )
    return ", ".join(f"{part} {secs:.3f} s" for part, secs in found if secs)


def _line(line: dict[str, Any]) -> str:
    place = ":".join(str(line[key]) for key in ("logger", "function", "line") if key in line)
    error = line.get("error") or {}
    why = f"  [{error.get('kind')}: {_short(str(error.get('message', '')))}]" if error else ""
    return f"{line['level']} {_short(line['msg'])}  ({place}){why}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MAX_CHARS else plain[: _MAX_CHARS - 1] + "…"
