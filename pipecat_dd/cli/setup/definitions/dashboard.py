"""The dashboard: it shows whether everything works, and where to look if not."""

from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.alerts import SUMMARY_TAG
from pipecat_dd.cli.setup.definitions.dashboard_sound import sound, without_metrics
from pipecat_dd.cli.setup.definitions.dashboard_stages import (
    observer,
    services,
    tools,
    usage,
    waiting,
    without_an_agent,
)
from pipecat_dd.cli.setup.definitions.queries import (
    OURS,
    OUT_OF_CONTEXT,
    TRACED,
    TRACED_ERRORS,
    VARIABLES,
    errors,
    hits,
    lines,
    metric,
    spans,
    took,
)
from pipecat_dd.cli.setup.definitions.widgets import (
    Plot,
    events,
    group,
    monitor_summary,
    note,
    number,
    of_metric,
    of_metrics,
    over_time,
    patterns,
    ranking,
    traces,
)
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import fields, metric_tags, metrics, tags

KEY = "overview"
TITLE = "Pipecat bots"

_NOTE = f"""\
**Errors**: look at the most frequent patterns in *Errors*. The *Trace* tab of a line shows its \
trace.
**It sounded broken**: look at *How calls sound*, then at the sessions listed there.
**Slow answers**: look at *How long callers wait*, then at the slowest turns. \
`{tags.turn_wait_seconds.prefix}*` shows what a turn waited for.
**A caller's complaint**: search for lines by `@{fields.PARTICIPANT_NAME}` and time, then for \
spans and lines with the same `{fields.SESSION_ID}`.

The filter `{metric_tags.TRANSPORT}` applies only to metrics that have this tag. \
`pipecat-dd setup` created this dashboard and overwrites changes: clone it to change it."""

_TRACE = f"@{fields.PIPECAT_TRACE_ID}"


def dashboard() -> Definition:
    """Return the definition of the dashboard."""
    body = {
        "title": TITLE,
        "description": description(Mark(KEY)),
        "layout_type": "ordered",
        "reflow_type": "auto",
        "template_variables": [
            {"name": name, "prefix": name, "available_values": [], "defaults": ["*"]}
            for name in VARIABLES
        ],
        "widgets": [
            note(_NOTE),
            monitor_summary("Monitors", f"tag:({SUMMARY_TAG})"),
            _at_a_glance(),
            _sessions(),
            waiting(),
            sound(),
            _turns(),
            services(),
            tools(),
            _errors(),
            _lines(),
            usage(),
            observer(),
            without_an_agent(),
            without_metrics(),
        ],
    }
    return Definition(Kind.DASHBOARD, KEY, TITLE, body)


def description(mark: Mark) -> str:
    """Return the dashboard's description, which contains its mark."""
    return f"Conversations of Pipecat bots, as pipecat_dd reports them.\n\n{mark.as_text()}"


def _at_a_glance() -> Body:
    latency = metric("p95", metrics.TURN_USER_BOT_LATENCY_SECONDS)
    return group(
        "At a glance",
        number("Sessions begun", of_metric(metric("sum", metrics.SESSIONS_STARTED))),
        number("Sessions running", of_metric(metric("sum", metrics.SESSIONS_ACTIVE)), "last"),
        number("Response time (p95)", of_metric(latency, unit="second"), "percentile", 2),
        number("Failed turns", _failed(Stage.TURN), "percentile", 1),
        number(
            "Turns without an answer",
            of_metric(metric("sum", metrics.TURNS, where=[f"{metric_tags.LEFT_WAITING}:true"])),
        ),
        number(
            "Gaps in the bot's voice per 100 speeches",
            of_metrics(
                "gaps / speeches * 100",
                gaps=metric("sum", metrics.VOICE_GAPS),
                speeches=metric("sum", metrics.BOT_SPEECHES),
            ),
            precision=1,
        ),
        number("Traces with an error", _error_rate(), precision=1),
        number("Lines per trace, on average", _lines_per_trace(), precision=1),
    )


def _sessions() -> Body:
    with_errors = spans(Stage.SESSION, f"@{tags.SESSION_ERROR_COUNT}:>0")
    return group(
        "Sessions",
        over_time(
            "Sessions started, and ended by reason",
            of_metric(metric("sum", metrics.SESSIONS_STARTED), "begun"),
            of_metric(metric("sum", metrics.SESSIONS_ENDED, by=(metric_tags.END_REASON,)), "ended"),
            display="bars",
        ),
        over_time(
            "Outcomes, in the bot's own words",
            of_metric(metric("sum", metrics.SESSIONS_ENDED, by=(metric_tags.SESSION_OUTCOME,))),
            display="bars",
        ),
        over_time(
            "Duration of sessions",
            of_metric(took(50, Stage.SESSION), "p50", "second"),
            of_metric(took(95, Stage.SESSION), "p95", "second"),
        ),
        over_time(
            "Running", of_metric(metric("sum", metrics.SESSIONS_ACTIVE, by=(metric_tags.SERVICE,)))
        ),
        over_time(
            "Sessions in which the bot never spoke",
            of_metric(
                metric("sum", metrics.SESSIONS_ENDED, where=[f"{metric_tags.BOT_SPOKE}:false"])
            ),
            display="bars",
        ),
        over_time(
            "Participants",
            of_metric(metric("sum", metrics.PARTICIPANTS_JOINED), "joined"),
            of_metric(metric("sum", metrics.PARTICIPANTS_LEFT), "left"),
            display="bars",
        ),
        traces(
            "Sessions with errors",
            f"$service $env $version {with_errors}",
            (
                "timestamp",
                f"@{tags.SESSION_ID}",
                f"@{tags.TRANSPORT}",
                f"@{tags.SESSION_END_REASON}",
                "@duration",
            ),
        ),
    )


def _turns() -> Body:
    return group(
        "Turns",
        over_time(
            "Turns by outcome",
            of_metric(metric("sum", metrics.TURNS, by=(metric_tags.OUTCOME,))),
            display="bars",
        ),
        over_time(
            "Share of failed turns, by who began them",
            _failed(Stage.TURN, metric_tags.RESOURCE_NAME),
        ),
        over_time(
            "Turns without an answer",
            of_metric(metric("sum", metrics.TURNS, where=[f"{metric_tags.LEFT_WAITING}:true"])),
            display="bars",
        ),
        over_time(
            "Share of turns that the user interrupted",
            of_metrics(
                "interruptions / turns * 100",
                "interrupted",
                "percent",
                interruptions=metric("sum", metrics.INTERRUPTIONS),
                turns=metric("sum", metrics.TURNS),
            ),
        ),
        over_time("Interruptions", of_metric(metric("sum", metrics.INTERRUPTIONS)), display="bars"),
        over_time(
            "Duration of turns",
            of_metric(took(50, Stage.TURN), "p50", "second"),
            of_metric(took(95, Stage.TURN), "p95", "second"),
        ),
    )


def _errors() -> Body:
    return group(
        "Errors",
        over_time("Share of traces with an error", _error_rate()),
        over_time(
            "Failed stages, by category",
            of_metric(metric("sum", metrics.ERRORS, by=(metric_tags.STAGE, metric_tags.CATEGORY))),
            display="bars",
        ),
        patterns("Most frequent error patterns", lines(TRACED_ERRORS)),
        ranking("Kinds of errors", _line_count(TRACED_ERRORS, f"@{fields.ERROR_KIND}")),
        ranking(
            "Failures by provider",
            of_metric(metric("sum", metrics.ERRORS, by=(metric_tags.PROVIDER, metric_tags.STAGE))),
        ),
        over_time(
            "Services that failed permanently",
            of_metric(
                metric(
                    "sum",
                    metrics.ERRORS,
                    where=[f"{metric_tags.USABLE}:false"],
                    by=(metric_tags.STAGE, metric_tags.PROVIDER),
                )
            ),
            display="bars",
        ),
        over_time(
            "Failovers, by new provider",
            of_metric(metric("sum", metrics.FAILOVERS, by=(metric_tags.PROVIDER,))),
            display="bars",
        ),
    )


def _lines() -> Body:
    return group(
        "Lines",
        over_time("By level", _line_count(OURS, f"@{fields.LEVELNAME}"), display="bars"),
        over_time("Lines per trace, on average", _lines_per_trace()),
        over_time("Session lines without a trace", _line_count(OUT_OF_CONTEXT), display="bars"),
        ranking(
            "Modules that log without a trace", _line_count(OUT_OF_CONTEXT, f"@{fields.NAME_KEY}")
        ),
    )


def _failed(kind: Stage, by: str = "") -> Plot:
    split = (by,) if by else ()
    return of_metrics(
        "failed / all * 100",
        "failed",
        "percent",
        failed=errors(kind, by=split),
        all=hits(kind, by=split),
    )


def _line_count(query: str, by: str = "") -> Plot:
    return Plot({"a": events("logs", lines(query), by=by)}, "a")


def _error_rate() -> Plot:
    return Plot(
        {
            "failed": events("logs", lines(TRACED_ERRORS), unique=_TRACE),
            "all": events("logs", lines(TRACED), unique=_TRACE),
        },
        "failed / all * 100",
        "with an error",
        "percent",
    )


def _lines_per_trace() -> Plot:
    return Plot(
        {
            "written": events("logs", lines(TRACED)),
            "traces": events("logs", lines(TRACED), unique=_TRACE),
        },
        "written / traces",
        "lines",
    )
