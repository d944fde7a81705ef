"""Check whether the bot's source file uses this package. The file is read, not run."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level

OBSERVER: Final = frozenset({"DatadogObserver"})
LOGGING: Final = frozenset({"configure_logging", "datadog_format"})
OTEL: Final = "DD_TRACE_OTEL_ENABLED"


def observer(context: Context) -> Iterator[Finding]:
    """Check that the source uses the observer."""
    name, where = _file(context)
    if not name:
        return
    if OBSERVER & _names(context):
        yield Finding("source.observer", Level.OK, f"{name} uses DatadogObserver.")
        return
    yield Finding(
        "source.observer",
        Level.PROBLEM,
        f"{name} does not use DatadogObserver{where}: sessions are not traced.",
        "Pass one to each worker: PipelineWorker(pipeline, observers=[DatadogObserver()]). Ignore "
        "this if an installed package creates the observer.",
    )


def logging(context: Context) -> Iterator[Finding]:
    """Check that the source configures logging."""
    name, where = _file(context)
    if not name:
        return
    if found := sorted(LOGGING & _names(context)):
        yield Finding("source.logging", Level.OK, f"{name} uses {' and '.join(found)}.")
        return
    yield Finding(
        "source.logging",
        Level.PROBLEM,
        f"{name} uses neither configure_logging nor datadog_format{where}: log lines carry no "
        "session id and no trace id, and Datadog cannot parse them as JSON.",
        "Call configure_logging() before the bot logs its first line.",
    )


def pipecat_tracing(context: Context) -> Iterator[Finding]:
    """Check whether the bot also enables Pipecat's own tracing."""
    if not context.start.pipecat_tracing:
        return
    into_datadog = context.is_on(OTEL, False)
    yield Finding(
        "source.pipecat_tracing",
        Level.NOTE,
        "The bot enables Pipecat's own tracing (enable_tracing=True), whose spans duplicate those "
        "of DatadogObserver"
        + (
            f". {OTEL} sends them to Datadog too, where they are billed as well."
            if into_datadog
            else "."
        ),
        "Remove enable_tracing, unless you send those spans to another product than Datadog."
        + (f" In that case, unset {OTEL}." if into_datadog else ""),
        {"into_datadog": into_datadog},
    )


def _file(context: Context) -> tuple[str, str]:
    """Return the name of the bot's file, and a note on its imports; empty if no file was read."""
    start = context.start
    if start.source is None or not start.names:
        return "", ""
    number = len(start.files_beside)
    return start.source.name, f" (nor do the {number} local files it imports)" if number else ""


def _names(context: Context) -> frozenset[str]:
    return context.start.names | context.start.names_beside


CHECKS: Final = (observer, logging, pipecat_tracing)
