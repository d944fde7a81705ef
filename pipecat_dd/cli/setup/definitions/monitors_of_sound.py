"""The monitors of how calls sound: the bot's voice, silence, the user's audio, connections.

A call can go wrong without an error. What the caller hears is counted where it is heard, and each
count is held against the number of calls, turns or speeches of that time.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definitions.alerts import Alert, longer_than, scope, share
from pipecat_dd.cli.setup.definitions.messages import AlertText, Evidence
from pipecat_dd.cli.setup.definitions.queries import BAD_LINES, hits, metric, spans
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import metric_tags, metrics, tags
from pipecat_dd.names.spans import span_name

WALK = "It sounded broken"
"""The walk in ``docs/on-call.md``."""

_OF_CONNECTIONS = ("on_connection_error", "on_disconnected")
"""Pipecat's events for a connection that a service could not make, or lost."""


def of_sound(options: Options) -> Iterator[Alert]:
    """Yield the monitors of how calls sound."""
    for of in (_of_the_voice, _of_silence, _of_the_users_audio, _of_connections):
        yield from of(options)


def _of_the_voice(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "voice-gaps",
        "Gaps in the bot's voice",
        share(
            "30m",
            metric("sum", metrics.VOICE_GAPS, **by_service),
            metric("sum", metrics.BOT_SPEECHES, **by_service),
            options.least_turns,
        ),
        options.voice_gaps_percent,
        AlertText(
            "Per 100 times that the bot spoke in 30 minutes, callers heard {{value}} gaps in its "
            "voice: all its audio had played before more of it came.",
            f"First check `{tags.TURN_BLOCKED_SECONDS}` of such a turn: code that blocks the event "
            "loop stops the voice of every call in the process, and "
            f"`{span_name(Stage.BLOCKED)}` names it. If there is none, the "
            f"`{span_name(Stage.LLM)}` span shows whether the model still wrote when the gap "
            f"began, the `{span_name(Stage.TTS)}` span whether the synthesis was late.",
            "The bot's voice has no gaps again.",
            walk=WALK,
        ),
        Evidence(1, spans(Stage.SESSION, f"@{tags.SESSION_VOICE_GAP_COUNT}:>0"), BAD_LINES),
        priority=2,
    )
    yield Alert(
        "event-loop-blocked",
        "Blocked event loop",
        share(
            "30m",
            metric("count", metrics.EVENT_LOOP_BLOCKED_SECONDS, **by_service),
            hits(Stage.TURN, **by_service),
            options.least_turns,
            # The greeting may be blocked before there is any turn.
            whole_may_be_missing=True,
        ),
        options.blocked_loops_percent,
        AlertText(
            "Per 100 turns in 30 minutes, the event loop was blocked {{value}} times. Meanwhile "
            "every call in the process hears nothing and is not heard.",
            f"First check the resource of the `{span_name(Stage.BLOCKED)}` spans, which names the "
            f"code, and `{tags.BLOCKED_STACK}`, which says what called it. Code that waits or "
            "computes belongs into a thread (`asyncio.to_thread`). If the "
            f"`{metric_tags.CAUSE}` is `not_running`, the machine had no CPU for the process.",
            "The event loop runs freely again.",
            walk=WALK,
        ),
        Evidence(1, spans(Stage.SESSION, f"@{tags.SESSION_BLOCKED_COUNT}:>0"), BAD_LINES),
        priority=2,
    )


def _of_silence(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    silence = metrics.SESSION_LONGEST_BOT_SILENCE_SECONDS
    yield Alert(
        "dead-air",
        "Dead air",
        share(
            "1h",
            metric(
                "count",
                silence,
                where=[f"{metric_tags.WITHIN} IN {longer_than(options.dead_air_secs)}"],
                **by_service,
            ),
            metric("count", silence, **by_service),
            options.least_sessions,
        ),
        options.dead_air_percent,
        AlertText(
            "In {{value}} % of the sessions in an hour the bot owed an answer, and nobody spoke "
            f"for more than {options.dead_air_secs} seconds.",
            f"First check the turn at that time. A long `{span_name(Stage.TOOL)}` or "
            f"`{span_name(Stage.LLM)}` is what the bot waited for. If neither is there, the end "
            f"of the user's turn was not detected: check `{span_name(Stage.END_OF_TURN)}`.",
            "The bot answers in time again.",
            walk=WALK,
        ),
        Evidence(
            1,
            spans(
                Stage.SESSION,
                f"@{tags.SESSION_LONGEST_BOT_SILENCE_SECONDS}:>{options.dead_air_secs}",
            ),
            BAD_LINES,
        ),
    )
    first = metrics.SESSION_FIRST_SPEECH_SECONDS
    yield Alert(
        "slow-hello",
        "Slow first words",
        share(
            "1h",
            metric(
                "count",
                first,
                where=[f"{metric_tags.WITHIN} IN {longer_than(options.slow_hello_secs)}"],
                **by_service,
            ),
            metric("count", first, **by_service),
            options.least_sessions,
        ),
        options.slow_hellos_percent,
        AlertText(
            f"In {{{{value}}}} % of the sessions in an hour the bot said nothing for "
            f"{options.slow_hello_secs} seconds after a participant had joined.",
            f"First check the `{span_name(Stage.STARTUP)}` spans: the slowest names the processor "
            "that took so long to set up. If all are short, check the first turn: the first "
            "response of the model and the first synthesis. (A bot that lets the user speak first "
            "needs a higher limit.)",
            "The bot's first words come in time again.",
            walk=WALK,
        ),
        Evidence(
            1,
            spans(
                Stage.SESSION, f"@{tags.SESSION_FIRST_SPEECH_SECONDS}:>{options.slow_hello_secs}"
            ),
            BAD_LINES,
        ),
    )


def _of_the_users_audio(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    yield Alert(
        "no-user-audio",
        "No audio from users",
        share(
            "1h",
            metric("sum", metrics.USER_AUDIO_MISSING, **by_service),
            metric("sum", metrics.SESSIONS_ENDED, **by_service),
            options.least_sessions,
        ),
        options.no_user_audio_percent,
        AlertText(
            "Per 100 sessions in an hour, {{value}} times a participant was connected and sent no "
            "audio. The bot cannot hear them.",
            f"First check `{tags.TRANSPORT}` of these sessions. If it is one transport, check its "
            "credentials, its subscriptions and its network path. If it is all, check which "
            "version began it. Single callers may have denied the use of their microphone.",
            "Users' audio arrives again.",
            walk=WALK,
        ),
        Evidence(1, spans(Stage.SESSION, f"@{tags.SESSION_NO_USER_AUDIO_COUNT}:>0"), BAD_LINES),
        priority=2,
    )


def _of_connections(options: Options) -> Iterator[Alert]:
    by_service = {"by": (metric_tags.SERVICE,), "scope": scope(options)}
    failed = [
        f"{metric_tags.EVENT} IN ({','.join(_OF_CONNECTIONS)})",
        f"{metric_tags.OUTCOME}:failed",
    ]
    yield Alert(
        "connections-lost",
        "Lost connections of services",
        share(
            "30m",
            metric("sum", metrics.SERVICE_EVENTS, where=failed, **by_service),
            metric("sum", metrics.SESSIONS_STARTED, **by_service),
            options.least_sessions,
            # Sessions may be long.
            whole_may_be_missing=True,
        ),
        options.lost_connections_percent,
        AlertText(
            "Per 100 sessions begun in 30 minutes, services lost their connection, or could not "
            "make it, {{value}} times. Until it is made again, the bot does not hear or speak.",
            f"First check the `{metric_tags.PROVIDER}` of `{metrics.SERVICE_EVENTS}` on the "
            "dashboard. If it is one, check its status page, the key and its limits. If it is "
            "all, check the network of the hosts.",
            "Services keep their connections again.",
            walk=WALK,
        ),
        Evidence(1, spans(Stage.SERVICE_EVENT, "status:error"), BAD_LINES),
        priority=2,
    )
