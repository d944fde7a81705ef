"""The dashboard's groups about the stages of a turn, usage, and the process."""

from pipecat_dd.cli.setup.definition import Body
from pipecat_dd.cli.setup.definitions.queries import errors, hits, made_metric, metric, spans, took
from pipecat_dd.cli.setup.definitions.widgets import (
    group,
    metrics,
    number,
    of_metric,
    over_time,
    ranking,
    traces,
)
from pipecat_dd.conversation.stage import Kind as Stage

_LATENCY = "pipecat.turn.user_bot_latency_seconds"


def waiting() -> Body:
    """Return the group about how long callers wait for an answer, and why."""
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
            metrics(
                "waited / answers",
                "",
                "second",
                waited=metric("sum", "pipecat.turn.wait_seconds", by=("part",)),
                answers=metric("count", _LATENCY),
            ),
            display="area",
        ),
        over_time(
            "By transport",
            of_metric(metric("p95", _LATENCY, by=("transport",)), "95 of 100", "second"),
        ),
        traces(
            "Slowest turns with a retained trace",
            f"$service $env $version {spans(Stage.TURN, '@turn.user_bot_latency_seconds:>2')}",
            (
                "timestamp",
                "@session_id",
                "@turn.number",
                "@turn.user_bot_latency_seconds",
                "@turn.outcome",
            ),
        ),
    )


def services() -> Body:
    """Return the group about speech and language services."""
    ttfb = "pipecat.service.ttfb_seconds"
    by = ("stage", "provider", "model")
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
                metric("p95", "pipecat.llm.ttfat_seconds", by=("provider", "model")), unit="second"
            ),
        ),
        over_time(
            "Time to the first audible audio, p95",
            of_metric(
                metric("p95", "pipecat.tts.ttfa_seconds", by=("provider", "model")), unit="second"
            ),
        ),
        over_time(
            "Time to detect that the user has finished",
            *(
                of_metric(
                    took(share, Stage.END_OF_TURN, by=("resource_name",)),
                    f"p{share}",
                    "second",
                )
                for share in (50, 95)
            ),
        ),
        *(
            over_time(
                f"{title}: share of failures",
                metrics(
                    "failed / all * 100",
                    "failed",
                    "percent",
                    failed=errors(kind, by=("resource_name",)),
                    all=hits(kind, by=("resource_name",)),
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
    by = ("resource_name",)
    return group(
        "Tools",
        over_time(
            "Calls by outcome",
            of_metric(metric("count", "pipecat.tool.duration_seconds", by=("outcome",))),
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
            of_metric(metric("sum", "pipecat.tokens", by=("model", "type"))),
            display="bars",
        ),
        number(
            "Tokens per session",
            metrics(
                "tokens / sessions",
                tokens=metric("sum", "pipecat.tokens"),
                sessions=metric("sum", "pipecat.sessions.ended"),
            ),
        ),
        over_time(
            "Characters synthesized",
            of_metric(metric("sum", "pipecat.characters", by=("provider", "model"))),
            display="bars",
        ),
        over_time(
            "Audio transcribed and synthesized",
            of_metric(
                metric("sum", "pipecat.audio_seconds", by=("stage", "provider")), unit="second"
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
                    metric(f"p{share}", "pipecat.event_loop.lag_seconds"),
                    f"p{share}",
                    "second",
                )
                for share in (95, 99)
            ),
        ),
        over_time(
            "Events that pipecat_dd dropped, and its own errors",
            of_metric(metric("sum", "pipecat.observer.shed"), "events let go"),
            of_metric(metric("sum", "pipecat.observer.failures", by=("part",)), "errors"),
            of_metric(metric("max", "pipecat.observer.parts_off"), "parts turned off"),
        ),
        over_time(
            "Lines shipped without an Agent",
            of_metric(metric("sum", "pipecat.logs.shipped"), "shipped"),
            of_metric(metric("sum", "pipecat.logs.dropped", by=("reason",)), "dropped"),
            display="bars",
        ),
    )


def without_an_agent() -> Body:
    """Return the group of metrics that Datadog generates from spans and lines."""
    latency = "pipecat_dd.spans.user_bot_latency_seconds"
    return group(
        "From spans and lines (for bots without DogStatsD, and for long periods)",
        over_time(
            "Sessions",
            of_metric(
                made_metric("sum", "pipecat_dd.spans.sessions", by=("end_reason",), count=True)
            ),
            display="bars",
        ),
        over_time(
            "Turns",
            of_metric(made_metric("sum", "pipecat_dd.spans.turns", by=("outcome",), count=True)),
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
                    "pipecat_dd.spans.errors",
                    by=("operation_name", "category"),
                    count=True,
                )
            ),
            display="bars",
        ),
        over_time(
            "Error lines with a trace",
            of_metric(
                made_metric("sum", "pipecat_dd.lines.traced_errors", by=("error_kind",), count=True)
            ),
            display="bars",
        ),
        over_time(
            "Lines by level, and lines without a trace",
            of_metric(made_metric("sum", "pipecat_dd.lines", by=("levelname",), count=True)),
            of_metric(
                made_metric("sum", "pipecat_dd.lines.out_of_context", count=True), "no trace"
            ),
            display="bars",
        ),
        over_time(
            "Your own operations (duration_ms), p95",
            of_metric(
                made_metric("p95", "pipecat_dd.operation.duration_ms", by=("operation",)),
                unit="millisecond",
            ),
        ),
    )
