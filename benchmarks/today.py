"""Compare the log lines of a conversation with those of today's way to Datadog.

Today's way is what the documentation of Pipecat and Datadog recommends: Pipecat's own tracing
(``enable_tracing=True``) with ddtrace's OpenTelemetry provider, and ddtrace's patches of Loguru and
``logging``, which add the ids of the active span to each line. Its lines are read from the log
records, which contain the most data.

Run as a program, this module runs today's conversation. It needs its own process, since its setup
cannot be undone.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_TIMEOUT_SECS = 300.0


@dataclass(slots=True)
class Way:
    """The counts of log lines of one way.

    Attributes:
        label: The name of the way in the table.
        written: The number of lines that were logged.
        session: How many carry the id of a session.
        trace: How many carry the id of a trace of their own conversation.
        participant: How many carry the id of their participant.
        wrong: How many carry an id of a different conversation.
    """

    label: str
    written: int = 0
    session: int = 0
    trace: int = 0
    participant: int = 0
    wrong: int = 0


def run(sessions: int) -> list[Way]:
    """Run the conversations of both ways.

    Args:
        sessions: The number of concurrent sessions.
    """
    root = Path(__file__).parent.parent
    environment = {**os.environ, "DD_TRACE_OTEL_ENABLED": "true"}
    command = [sys.executable, "-m", "benchmarks.today", str(sessions)]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECS
    )
    if done.returncode != 0:
        raise RuntimeError(f"today's way: {done.stderr[-2000:]}")
    today = Way(**json.loads(done.stdout.splitlines()[-1]))

    from benchmarks.lines import Configuration, run_configuration

    ours = Way("pipecat_dd")
    for counts in run_configuration(Configuration(sessions, patched=True)).values():
        ours.written += counts["written"]
        ours.session += counts["session"]
        ours.trace += counts["span"]
        ours.participant += counts["named"]
        ours.wrong += counts["wrong"]
    return [today, ours]


def show(ways: list[Way], sessions: int, console: Any) -> None:
    """Print a table."""
    from rich.table import Table

    title = "one session" if sessions == 1 else f"{sessions} concurrent sessions"
    table = Table(title=f"The same conversation, {title}: lines", title_justify="left")
    table.add_column("")
    for heading in (
        "lines",
        "with session id",
        "with own trace id",
        "with participant id",
        "with a wrong id",
    ):
        table.add_column(heading, justify="right")
    for way in ways:
        counts = (way.written, way.session, way.trace, way.participant, way.wrong)
        table.add_row(way.label, *map(str, counts))
    console.print(table)


def _run_todays_way(count: int) -> Way:
    import ddtrace
    from ddtrace.opentelemetry import TracerProvider
    from loguru import logger
    from opentelemetry import trace

    ddtrace.patch(asyncio=True, futures=True, logging=True, loguru=True)
    trace.set_tracer_provider(TracerProvider())

    from pipecat_dd.testing.diverting import diverted
    from tests.support import anywhere

    warnings.simplefilter("always")
    logging.captureWarnings(True)
    lines: list[dict[str, Any]] = []

    def from_loguru(message: Any) -> None:
        record = message.record
        lines.append({**record["extra"], "name": record["name"], "message": record["message"]})

    class FromLogging(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage() + (str(record.exc_info[1]) if record.exc_info else "")
            lines.append({**record.__dict__, "message": text})

    logger.remove()
    logger.add(from_loguru, level="DEBUG")
    logging.getLogger().addHandler(FromLogging())
    spans: list[Any] = []
    with diverted(spans.append):
        bots, _ = asyncio.run(anywhere.hold(count, observe=False, traced=True))
    return _count(lines, spans, bots)


def _count(lines: list[dict[str, Any]], spans: list[Any], bots: list[Any]) -> Way:
    from tests.support.verdict import place_of

    traces: dict[str, set[int]] = {bot.mark: set() for bot in bots}
    for span in spans:
        conversation = span.tags.get("conversation.id")
        if conversation in traces:
            traces[conversation].add(span.trace_id)
    way = Way("Pipecat's tracing, ddtrace's patches")
    for line in lines:
        found = place_of(line, bots)
        if found is None:
            continue
        way.written += 1
        way.session += "session_id" in line
        way.participant += "participant_id" in line
        trace_id = int(str(line.get("dd.trace_id") or "0"), 16)
        own = any(trace_id == known for known in traces[found[0]])
        others = any(trace_id in known for mark, known in traces.items() if mark != found[0])
        way.trace += own
        way.wrong += others
    return way


if __name__ == "__main__":
    print(json.dumps(asdict(_run_todays_way(int(sys.argv[1])))))
