"""The monitors: what should wake somebody.

Whatever can be is watched by what counts every conversation, kept or not: the metrics that Datadog
makes of spans for free, and those that the bot sends. Each service alerts on its own.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition
from pipecat_dd.cli.setup.definitions.alerts import Alert, monitor, scope, share
from pipecat_dd.cli.setup.definitions.messages import Evidence, Words
from pipecat_dd.cli.setup.definitions.monitors_of_telling import of_lines, of_the_process
from pipecat_dd.cli.setup.definitions.queries import (
    OF_SESSIONS,
    TRACED_ERRORS,
    errors,
    hits,
    metric,
    spans,
)
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.export.metrics.values import BEYOND, WITHIN_SECS, within
from pipecat_dd.names import metric_tags, metrics, tags
from pipecat_dd.names.spans import span_name

ABNORMAL = ("failed", "lost_end", "exited", "terminated")
"""Ends of sessions that nobody meant."""

_BAD_LINES = f"{OF_SESSIONS} status:(warn OR error OR critical)"


def monitors(options: Options) -> Iterator[Definition]:
    """Yield the monitors.

    Args:
        options: When they alert, whom they tell, and what they watch.
    """
    for of in (_of_turns, _of_services, _of_sessions, _of_running, of_lines, of_the_process):
        for alert in of(options):
            yield monitor(alert, options)


def _of_turns(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "failed-turns",
        "Turns that fail",
        share(
            "30m",
            errors(Stage.TURN, **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
        ),
        options.failed_turns_percent,
        Words(
            "{{value}} % of the turns in 30 minutes came to nothing because something failed.",
            f"Look first at `{tags.ERROR_TYPE}` of the turns, which is that of the stage that "
            "failed: one type, or many? One that began at one minute is a provider or a deploy. "
            "Then open a turn, and its red span.",
            "Turns get their answers again.",
        ),
        Evidence(1, spans(Stage.TURN, "status:error"), TRACED_ERRORS),
        priority=2,
    )
    of_users = metric("sum", metrics.TURNS, where=[f"{metric_tags.BEGAN_BY}:user"], **by_service)
    yield Alert(
        "unanswered-turns",
        "Callers who get no answer",
        share(
            "30m",
            metric("sum", metrics.TURNS, where=[f"{metric_tags.LEFT_WAITING}:true"], **by_service),
            of_users,
            options.least_turns,
        ),
        options.unanswered_turns_percent,
        Words(
            "In {{value}} % of the turns in 30 minutes the user waited for an answer in vain. (A "
            "user who only paused, or who hung up at once, is none of them.)",
            f"Look first at a turn's spans: no `{span_name(Stage.LLM)}` means that the turn was "
            "never ruled over or the model never asked; an `llm` that was discarded says why "
            f"itself; an `llm` without `{span_name(Stage.TTS)}` means that nothing was spoken.",
            "Users get their answers again.",
        ),
        Evidence(1, spans(Stage.TURN, f"@{tags.TURN_LEFT_WAITING}:true"), _BAD_LINES),
        priority=2,
    )
    slow = [within(secs) for secs in WITHIN_SECS if secs > options.slow_answer_secs] + [BEYOND]
    yield Alert(
        "slow-answers",
        "Slow answers",
        share(
            "30m",
            metric(
                "sum",
                metrics.TURNS,
                where=[f"{metric_tags.ANSWERED_WITHIN} IN ({','.join(slow)})"],
                **by_service,
            ),
            metric("sum", metrics.TURNS, where=[f"{metric_tags.ANSWERED_WITHIN}:*"], **by_service),
            options.least_turns,
        ),
        options.slow_answers_percent,
        Words(
            f"{{{{value}}}} % of the answers in 30 minutes took longer than "
            f"{options.slow_answer_secs} seconds.",
            f"Look first at what the wait is made of: `{tags.turn_wait_seconds.prefix}*` of a "
            "slow turn, or the dashboard's *What the wait is made of*. Its widest part names the "
            "stage; the span of that stage says which service and model.",
            "Answers come in time again.",
        ),
        Evidence(
            1,
            spans(Stage.TURN, f"@{tags.TURN_USER_BOT_LATENCY_SECONDS}:>{options.slow_answer_secs}"),
            OF_SESSIONS,
        ),
    )


def _of_services(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "unusable-service",
        "Services that can no longer do their job",
        share(
            "15m",
            metric("sum", metrics.ERRORS, where=[f"{metric_tags.USABLE}:false"], **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
            # A service that fails at the start leaves no turn to be counted.
            whole_may_lack=True,
        ),
        options.unusable_services_percent,
        Words(
            "For each 100 turns in 15 minutes, {{value}} services failed for the rest of their "
            "session.",
            f"Look first at `{tags.GEN_AI_PROVIDER_NAME}`, `{tags.ERROR_TYPE}` and "
            f"`{tags.ERROR_CATEGORY}` of the span: a key that expired, a limit that was reached, "
            "a provider that is down. Then at the dashboard's *Failovers*: did another service "
            "take over?",
            "Services do their job again. Calls that had lost one keep what they have.",
        ),
        Evidence(1, f"@{tags.COMPONENT}:pipecat @{tags.PROCESSOR_USABLE}:false", TRACED_ERRORS),
        priority=1,
    )


def _of_sessions(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    ended = metric("sum", metrics.SESSIONS_ENDED, **by_service)
    abnormal = [f"{metric_tags.END_REASON} IN ({','.join(ABNORMAL)})"]
    yield Alert(
        "abnormal-ends",
        "Conversations that end abnormally",
        share(
            "1h",
            metric("sum", metrics.SESSIONS_ENDED, where=abnormal, **by_service),
            ended,
            options.least_sessions,
        ),
        options.abnormal_ends_percent,
        Words(
            "{{value}} % of the sessions in an hour failed, lost their end, or ended because their "
            "process did.",
            f"Look first at `{tags.SESSION_END_REASON}`: `terminated` at one minute is a deploy "
            "or a machine that is going away, `exited` a process that stopped by itself, `failed` "
            "a pipeline that broke: read its last lines, `lost_end` one whose processor "
            f"`{tags.SESSION_END_LOST_IN}` kept the EndFrame.",
            "Sessions end as they are meant to again.",
        ),
        Evidence(
            1,
            spans(Stage.SESSION, f"@{tags.SESSION_END_REASON}:({' OR '.join(ABNORMAL)})"),
            f"{OF_SESSIONS} status:(error OR critical)",
        ),
        priority=2,
    )
    yield Alert(
        "silent-sessions",
        "Conversations in which the bot never spoke",
        share(
            "1h",
            metric(
                "sum",
                metrics.SESSIONS_ENDED,
                where=[f"{metric_tags.BOT_SPOKE}:false"],
                **by_service,
            ),
            ended,
            options.least_sessions,
        ),
        options.silent_sessions_percent,
        Words(
            "In {{value}} % of the sessions in an hour nobody heard the bot.",
            "Look first at the session's duration: seconds mean that the caller hung up before the "
            f"greeting. Longer ones: is there a `{span_name(Stage.TTS)}`, and did it fail? Is "
            "there a participant at all?",
            "The bot is heard again.",
        ),
        Evidence(1, spans(Stage.SESSION, f"@{tags.SESSION_BOT_SPEECH_COUNT}:0"), _BAD_LINES),
        priority=2,
    )


def _of_running(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    started = metric("sum", metrics.SESSIONS_STARTED, **by_service)
    ended = metric("sum", metrics.SESSIONS_ENDED, **by_service)
    active = metric("sum", metrics.SESSIONS_ACTIVE, **by_service)
    yield Alert(
        "sessions-not-ended",
        "Conversations that begin and never end",
        # What began, less what ended, less by how many more there are now: the differences of
        # points add up to that of the last and the first.
        f"sum(last_4h):100 * (default_zero({started}) - default_zero({ended}) - "
        f"diff(default_zero({active}))) / (default_zero({started}) + {options.least_sessions})",
        options.sessions_lost_percent,
        Words(
            "{{value}} % of the sessions that began in 4 hours neither ended nor are running.",
            "Look first for processes that were killed (out of memory?) before their sessions "
            f"could end: their turns are there, their `{span_name(Stage.SESSION)}` is not.",
            "Sessions that begin also end again.",
        ),
        Evidence(4, spans(Stage.TURN), OF_SESSIONS),
    )
    yield Alert(
        "no-sessions",
        "No conversations",
        f"sum(last_1h):{started}",
        0,
        Words(
            f"No session began for {options.quiet_hours} hours, where there always are some.",
            "Look first whether calls come in at all: the telephone provider, the web page, the "
            "room server. Then whether bots start: their containers, and their first lines. Then "
            "whether metrics arrive: `pipecat-dd doctor` where the bot runs.",
            "Sessions begin again.",
            is_of_silence=True,
        ),
        Evidence(24, spans(Stage.SESSION), OF_SESSIONS),
        priority=2,
        has_warning=False,
        compare="<=",
        options={
            "notify_no_data": True,
            "no_data_timeframe": options.quiet_hours * 60,
            # It is to go on saying so for as long as there are none.
            "timeout_h": 0,
        },
    )
