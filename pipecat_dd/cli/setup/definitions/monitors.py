"""The monitors of turns, services and sessions.

Where possible, they use metrics that count every conversation, whether its trace is retained or
not: the free metrics that Datadog generates from spans, and the metrics that bots send. Each
service alerts separately.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition
from pipecat_dd.cli.setup.definitions.alerts import Alert, monitor, scope, share
from pipecat_dd.cli.setup.definitions.messages import AlertText, Evidence
from pipecat_dd.cli.setup.definitions.monitors_of_telemetry import of_lines, of_the_process
from pipecat_dd.cli.setup.definitions.queries import (
    OF_SESSIONS,
    TRACED_ERRORS,
    errors,
    hits,
    metric,
    spans,
)
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.conversation.stage import Kind as Stage
from pipecat_dd.export.metrics.contract import BEYOND, WITHIN_SECS, within

ABNORMAL = ("failed", "lost_end", "exited", "terminated")
"""The reasons of abnormal ends of sessions."""

_BAD_LINES = f"{OF_SESSIONS} status:(warn OR error OR critical)"


def monitors(options: Options) -> Iterator[Definition]:
    """Yield the definitions of all monitors."""
    for of in (_of_turns, _of_services, _of_sessions, _of_running, of_lines, of_the_process):
        for alert in of(options):
            yield monitor(alert, options)


def _of_turns(options: Options) -> Iterator[Alert]:
    by_service = {"by": ("service",), "scope": scope(options)}
    yield Alert(
        "failed-turns",
        "Failed turns",
        share(
            "30m",
            errors(Stage.TURN, **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
        ),
        options.failed_turns_percent,
        AlertText(
            "{{value}} % of the turns in 30 minutes failed because of an error.",
            "First check `error.type` of the turns, which is that of the failed stage. If there is "
            "a single type that began at a certain minute, a provider or a deployment is the "
            "likely cause. Then open a turn and look at its red span.",
            "Turns succeed again.",
        ),
        Evidence(1, spans(Stage.TURN, "status:error"), TRACED_ERRORS),
        priority=2,
    )
    of_users = metric("sum", "pipecat.turns", where=["began_by:user"], **by_service)
    yield Alert(
        "unanswered-turns",
        "Unanswered turns",
        share(
            "30m",
            metric("sum", "pipecat.turns", where=["left_waiting:true"], **by_service),
            of_users,
            options.least_turns,
        ),
        options.unanswered_turns_percent,
        AlertText(
            "In {{value}} % of the turns in 30 minutes the user waited but got no answer. (Turns "
            "in which the user only paused, or hung up at once, do not count.)",
            "First check the spans of such a turn. Without `pipecat.llm`, the end of the turn was "
            "not detected, or the model was not called. A discarded `pipecat.llm` has the reason "
            "in its tags. With `pipecat.llm` but without `pipecat.tts`, no speech was synthesized.",
            "Users get answers again.",
        ),
        Evidence(1, spans(Stage.TURN, "@turn.left_waiting:true"), _BAD_LINES),
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
                "pipecat.turns",
                where=[f"answered_within IN ({','.join(slow)})"],
                **by_service,
            ),
            metric("sum", "pipecat.turns", where=["answered_within:*"], **by_service),
            options.least_turns,
        ),
        options.slow_answers_percent,
        AlertText(
            f"{{{{value}}}} % of the answers in 30 minutes took longer than "
            f"{options.slow_answer_secs} seconds.",
            "First check the parts of the wait: `turn.wait.*` of a slow turn, or the graph *What "
            "the wait is made of* on the dashboard. The largest part names the stage, and the "
            "span of that stage names the service and model.",
            "Answers are fast enough again.",
        ),
        Evidence(
            1,
            spans(Stage.TURN, f"@turn.user_bot_latency_seconds:>{options.slow_answer_secs}"),
            OF_SESSIONS,
        ),
    )


def _of_services(options: Options) -> Iterator[Alert]:
    by_service = {"by": ("service",), "scope": scope(options)}
    yield Alert(
        "unusable-service",
        "Permanently failed services",
        share(
            "15m",
            metric("sum", "pipecat.errors", where=["usable:false"], **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
            # If a service fails at the start, there may be no turns.
            whole_may_be_missing=True,
        ),
        options.unusable_services_percent,
        AlertText(
            "Per 100 turns in 15 minutes, {{value}} services failed and cannot be used for the "
            "rest of their session.",
            "First check `gen_ai.provider.name`, `error.type` and `error.category` of the spans: "
            "has a key expired, has a limit been reached, is a provider down? Then check "
            "*Failovers* on the dashboard: has another service taken over?",
            "Services work again. Calls that lost a service do not get it back.",
        ),
        Evidence(1, "@component:pipecat @processor.usable:false", TRACED_ERRORS),
        priority=1,
    )


def _of_sessions(options: Options) -> Iterator[Alert]:
    by_service = {"by": ("service",), "scope": scope(options)}
    ended = metric("sum", "pipecat.sessions.ended", **by_service)
    abnormal = [f"end_reason IN ({','.join(ABNORMAL)})"]
    yield Alert(
        "abnormal-ends",
        "Abnormally ended conversations",
        share(
            "1h",
            metric("sum", "pipecat.sessions.ended", where=abnormal, **by_service),
            ended,
            options.least_sessions,
        ),
        options.abnormal_ends_percent,
        AlertText(
            "{{value}} % of the sessions in an hour failed, lost their EndFrame, or ended because "
            "their process ended.",
            "First check `session.end_reason`. If many sessions were `terminated` at the same "
            "minute, a deployment or a machine shutdown is the likely cause. `exited` means that "
            "the process exited by itself. `failed` means that the pipeline failed: read its last "
            "lines. `lost_end` means that the processor in `session.end_lost_in` did not pass on "
            "the EndFrame.",
            "Sessions end normally again.",
        ),
        Evidence(
            1,
            spans(Stage.SESSION, f"@session.end_reason:({' OR '.join(ABNORMAL)})"),
            f"{OF_SESSIONS} status:(error OR critical)",
        ),
        priority=2,
    )
    yield Alert(
        "silent-sessions",
        "Conversations in which the bot never spoke",
        share(
            "1h",
            metric("sum", "pipecat.sessions.ended", where=["bot_spoke:false"], **by_service),
            ended,
            options.least_sessions,
        ),
        options.silent_sessions_percent,
        AlertText(
            "In {{value}} % of the sessions in an hour the bot never spoke.",
            "First check the duration of the sessions: after a few seconds, the caller hung up "
            "before the greeting. In longer sessions, check whether there is a `pipecat.tts` span, "
            "whether it failed, and whether a participant joined at all.",
            "The bot speaks again.",
        ),
        Evidence(1, spans(Stage.SESSION, "@session.bot_speech_count:0"), _BAD_LINES),
        priority=2,
    )


def _of_running(options: Options) -> Iterator[Alert]:
    by_service = {"by": ("service",), "scope": scope(options)}
    started = metric("sum", "pipecat.sessions.started", **by_service)
    ended = metric("sum", "pipecat.sessions.ended", **by_service)
    active = metric("sum", "pipecat.sessions.active", **by_service)
    yield Alert(
        "sessions-not-ended",
        "Conversations that never end",
        # Started minus ended sessions, minus the increase of active sessions. The sum over diff()
        # is the difference between the last and the first point.
        f"sum(last_4h):100 * (default_zero({started}) - default_zero({ended}) - "
        f"diff(default_zero({active}))) / (default_zero({started}) + {options.least_sessions})",
        options.sessions_lost_percent,
        AlertText(
            "{{value}} % of the sessions that started in 4 hours neither ended nor are running.",
            "First check for processes that were killed before their sessions ended, for example "
            "because they ran out of memory: such sessions have spans of turns but no "
            "`pipecat.session` span.",
            "All sessions end again.",
        ),
        Evidence(4, spans(Stage.TURN), OF_SESSIONS),
    )
    yield Alert(
        "no-sessions",
        "No conversations",
        f"sum(last_1h):{started}",
        0,
        AlertText(
            f"No session started for {options.quiet_hours} hours.",
            "First check whether calls arrive at all: the telephone provider, the web page, the "
            "room server. Then check whether bots start: their containers and their first lines. "
            "Then check whether metrics arrive: run `pipecat-dd doctor` where the bot runs.",
            "Sessions start again.",
            alerts_on_no_data=True,
        ),
        Evidence(24, spans(Stage.SESSION), OF_SESSIONS),
        priority=2,
        has_warning=False,
        compare="<=",
        options={
            "notify_no_data": True,
            "no_data_timeframe": options.quiet_hours * 60,
            # Keep the alert open as long as there are no sessions.
            "timeout_h": 0,
        },
    )
