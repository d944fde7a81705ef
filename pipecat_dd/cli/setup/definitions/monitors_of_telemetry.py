"""The monitors of telemetry: log lines, the process, and this package itself."""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definitions.alerts import Alert, line_share, scope, share
from pipecat_dd.cli.setup.definitions.messages import AlertText, Evidence
from pipecat_dd.cli.setup.definitions.queries import (
    BAD_LINES,
    OF_SESSIONS,
    OURS,
    OUT_OF_CONTEXT,
    TRACED_ERRORS,
    hits,
    made_metric,
    metric,
    spans,
)
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import fields, made_metrics, metric_tags, metrics, tags
from pipecat_dd.names.spans import span_name


def of_lines(options: Options) -> Iterator[Alert]:
    """Yield the monitors of log lines."""
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "traced-errors",
        "Errors in conversations",
        share(
            "1h",
            made_metric("sum", made_metrics.LINES_TRACED_ERRORS, count=True, **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
        ),
        options.error_lines_percent,
        AlertText(
            "Per 100 turns in an hour, {{value}} error lines were logged during conversations.",
            f"First check `{fields.ERROR_KIND}` of the lines. If there is a single kind that began "
            "at a certain minute, a provider or a deployment is the likely cause. Then open the "
            "*Trace* tab of a line to see what led to the error.",
            "The number of error lines is normal again.",
            walk="An error",
        ),
        Evidence(1, f"@{tags.COMPONENT}:pipecat status:error", TRACED_ERRORS),
    )
    query, counts = line_share("15m", OUT_OF_CONTEXT, OF_SESSIONS, options.least_lines, options)
    yield Alert(
        "lines-out-of-context",
        "Conversation log lines without a trace",
        query,
        options.lines_without_trace_percent,
        AlertText(
            "{{value}} % of the sessions' log lines in 15 minutes have no trace.",
            f"First check `{fields.NAME_KEY}` and `{fields.FUNCTION}` of the lines, which name the "
            "code that logs them. If they come from all parts of the bot, tracing is off "
            "(`DD_TRACE_ENABLED`) or the worker has no observer. If they come from one place, that "
            "code probably runs in its own thread (`asyncio.to_thread` keeps the ids).",
            "Log lines have traces again.",
        ),
        Evidence(1, spans(Stage.SESSION), OUT_OF_CONTEXT),
        priority=4,
        options={
            "variables": counts,
            "enable_logs_sample": True,
            "groupby_simple_monitor": False,
        },
    )
    dropped = metric("sum", metrics.LOGS_DROPPED, **by_service)
    shipped = metric("sum", metrics.LOGS_SHIPPED, **by_service)
    yield Alert(
        "lines-dropped",
        "Dropped log lines",
        share(
            "30m",
            dropped,
            # If the intake rejects everything, there are no shipped lines.
            f"default_zero({shipped}) + default_zero({dropped})",
            options.least_lines,
        ),
        options.lines_dropped_percent,
        AlertText(
            "{{value}} % of the log lines in 30 minutes were dropped instead of shipped.",
            f"First check the `{metric_tags.REASON}` of `{metrics.LOGS_DROPPED}` on the dashboard: "
            "is the key rejected, is the intake unreachable, are there more lines than can be "
            "sent? Then run `pipecat-dd doctor` where the bot runs.",
            "Log lines are shipped again.",
        ),
        Evidence(1, spans(Stage.SESSION), f"{OURS} status:(warn OR error OR critical)"),
    )


def of_the_process(options: Options) -> Iterator[Alert]:
    """Yield the monitors of the process and of this package itself."""
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "event-loop-lag",
        "Event loop lag",
        "percentile(last_15m):" + metric("p95", metrics.EVENT_LOOP_LAG_SECONDS, **by_service),
        options.event_loop_lag_secs,
        AlertText(
            "The event loop lag is {{value}} seconds at the 95th percentile of 15 minutes. All "
            "audio is delayed by as much.",
            f"First check for long `{span_name(Stage.FRAME)}` spans: they show blocking code in a "
            "processor. If there are none, the process probably has too many calls: check the "
            "number of running sessions on the dashboard, and the CPU.",
            "The event loop lag is normal again.",
            walk="It sounded broken",
        ),
        Evidence(1, spans(Stage.FRAME), BAD_LINES),
    )
    yield Alert(
        "parts-off",
        "Parts of pipecat_dd turned off",
        "max(last_15m):" + metric("max", metrics.OBSERVER_PARTS_OFF, **by_service),
        0,
        AlertText(
            "{{value}} parts of pipecat_dd turned themselves off in a process after internal "
            "errors. The bot continues, but its telemetry is incomplete.",
            "First check the bot's log for warnings that begin with *pipecat_dd:*. They say what "
            "failed: please report them. Restarting the process turns the parts on again.",
            "All parts of pipecat_dd work again.",
        ),
        Evidence(1, spans(Stage.SESSION), f"{OURS} status:warn"),
        has_warning=False,
    )
