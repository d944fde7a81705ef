"""The dashboard's groups about the stages of a turn, usage, and the process."""

from pipecat_dd.cli.setup.definition import Body
from pipecat_dd.cli.setup.definitions.queries import errors, hits, made_metric, metric, spans, took
from pipecat_dd.cli.setup.definitions.widgets import (
    group,
    number,
    of_metric,
    of_metrics,
    over_time,
    ranking,
    traces,
)
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import made_metrics, metric_tags, metrics, tags

_LATENCY = metrics.TURN_USER_BOT_LATENCY_SECONDS


def waiting() -> Body:
    """Return the group about how long callers wait for an answer, and why."""
    slow = spans(Stage.TURN, f"@{tags.TURN_USER_BOT_LATENCY_SECONDS}:>2")
    return group(
        "How long callers wait",
        over_time(
            "From the end of the user's speech to the bot's answer",
            *(
                of_metric(metric(f"p{share}", _LATENCY), f"p{share}", "second")
                for share in (50, 95, 99)
            ),
        ),
        # Divide by all answers instead of averaging each part: the parts must add up to the wait.
        over_time(
            "What the wait is made of, on average",
            of_metrics(
                "waited / answers",
                "",
                "second",
                waited=metric("sum", metrics.TURN_WAIT_SECONDS, by=(metric_tags.PART,)),
                answers=metric("count", _LATENCY),
            ),
            display="area",
        ),
        over_time(
            "By transport",
            of_metric(metric("p95", _LATENCY, by=(metric_tags.TRANSPORT,)), "95 of 100", "second"),
        ),
        traces(
            "Slowest turns with a retained trace",
            f"$service $env $version {slow}",
            (
                "timestamp",
                f"@{tags.SESSION_ID}",
                f"@{tags.TURN_NUMBER}",
                f"@{tags.TURN_USER_BOT_LATENCY_SECONDS}",
                f"@{tags.TURN_OUTCOME}",
            ),
        ),
    )


def services() -> Body:
    """Return the group about speech and language services."""
    ttfb = metrics.SERVICE_TTFB_SECONDS
    by = (metric_tags.STAGE, metric_tags.PROVIDER, metric_tags.MODEL)
    return group(
        "Services",
        over_time("Time to first byte, p95", of_metric(metric("p95", ttfb, by=by), unit="second")),
        ranking(
            "Slowest to the first byte, p95",
            of_metric(metric("p95", ttfb, by=by), unit="second"),
            "percentile",
        ),
        over_time(
            "Time to the first token of an answer, p95",
            of_metric(
                metric(
                    "p95", metrics.LLM_TTFAT_SECONDS, by=(metric_tags.PROVIDER, metric_tags.MODEL)
                ),
                unit="second",
            ),
        ),
        over_time(
            "Time to the first audible audio, p95",
            of_metric(
                metric(
                    "p95", metrics.TTS_TTFA_SECONDS, by=(metric_tags.PROVIDER, metric_tags.MODEL)
                ),
                unit="second",
            ),
        ),
        over_time(
            "Time to detect that the user has finished",
            *(
                of_metric(
                    took(share, Stage.END_OF_TURN, by=(metric_tags.RESOURCE_NAME,)),
                    f"p{share}",
                    "second",
                )
                for share in (50, 95)
            ),
        ),
        over_time(
            "Rulings that the user had not finished, by strategy",
            of_metric(
                metric("sum", metrics.END_OF_TURN_INCOMPLETE, by=(metric_tags.STRATEGY,)),
            ),
            display="bars",
        ),
        over_time(
            "Ends of turns, by outcome",
            of_metric(metric("count", metrics.END_OF_TURN_SECONDS, by=(metric_tags.OUTCOME,))),
            display="bars",
        ),
        over_time(
            "Events of services",
            of_metric(
                metric("sum", metrics.SERVICE_EVENTS, by=(metric_tags.EVENT, metric_tags.PROVIDER))
            ),
            display="bars",
        ),
        over_time(
            "Longest time without a connection",
            of_metric(
                metric("max", metrics.SERVICE_RECONNECT_SECONDS, by=(metric_tags.PROVIDER,)),
                unit="second",
            ),
        ),
        *(
            over_time(
                f"{title}: share of failures",
                of_metrics(
                    "failed / all * 100",
                    "failed",
                    "percent",
                    failed=errors(kind, by=(metric_tags.RESOURCE_NAME,)),
                    all=hits(kind, by=(metric_tags.RESOURCE_NAME,)),
                ),
            )
            for title, kind in (
                ("Transcriptions", Stage.STT),
                ("Model responses", Stage.LLM),
                ("Syntheses", Stage.TTS),
            )
        ),
    )


def tools() -> Body:
    """Return the group about tool calls."""
    by = (metric_tags.RESOURCE_NAME,)
    return group(
        "Tools",
        over_time(
            "Calls by outcome",
            of_metric(metric("count", metrics.TOOL_DURATION_SECONDS, by=(metric_tags.OUTCOME,))),
            display="bars",
        ),
        ranking("Most called tools", of_metric(hits(Stage.TOOL, by=by))),
        ranking("Most failures", of_metric(errors(Stage.TOOL, by=by))),
        over_time("Duration, p95", of_metric(took(95, Stage.TOOL, by=by), unit="second")),
    )


def usage() -> Body:
    """Return the group about tokens, characters and audio."""
    return group(
        "Usage",
        over_time(
            "Tokens",
            of_metric(metric("sum", metrics.TOKENS, by=(metric_tags.MODEL, metric_tags.TYPE))),
            display="bars",
        ),
        number(
            "Tokens per session",
            of_metrics(
                "tokens / sessions",
                tokens=metric("sum", metrics.TOKENS),
                sessions=metric("sum", metrics.SESSIONS_ENDED),
            ),
        ),
        over_time(
            "Characters synthesized",
            of_metric(
                metric("sum", metrics.CHARACTERS, by=(metric_tags.PROVIDER, metric_tags.MODEL))
            ),
            display="bars",
        ),
        over_time(
            "Audio transcribed and synthesized",
            of_metric(
                metric("sum", metrics.AUDIO_SECONDS, by=(metric_tags.STAGE, metric_tags.PROVIDER)),
                unit="second",
            ),
            display="bars",
        ),
    )


def observer() -> Body:
    """Return the group about the process and this package."""
    return group(
        "The process and pipecat_dd",
        over_time(
            "Event loop lag",
            *(
                of_metric(
                    metric(f"p{share}", metrics.EVENT_LOOP_LAG_SECONDS),
                    f"p{share}",
                    "second",
                )
                for share in (95, 99)
            ),
        ),
        over_time(
            "Events that pipecat_dd dropped, and its own errors",
            of_metric(metric("sum", metrics.OBSERVER_SHED), "events let go"),
            of_metric(metric("sum", metrics.OBSERVER_FAILURES, by=(metric_tags.PART,)), "errors"),
            of_metric(metric("max", metrics.OBSERVER_PARTS_OFF), "parts turned off"),
        ),
        over_time(
            "Lines shipped without an Agent",
            of_metric(metric("sum", metrics.LOGS_SHIPPED), "shipped"),
            of_metric(metric("sum", metrics.LOGS_DROPPED, by=(metric_tags.REASON,)), "dropped"),
            display="bars",
        ),
    )


def without_an_agent() -> Body:
    """Return the group of metrics that Datadog generates from spans and lines."""
    latency = made_metrics.SPANS_USER_BOT_LATENCY_SECONDS
    return group(
        "From spans and lines (for bots without DogStatsD, and for long periods)",
        over_time(
            "Sessions",
            of_metric(
                made_metric(
                    "sum", made_metrics.SPANS_SESSIONS, by=(metric_tags.END_REASON,), count=True
                )
            ),
            display="bars",
        ),
        over_time(
            "Turns",
            of_metric(
                made_metric("sum", made_metrics.SPANS_TURNS, by=(metric_tags.OUTCOME,), count=True)
            ),
            display="bars",
        ),
        over_time(
            "From the end of the user's speech to the bot's answer",
            *(
                of_metric(made_metric(f"p{share}", latency), f"p{share}", "second")
                for share in (50, 95, 99)
            ),
        ),
        over_time(
            "Failed stages",
            of_metric(
                made_metric(
                    "sum",
                    made_metrics.SPANS_ERRORS,
                    by=(metric_tags.OPERATION_NAME, metric_tags.CATEGORY),
                    count=True,
                )
            ),
            display="bars",
        ),
        over_time(
            "Error lines with a trace",
            of_metric(
                made_metric(
                    "sum",
                    made_metrics.LINES_TRACED_ERRORS,
                    by=(metric_tags.ERROR_KIND,),
                    count=True,
                )
            ),
            display="bars",
        ),
        over_time(
            "Lines by level, and lines without a trace",
            of_metric(
                made_metric("sum", made_metrics.LINES, by=(metric_tags.LEVELNAME,), count=True)
            ),
            of_metric(
                made_metric("sum", made_metrics.LINES_OUT_OF_CONTEXT, count=True), "no trace"
            ),
            display="bars",
        ),
        over_time(
            "Your own operations (duration_ms), p95",
            of_metric(
                made_metric("p95", made_metrics.OPERATION_DURATION_MS, by=(metric_tags.OPERATION,)),
                unit="millisecond",
            ),
        ),
    )
