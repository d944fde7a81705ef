"""The monitors of what is told of conversations: lines, the process, and this package itself."""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definitions.alerts import Alert, line_share, scope, share
from pipecat_dd.cli.setup.definitions.messages import Evidence, Words
from pipecat_dd.cli.setup.definitions.queries import (
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
    """Yield the monitors of lines.

    Args:
        options: When they alert, and what they watch.
    """
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "traced-errors",
        "Many errors in conversations",
        share(
            "1h",
            made_metric("sum", made_metrics.LINES_TRACED_ERRORS, count=True, **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
        ),
        options.error_lines_percent,
        Words(
            "For each 100 turns in an hour, {{value}} error lines were written in the middle of "
            "conversations.",
            f"Look first at `{fields.ERROR_KIND}` of the lines: one kind, or many? One kind that "
            "began at one minute is a provider or a deploy. Then open a line's *Trace* tab for "
            "what led to it.",
            "There are few error lines again.",
        ),
        Evidence(1, f"@{tags.COMPONENT}:pipecat status:error", TRACED_ERRORS),
    )
    query, counts = line_share("15m", OUT_OF_CONTEXT, OF_SESSIONS, options.least_lines, options)
    yield Alert(
        "lines-out-of-context",
        "Lines of conversations without their trace",
        query,
        options.lines_without_trace_percent,
        Words(
            "{{value}} % of the sessions' lines in 15 minutes have no trace.",
            "Look first at `name` and `function` of the lines: which code writes them? From all "
            "over the bot: tracing is off (`DD_TRACE_ENABLED`) or the observer is not on the task. "
            "From one place: a thread of its own (`asyncio.to_thread` keeps the ids).",
            "Lines have their traces again.",
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
        "Lines that are not shipped",
        share(
            "30m",
            dropped,
            # An intake that takes nothing leaves no line shipped.
            f"default_zero({shipped}) + default_zero({dropped})",
            options.least_lines,
        ),
        options.lines_dropped_percent,
        Words(
            "{{value}} % of the lines that were to be shipped in 30 minutes were dropped.",
            f"Look first at the `reason` of `{metrics.LOGS_DROPPED}`, on the dashboard: a key "
            "that is refused, an intake that cannot be reached, more lines than can be sent. Then "
            "`pipecat-dd doctor` where the bot runs.",
            "Lines are shipped again.",
        ),
        Evidence(1, spans(Stage.SESSION), f"{OURS} status:(warn OR error OR critical)"),
    )


def of_the_process(options: Options) -> Iterator[Alert]:
    """Yield the monitors of the process, and of this package itself.

    Args:
        options: When they alert, and what they watch.
    """
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "event-loop-lag",
        "An event loop that is late",
        "percentile(last_15m):" + metric("p95", metrics.EVENT_LOOP_LAG_SECONDS, **by_service),
        options.event_loop_lag_secs,
        Words(
            "At the 95th percentile of 15 minutes, the event loop was {{value}} seconds late: all "
            "audio waits for as long.",
            f"Look first at `{span_name(Stage.FRAME)}` spans that are long: blocking code in a "
            "processor of your own. If there are none, the process has more calls than it can "
            "carry: look at the dashboard's sessions running, and at the CPU.",
            "The event loop is in time again.",
        ),
        Evidence(1, spans(Stage.FRAME), _bad_lines()),
    )
    yield Alert(
        "parts-off",
        "Parts of pipecat_dd that have turned themselves off",
        "max(last_15m):" + metric("max", metrics.OBSERVER_PARTS_OFF, **by_service),
        0,
        Words(
            "{{value}} parts of pipecat_dd have turned themselves off in a process, after errors "
            "of their own. The bot goes on; what is told of it is no longer complete.",
            "Look first at the warnings that begin with *pipecat_dd:* in the bot's lines, which "
            "say what failed. Please report them. Starting the process anew turns the part on.",
            "All parts of pipecat_dd are at work again.",
        ),
        Evidence(1, spans(Stage.SESSION), f"{OURS} status:warn"),
        has_warning=False,
    )


def _bad_lines() -> str:
    return f"{OF_SESSIONS} status:(warn OR error OR critical)"
