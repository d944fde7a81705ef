"""Whether the bot's own file does what has a session told: read, not run."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level

OBSERVER: Final = frozenset({"DatadogObserver"})
LOGGING: Final = frozenset({"configure_logging", "datadog_format"})
OTEL: Final = "DD_TRACE_OTEL_ENABLED"


def observer(situation: Context) -> Iterator[Finding]:
    """Check that the source names the observer."""
    name, where = _file(situation)
    if not name:
        return
    if OBSERVER & _names(situation):
        yield Finding("source.observer", Level.OK, f"{name} uses DatadogObserver.")
        return
    yield Finding(
        "source.observer",
        Level.PROBLEM,
        f"{name}{where} names no DatadogObserver: no session is traced.",
        "Give one to each worker: PipelineWorker(pipeline, observers=[DatadogObserver()]). If it "
        "is made in an installed package, all is well.",
    )


def logging(situation: Context) -> Iterator[Finding]:
    """Check that the source sets lines up."""
    name, where = _file(situation)
    if not name:
        return
    if found := sorted(LOGGING & _names(situation)):
        yield Finding("source.logging", Level.OK, f"{name} uses {' and '.join(found)}.")
        return
    yield Finding(
        "source.logging",
        Level.PROBLEM,
        f"{name}{where} calls neither configure_logging nor uses datadog_format: lines carry no "
        "session and no trace, and Datadog cannot read them as JSON.",
        "Call configure_logging() before anything is logged.",
    )


def pipecat_tracing(situation: Context) -> Iterator[Finding]:
    """Check whether Pipecat's own tracing is on beside ours."""
    if not situation.start.pipecat_tracing:
        return
    into_datadog = situation.is_on(OTEL, False)
    yield Finding(
        "source.pipecat_tracing",
        Level.NOTE,
        "The bot turns Pipecat's own tracing on (enable_tracing=True): its spans say of turns, "
        "models and voices once more what those of DatadogObserver say"
        + (
            f", and {OTEL} brings them to Datadog, where each is billed too."
            if into_datadog
            else "."
        ),
        "Leave enable_tracing out, unless something else than Datadog reads those spans."
        + (f" If so, unset {OTEL}." if into_datadog else ""),
        {"into_datadog": into_datadog},
    )


def _file(situation: Context) -> tuple[str, str]:
    """Return what the bot's file is called, and what else was read; empty where none was."""
    start = situation.start
    if start.source is None or not start.names:
        return "", ""
    number = len(start.beside)
    return start.source.name, f" (nor do the {number} files that it imports)" if number else ""


def _names(situation: Context) -> frozenset[str]:
    return situation.start.names | situation.start.around


CHECKS: Final = (observer, logging, pipecat_tracing)
