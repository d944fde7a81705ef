"""The monitors of turns, services and sessions.

Where possible, they use metrics that count every conversation, whether its trace is retained or
not: the free metrics that Datadog generates from spans, and the metrics that bots send. Each
service alerts separately.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition
from pipecat_dd.cli.setup.definitions.alerts import (
    Alert,
    longer_than,
    monitor,
    scope,
    share,
)
from pipecat_dd.cli.setup.definitions.messages import AlertText, Evidence
from pipecat_dd.cli.setup.definitions.monitors_of_sound import of_sound
from pipecat_dd.cli.setup.definitions.monitors_of_telemetry import of_lines, of_the_process
from pipecat_dd.cli.setup.definitions.queries import (
    BAD_LINES,
    OF_SESSIONS,
    TRACED_ERRORS,
    errors,
    hits,
    metric,
    spans,
)
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import metric_tags, metrics, tags
from pipecat_dd.names.spans import span_name

ABNORMAL = ("failed", "lost_end", "exited", "terminated")
"""The reasons of abnormal ends of sessions."""


def monitors(options: Options) -> Iterator[Definition]:
    """Yield the definitions of all monitors."""
    for of in (
        _of_turns,
        _of_services,
        of_sound,
        _of_sessions,
        _of_running,
        of_lines,
        of_the_process,
    ):
        for alert in of(options):
            yield monitor(alert, options)


def _of_turns(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
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
            f"First check `{tags.ERROR_TYPE}` of the turns, which is that of the failed stage. If "
            "there is a single type that began at a certain minute, a provider or a deployment is "
            "the likely cause. Then open a turn and look at its red span.",
            "Turns succeed again.",
            walk="An error",
        ),
        Evidence(1, spans(Stage.TURN, "status:error"), TRACED_ERRORS),
        priority=2,
    )
    of_users = metric("sum", metrics.TURNS, where=[f"{metric_tags.BEGAN_BY}:user"], **by_service)
    yield Alert(
        "unanswered-turns",
        "Unanswered turns",
        share(
            "30m",
            metric("sum", metrics.TURNS, where=[f"{metric_tags.LEFT_WAITING}:true"], **by_service),
            of_users,
            options.least_turns,
        ),
        options.unanswered_turns_percent,
        AlertText(
            "In {{value}} % of the turns in 30 minutes the user waited but got no answer. (Turns "
            "in which the user only paused, or hung up at once, do not count.)",
            f"First check the spans of such a turn. Without `{span_name(Stage.LLM)}`, the end of "
            "the turn was not detected, or the model was not called. A discarded "
            f"`{span_name(Stage.LLM)}` has the reason in its tags. With `{span_name(Stage.LLM)}` "
            f"but without `{span_name(Stage.TTS)}`, no speech was synthesized.",
            "Users get answers again.",
            walk="A caller's complaint",
        ),
        Evidence(1, spans(Stage.TURN, f"@{tags.TURN_LEFT_WAITING}:true"), BAD_LINES),
        priority=2,
    )
    yield Alert(
        "slow-answers",
        "Slow answers",
        share(
            "30m",
            metric(
                "sum",
                metrics.TURNS,
                where=[f"{metric_tags.ANSWERED_WITHIN} IN {longer_than(options.slow_answer_secs)}"],
                **by_service,
            ),
            metric("sum", metrics.TURNS, where=[f"{metric_tags.ANSWERED_WITHIN}:*"], **by_service),
            options.least_turns,
        ),
        options.slow_answers_percent,
        AlertText(
            f"{{{{value}}}} % of the answers in 30 minutes took longer than "
            f"{options.slow_answer_secs} seconds.",
            f"First check the parts of the wait: `{tags.turn_wait_seconds.prefix}*` of a slow "
            "turn, or the graph *What the wait is made of* on the dashboard. The largest part "
            "names the stage, and the span of that stage names the service and model.",
            "Answers are fast enough again.",
            walk="A slow answer",
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
        "Permanently failed services",
        share(
            "15m",
            metric("sum", metrics.ERRORS, where=[f"{metric_tags.USABLE}:false"], **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
            # If a service fails at the start, there may be no turns.
            whole_may_be_missing=True,
        ),
        options.unusable_services_percent,
        AlertText(
            "Per 100 turns in 15 minutes, {{value}} services failed and cannot be used for the "
            "rest of their session.",
            f"First check `{tags.GEN_AI_PROVIDER_NAME}`, `{tags.ERROR_TYPE}` and "
            f"`{tags.ERROR_CATEGORY}` of the spans: has a key expired, has a limit been reached, "
            "is a provider down? Then check *Failovers* on the dashboard: has another service "
            "taken over?",
            "Services work again. Calls that lost a service do not get it back.",
            walk="An error",
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
        "Abnormally ended conversations",
        share(
            "1h",
            metric("sum", metrics.SESSIONS_ENDED, where=abnormal, **by_service),
            ended,
            options.least_sessions,
        ),
        options.abnormal_ends_percent,
        AlertText(
            "{{value}} % of the sessions in an hour failed, lost their EndFrame, or ended because "
            "their process ended.",
            f"First check `{tags.SESSION_END_REASON}`. If many sessions were `terminated` at the "
            "same minute, a deployment or a machine shutdown is the likely cause. `exited` means "
            "that the process exited by itself. `failed` means that the pipeline failed: read its "
            f"last lines. `lost_end` means that the processor in `{tags.SESSION_END_LOST_IN}` did "
            "not pass on the EndFrame.",
            "Sessions end normally again.",
            walk="A caller's complaint",
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
        AlertText(
            "In {{value}} % of the sessions in an hour the bot never spoke.",
            "First check the duration of the sessions: after a few seconds, the caller hung up "
            "before the greeting. In longer sessions, check whether there is a "
            f"`{span_name(Stage.TTS)}` span, whether it failed, and whether a participant joined "
            "at all.",
            "The bot speaks again.",
            walk="A caller's complaint",
        ),
        Evidence(1, spans(Stage.SESSION, f"@{tags.SESSION_BOT_SPEECH_COUNT}:0"), BAD_LINES),
        priority=2,
    )


def _of_running(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    started = metric("sum", metrics.SESSIONS_STARTED, **by_service)
    ended = metric("sum", metrics.SESSIONS_ENDED, **by_service)
    active = metric("sum", metrics.SESSIONS_ACTIVE, **by_service)
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
            f"`{span_name(Stage.SESSION)}` span.",
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
