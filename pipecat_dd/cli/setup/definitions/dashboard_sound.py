"""The dashboard's groups about how calls sound: the voice, silence, the user's audio, outcomes.

What a bot counts itself comes first. Bots without DogStatsD have the same of their retained
sessions, whose spans say it too.
"""

from pipecat_dd.cli.setup.definition import Body
from pipecat_dd.cli.setup.definitions.queries import metric, spans
from pipecat_dd.cli.setup.definitions.widgets import (
    Plot,
    events,
    group,
    of_metric,
    of_metrics,
    over_time,
    ranking,
    traces,
)
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import metric_tags, metrics, tags

_DEFAULTS = Options()
_BOTS = "$service $env $version"

_SYMPTOMS = {
    "gaps in the voice": f"@{tags.SESSION_VOICE_GAP_COUNT}:>0",
    "blocked for a second": f"@{tags.SESSION_BLOCKED_SECONDS}:>1",
    "dead air": f"@{tags.SESSION_LONGEST_BOT_SILENCE_SECONDS}:>{_DEFAULTS.dead_air_secs}",
    "slow first words": f"@{tags.SESSION_FIRST_SPEECH_SECONDS}:>{_DEFAULTS.slow_hello_secs}",
    "no audio from the user": f"@{tags.SESSION_NO_USER_AUDIO_COUNT}:>0",
    "a connection lost": f"@{tags.SESSION_RECONNECT_COUNT}:>0",
}
"""What a broken call looks like on its session's span."""


def sound() -> Body:
    """Return the group about what callers hear, and whether they are heard."""
    any_of = " OR ".join(f"({symptom})" for symptom in _SYMPTOMS.values())
    return group(
        "How calls sound",
        over_time(
            "Gaps in the bot's voice, per 100 times that it spoke",
            of_metrics(
                "gaps / speeches * 100",
                "gaps",
                gaps=metric("sum", metrics.VOICE_GAPS),
                speeches=metric("sum", metrics.BOT_SPEECHES),
            ),
        ),
        over_time(
            "How long these gaps are",
            of_metric(metric("p95", metrics.VOICE_GAP_SECONDS), "p95", "second"),
            of_metric(metric("max", metrics.VOICE_GAP_SECONDS), "longest", "second"),
        ),
        over_time(
            "How long the event loop was blocked, by cause",
            of_metric(
                metric("sum", metrics.EVENT_LOOP_BLOCKED_SECONDS, by=(metric_tags.CAUSE,)),
                unit="second",
            ),
            display="bars",
        ),
        ranking(
            "Code that blocks the event loop",
            Plot(
                {
                    "a": events(
                        "spans",
                        f"{_BOTS} {spans(Stage.BLOCKED)}",
                        by=metric_tags.RESOURCE_NAME,
                    )
                },
                "a",
            ),
        ),
        over_time(
            "From joining to the bot's first words",
            *(
                of_metric(
                    metric(f"p{share}", metrics.SESSION_FIRST_SPEECH_SECONDS),
                    f"p{share}",
                    "second",
                )
                for share in (50, 95)
            ),
        ),
        over_time(
            "Longest silence of a session in which the bot owed an answer",
            *(
                of_metric(
                    metric(f"p{share}", metrics.SESSION_LONGEST_BOT_SILENCE_SECONDS),
                    f"p{share}",
                    "second",
                )
                for share in (50, 95)
            ),
        ),
        over_time(
            "Longest silence of a session, by whose turn it was (p95)",
            of_metric(
                metric(
                    "p95", metrics.SESSION_LONGEST_SILENCE_SECONDS, by=(metric_tags.SILENCE_OF,)
                ),
                unit="second",
            ),
        ),
        over_time(
            "Who speaks",
            of_metric(
                metric("sum", metrics.SPEECH_SECONDS, by=(metric_tags.SPEAKER,)), unit="second"
            ),
            display="area",
        ),
        over_time(
            "Gaps in users' audio while they spoke, and users without any",
            of_metric(metric("sum", metrics.USER_AUDIO_GAPS), "gaps"),
            of_metric(metric("sum", metrics.USER_AUDIO_MISSING), "no audio"),
            display="bars",
        ),
        over_time(
            "Longest gap in a user's audio",
            of_metric(metric("max", metrics.USER_AUDIO_GAP_SECONDS), unit="second"),
        ),
        over_time(
            "How loud users are, in dBFS",
            of_metric(metric("avg", metrics.USER_AUDIO_LEVEL_DBFS), "average"),
            of_metric(metric("min", metrics.USER_AUDIO_LEVEL_DBFS), "quietest"),
        ),
        traces(
            "Sessions that sounded broken",
            f"{_BOTS} {spans(Stage.SESSION, f'({any_of})')}",
            (
                "timestamp",
                f"@{tags.SESSION_ID}",
                f"@{tags.SESSION_VOICE_GAP_COUNT}",
                f"@{tags.SESSION_BLOCKED_SECONDS}",
                f"@{tags.SESSION_LONGEST_BOT_SILENCE_SECONDS}",
                f"@{tags.SESSION_FIRST_SPEECH_SECONDS}",
                f"@{tags.SESSION_NO_USER_AUDIO_COUNT}",
            ),
        ),
    )


def without_metrics() -> Body:
    """Return the group about the same, of retained sessions."""
    return group(
        "From retained sessions (for bots without DogStatsD)",
        over_time(
            "Outcomes, in the bot's own words",
            Plot(
                {"a": events("spans", f"{_BOTS} {spans(Stage.SESSION)}", by=_OUTCOME)},
                "a",
            ),
            display="bars",
        ),
        over_time(
            "Sessions that sounded broken, by symptom",
            *(
                Plot({"a": events("spans", f"{_BOTS} {spans(Stage.SESSION, query)}")}, "a", symptom)
                for symptom, query in _SYMPTOMS.items()
            ),
            display="bars",
        ),
    )


_OUTCOME = f"@{tags.SESSION_OUTCOME}"
