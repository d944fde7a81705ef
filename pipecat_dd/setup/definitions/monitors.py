"""The monitors: what should wake somebody.

Whatever can be is watched by the metrics that the bot sends, which count every conversation, kept
or not. Each service alerts on its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipecat_dd.knowing.stage import Kind as Stage
from pipecat_dd.setup.definitions.messages import Evidence, message
from pipecat_dd.setup.definitions.queries import OUT_OF_CONTEXT, TRACED_ERRORS, metric, spans
from pipecat_dd.setup.options import Options
from pipecat_dd.setup.things import Kind, Mark, Thing

_ABNORMAL = ("failed", "lost_end", "exited", "terminated")
_ANSWERED_LATE = "@turn.user_bot_latency_seconds:>"


@dataclass(frozen=True, slots=True)
class _Alert:
    """What differs from monitor to monitor.

    Attributes:
        key: Which one it is.
        title: What stands in the notification's subject.
        query: The query, without its comparison.
        over: The value above which it alerts.
        happened: What happened, in a sentence.
        first: What to look at first.
        evidence: Where to see it.
        priority: Datadog's, from 1 (highest) to 5.
        options: Options of this monitor's own.
    """

    key: str
    title: str
    query: str
    over: float
    happened: str
    first: str
    evidence: Evidence
    priority: int = 3
    options: tuple[tuple[str, Any], ...] = ()


def monitors(options: Options) -> Iterator[Thing]:
    """Yield the monitors.

    Args:
        options: When they alert, whom they tell, and what they watch.
    """
    for alert in (*_of_lines(options), *_of_turns(options), *_of_sessions(options)):
        yield _monitor(alert, options)


def _of_lines(options: Options) -> Iterator[_Alert]:
    sampled = (("enable_logs_sample", True), ("groupby_simple_monitor", False))
    yield _Alert(
        "traced-errors",
        "Many errors in conversations",
        _line_query(options, TRACED_ERRORS, "1h"),
        options.errors_per_hour,
        "{{value}} error lines in an hour were written in the middle of conversations.",
        "Look first at `error.kind` of the lines: one kind, or many? One kind that began at one "
        "minute is a provider or a deploy. Then open a line's *Trace* tab for what led to it.",
        Evidence(hours=1, lines=TRACED_ERRORS, spans="@component:pipecat status:error"),
        priority=2,
        options=sampled,
    )
    yield _Alert(
        "lines-out-of-context",
        "Lines of conversations without their trace",
        _line_query(options, OUT_OF_CONTEXT, "5m"),
        options.lines_without_context,
        "{{value}} lines in 5 minutes belong to a session and have no trace.",
        "Look first at `name` and `function` of the lines: which code writes them? From all over "
        "the bot: tracing is off (`DD_TRACE_ENABLED`, `DD_LOGS_INJECTION`) or the observer is not "
        "on the task. From one place: a thread of its own (`asyncio.to_thread` keeps the ids).",
        Evidence(hours=1, lines=OUT_OF_CONTEXT, spans=spans(Stage.SESSION)),
        priority=4,
        options=sampled,
    )


def _of_turns(options: Options) -> Iterator[_Alert]:
    late = f"{_ANSWERED_LATE}{options.slow_answer_secs:g}"
    yield _Alert(
        "slow-answers",
        "Slow answers",
        "percentile(last_15m):"
        + metric(
            "p95",
            "pipecat.turn.user_bot_latency_seconds",
            by=("service",),
            scope=_scope(options),
        ),
        options.slow_answer_secs,
        "5 of 100 answers in 15 minutes took longer than {{value}} seconds.",
        "Look first at what the wait is made of: `turn.wait.*` of a slow turn, or the dashboard's "
        "*What the wait is made of*. Its widest part names the stage; the span of that stage says "
        "which service and model.",
        Evidence(hours=1, spans=spans(Stage.TURN, late), lines="@session_id:*"),
        # Nobody talks at night: without answers there are no slow ones.
        options=(("timeout_h", 1),),
    )
    yield _Alert(
        "unanswered-turns",
        "Callers who get no answer",
        _sum("30m", _counted("pipecat.turns", options, "outcome:unanswered")),
        options.unanswered_turns,
        "{{value}} turns in 30 minutes ended without an answer.",
        "Look first at a turn's spans: no `pipecat.llm` means that the turn was never ruled over "
        "or the model never asked; an `llm` that failed or was discarded says why itself; an "
        "`llm` without `pipecat.tts` means that nothing was spoken.",
        Evidence(
            hours=1,
            spans=spans(Stage.TURN, "@turn.outcome:unanswered"),
            lines="@session_id:* status:(warn OR error)",
        ),
        priority=2,
    )
    yield _Alert(
        "unusable-service",
        "A service can no longer do its job",
        _sum(
            "5m",
            # Not by provider: not every processor has one, and what lacks a tag is in no group.
            _counted("pipecat.errors", options, "usable:false", by=("service", "stage")),
        ),
        0,
        "{{value}} times in 5 minutes a {{stage.name}} service failed for the rest of its session.",
        "Look first at `gen_ai.provider.name`, `error.type` and `error.category` of the span: a "
        "key that expired, a limit that was reached, a provider that is down. Then at the "
        "dashboard's *Failovers*: did another service take over?",
        Evidence(
            hours=1,
            spans="@component:pipecat @processor.usable:false",
            lines=TRACED_ERRORS,
        ),
        priority=1,
    )


def _of_sessions(options: Options) -> Iterator[_Alert]:
    yield _Alert(
        "abnormal-ends",
        "Conversations that end abnormally",
        _sum(
            "1h",
            _counted("pipecat.sessions.ended", options, f"end_reason IN ({','.join(_ABNORMAL)})"),
        ),
        options.abnormal_ends,
        "{{value}} sessions in an hour failed, did not end when told to, or ended because their "
        "process did.",
        "Look first at `session.end_reason`: `terminated` at one minute is a deploy or a machine "
        "that is going away, `exited` a process that stopped by itself, `failed` a pipeline that "
        "broke: read its last lines, `lost_end` one whose processor `session.end_lost_in` kept the "
        "EndFrame.",
        Evidence(
            hours=1,
            spans=spans(Stage.SESSION, f"@session.end_reason:({' OR '.join(_ABNORMAL)})"),
            lines="@session_id:* status:error",
        ),
        priority=2,
    )
    yield _Alert(
        "sessions-not-ended",
        "Conversations that begin and never end",
        _sum(
            "4h",
            f"{_counted('pipecat.sessions.started', options)} - "
            f"{_counted('pipecat.sessions.ended', options)}",
        ),
        options.sessions_not_ended,
        "{{value}} more sessions began in 4 hours than ended. Those still running are among them.",
        "Look first at the active sessions on the dashboard: if there are as many, all is well "
        "and `--sessions-not-ended` is too low. If not, processes were killed (out of memory?) "
        "before they could end: their turns are there, their `pipecat.session` is not.",
        Evidence(hours=4, spans=spans(Stage.TURN), lines="@session_id:*"),
    )
    yield _Alert(
        "silent-sessions",
        "Conversations in which the bot never spoke",
        _sum("1h", _counted("pipecat.sessions.ended", options, "bot_spoke:false")),
        options.silent_sessions,
        "In {{value}} sessions of the last hour nobody heard the bot.",
        "Look first at the session's duration: seconds mean that the caller hung up before the "
        "greeting. Longer ones: is there a `pipecat.tts`, and did it fail? Is there a participant "
        "at all?",
        Evidence(
            hours=1,
            spans=spans(Stage.SESSION, "@session.bot_speech_count:0"),
            lines="@session_id:* status:(warn OR error)",
        ),
        priority=2,
    )


def _monitor(alert: _Alert, options: Options) -> Thing:
    of_lines = alert.query.startswith("logs(")
    title = f"[Pipecat] {alert.title}"
    where = f" ({options.scope})" if options.is_scoped else ""
    return Thing(
        Kind.MONITOR,
        alert.key,
        alert.title + where,
        {
            "name": f"{title} in {{{{service.name}}}}{where}",
            "type": "log alert" if of_lines else "query alert",
            "query": f"{alert.query} > {alert.over:g}",
            "message": message(alert.happened, alert.first, alert.evidence, options),
            "tags": Mark(alert.key, scope=options.scope).as_tags(),
            "priority": alert.priority,
            "options": {
                "thresholds": {"critical": float(alert.over)},
                "include_tags": True,
                **({} if of_lines else {"require_full_window": False, "notify_no_data": False}),
                **dict(alert.options),
            },
        },
        options.scope,
    )


def _scope(options: Options) -> list[str]:
    named = (("service", options.service), ("env", options.env))
    return [f"{tag}:{value}" for tag, value in named if value]


def _counted(
    name: str, options: Options, where: str = "", *, by: tuple[str, ...] = ("service",)
) -> str:
    query = metric("sum", name, by=by, where=[where] if where else [], scope=_scope(options))
    # What did not happen is not sent: without points there are none of them, not an unknown number.
    return f"default_zero({query})"


def _sum(window: str, query: str) -> str:
    return f"sum(last_{window}):{query}"


def _line_query(options: Options, query: str, window: str) -> str:
    search = " ".join([*_scope(options), query])
    return f'logs("{search}").index("*").rollup("count").by("service").last("{window}")'
