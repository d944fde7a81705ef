"""The dashboard: it shows whether everything works, and where to look if not."""

from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.alerts import SUMMARY_TAG
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
    metrics,
    monitor_summary,
    note,
    number,
    of_metric,
    over_time,
    patterns,
    ranking,
    traces,
)
from pipecat_dd.conversation.stage import Kind as Stage

KEY = "overview"
TITLE = "Pipecat bots"

_NOTE = """\
**Errors**: look at the most frequent patterns in *Errors*. The *Trace* tab of a line shows its \
trace.
**Slow answers**: look at *How long callers wait*, then at the slowest turns. `turn.wait.*` shows \
what a turn waited for.
**A caller's complaint**: search for lines by `@participant.name` and time, then for spans and \
lines with the same `session_id`.

The filter `transport` applies only to metrics that have this tag. `pipecat-dd setup` created this \
dashboard and overwrites changes: clone it to change it."""

_TRACE = "@pipecat.trace_id"


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
            _turns(),
            services(),
            tools(),
            _errors(),
            _lines(),
            usage(),
            observer(),
            without_an_agent(),
        ],
    }
    return Definition(Kind.DASHBOARD, KEY, TITLE, body)


def description(mark: Mark) -> str:
    """Return the dashboard's description, which contains its mark."""
    return f"Conversations of Pipecat bots, as pipecat_dd reports them.\n\n{mark.as_text()}"


def _at_a_glance() -> Body:
    latency = metric("p95", "pipecat.turn.user_bot_latency_seconds")
    return group(
        "At a glance",
        number("Sessions begun", of_metric(metric("sum", "pipecat.sessions.started"))),
        number("Sessions running", of_metric(metric("sum", "pipecat.sessions.active")), "last"),
        number("Response time (p95)", of_metric(latency, unit="second"), "percentile", 2),
        number("Failed turns", _failed(Stage.TURN), "percentile", 1),
        number(
            "Turns without an answer",
            of_metric(metric("sum", "pipecat.turns", where=["left_waiting:true"])),
        ),
        number("Traces with an error", _error_rate(), precision=1),
        number("Lines per trace, on average", _lines_per_trace(), precision=1),
    )


def _sessions() -> Body:
    return group(
        "Sessions",
        over_time(
            "Sessions started, and ended by reason",
            of_metric(metric("sum", "pipecat.sessions.started"), "begun"),
            of_metric(metric("sum", "pipecat.sessions.ended", by=("end_reason",)), "ended"),
            display="bars",
        ),
        over_time(
            "Duration of sessions",
            of_metric(took(50, Stage.SESSION), "p50", "second"),
            of_metric(took(95, Stage.SESSION), "p95", "second"),
        ),
        over_time("Running", of_metric(metric("sum", "pipecat.sessions.active", by=("service",)))),
        over_time(
            "Sessions in which the bot never spoke",
            of_metric(metric("sum", "pipecat.sessions.ended", where=["bot_spoke:false"])),
            display="bars",
        ),
        over_time(
            "Participants",
            of_metric(metric("sum", "pipecat.participants.joined"), "joined"),
            of_metric(metric("sum", "pipecat.participants.left"), "left"),
            display="bars",
        ),
        traces(
            "Sessions with errors",
            f"$service $env $version {spans(Stage.SESSION, '@session.error_count:>0')}",
            ("timestamp", "@session_id", "@transport", "@session.end_reason", "@duration"),
        ),
    )


def _turns() -> Body:
    return group(
        "Turns",
        over_time(
            "Turns by outcome",
            of_metric(metric("sum", "pipecat.turns", by=("outcome",))),
            display="bars",
        ),
        over_time("Share of failed turns, by who began them", _failed(Stage.TURN, "resource_name")),
        over_time(
            "Turns without an answer",
            of_metric(metric("sum", "pipecat.turns", where=["left_waiting:true"])),
            display="bars",
        ),
        over_time(
            "Share of turns that the user interrupted",
            metrics(
                "interruptions / turns * 100",
                "interrupted",
                "percent",
                interruptions=metric("sum", "pipecat.interruptions"),
                turns=metric("sum", "pipecat.turns"),
            ),
        ),
        over_time(
            "Interruptions", of_metric(metric("sum", "pipecat.interruptions")), display="bars"
        ),
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
            of_metric(metric("sum", "pipecat.errors", by=("stage", "category"))),
            display="bars",
        ),
        patterns("Most frequent error patterns", lines(TRACED_ERRORS)),
        ranking("Kinds of errors", _line_count(TRACED_ERRORS, "@error.kind")),
        ranking(
            "Failures by provider",
            of_metric(metric("sum", "pipecat.errors", by=("provider", "stage"))),
        ),
        over_time(
            "Services that failed permanently",
            of_metric(
                metric("sum", "pipecat.errors", where=["usable:false"], by=("stage", "provider"))
            ),
            display="bars",
        ),
        over_time(
            "Failovers, by new provider",
            of_metric(metric("sum", "pipecat.failovers", by=("provider",))),
            display="bars",
        ),
    )


def _lines() -> Body:
    return group(
        "Lines",
        over_time("By level", _line_count(OURS, "@levelname"), display="bars"),
        over_time("Lines per trace, on average", _lines_per_trace()),
        over_time("Session lines without a trace", _line_count(OUT_OF_CONTEXT), display="bars"),
        ranking("Modules that log without a trace", _line_count(OUT_OF_CONTEXT, "@name")),
    )


def _failed(kind: Stage, by: str = "") -> Plot:
    split = (by,) if by else ()
    return metrics(
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
