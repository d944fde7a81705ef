"""A short conversation made by hand: spans as the test agent gives them, lines as logged.

Two turns; in the first a tool whose request fails, the second interrupted.
"""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TRACE_HIGH = 0x68C1A2B300000000
TRACE_LOW = 0xA1B2C3D4E5F60718
BEGAN_NS = 1_760_000_000_000_000_000

_ids = itertools.count(1)


def span(
    name: str,
    start: float,
    end: float,
    parent: dict[str, Any] | None = None,
    *,
    resource: str = "",
    error: int = 0,
    **tags: str,
) -> dict[str, Any]:
    """A span whose times are seconds after the session's start."""
    return {
        "name": name,
        "resource": resource or name,
        "service": "demo",
        "trace_id": TRACE_LOW,
        "span_id": next(_ids),
        "parent_id": parent["span_id"] if parent else 0,
        "start": BEGAN_NS + round(start * 1e9),
        "duration": round((end - start) * 1e9),
        "error": error,
        "meta": {key.replace("__", "."): value for key, value in tags.items()},
        "metrics": {},
    }


def line(
    at: float, owner: dict[str, Any] | None, message: str, level: str = "INFO"
) -> dict[str, Any]:
    """A line written so many seconds after the session's start, with a span's ids."""
    when = datetime.fromtimestamp(BEGAN_NS / 1e9 + at, UTC)
    fields = {
        "timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "levelname": level,
        "function": "get_weather",
        "message": message,
    }
    if owner:
        fields["dd.trace_id"] = f"{TRACE_HIGH:016x}{owner['trace_id']:016x}"
        fields["dd.span_id"] = str(owner["span_id"])
    return fields


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


def conversation() -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]]]:
    """The chunks, with the session's span in the last, and the lines."""
    session = span("pipecat.session", 0, 20, resource="demo-bot")
    first = span("pipecat.turn", 1, 9, session, resource="user")
    first["metrics"]["turn.number"] = 1.0
    speech = span("pipecat.user_speech", 1, 2.5, first, resource="SileroVADAnalyzer")
    stt = span("pipecat.stt", 1, 2.8, first, resource="OpenAISTTService gpt-transcribe")
    llm = span("pipecat.llm", 3, 3.6, first, resource="OpenAILLMService gpt-4.1")
    sdk = span("openai.request", 3.01, 3.5, llm, resource="createChatCompletion")
    tool = span("pipecat.tool", 3.6, 3.8, first, resource="get_weather")
    failed = span(
        "aiohttp.request", 3.62, 3.7, tool, error=1, http__status_code="503", error__type="Oops"
    )
    tts = span("pipecat.tts", 4, 8, first, resource="OpenAITTSService gpt-4o-mini-tts")
    second = span("pipecat.turn", 10, 18, session, resource="user", turn__was_interrupted="true")
    second["metrics"] = {"turn.number": 2.0, "turn.user_bot_latency_seconds": 1.25}
    quick = span("pipecat.frame", 8.5, 8.501, first, resource="Aggregator TextFrame")
    slow = span("pipecat.frame", 8.6, 8.7, first, resource="Aggregator SlowFrame")
    chunks = [[first, quick, slow, speech, stt, llm, sdk, tool, failed, tts], [second], [session]]
    lines = [
        line(-0.5, None, "before the session"),
        line(0.5, session, "the user is there"),
        line(3.61, tool, "looking up"),
        line(3.71, tool, "the service {answered} [bold]503[/bold]\nwith two lines", "WARNING"),
        line(5, tts, "fine detail", "DEBUG"),
        line(8.5, quick, "finer detail", "DEBUG"),
        line(12, second, "second turn"),
    ]
    return chunks, lines
