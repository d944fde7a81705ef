"""Check, on request, whether the trace of a sample session is really accepted."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import _ddtrace, sample_session
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Fact, Finding, Level
from pipecat_dd.names import tags

CHECK: Final = "sending.accepted"

REASONS: Final = (
    "agent.answers",
    "agent.trace_api",
    "intake.site",
    "intake.key",
    "clock.agrees",
    "variables.value",
    "variables.api_key",
    "variables.tracing",
    "env_file.too_late",
    "sample.session",
)
"""The checks that can explain why sending fails, the most likely first."""


def accepted(context: Context) -> Iterator[Finding]:
    """Send the trace of a small session, and report the errors that ddtrace logs."""
    if not context.is_on("DD_TRACE_ENABLED", True):
        return
    with _ddtrace.collect_errors(about_sending=True) as errors:
        sample = sample_session.run(send=True)
        _ddtrace.flush()
    facts: dict[str, Fact] = {tags.SESSION_ID: sample.id}
    if sample.error is not None or errors:
        reasons = _reasons(context)
        why = errors[0] if errors else f"{type(sample.error).__name__}: {sample.error}"
        yield Finding(
            CHECK,
            Level.PROBLEM,
            f"The trace of a sample session could not be sent: {why}",
            _advice(reasons),
            {**facts, "because": [one.check for one in reasons]},
        )
        return
    yield Finding(
        CHECK,
        Level.OK,
        f"The trace of a sample session was sent and not rejected: {sample.id}.",
        f"In half a minute, search for it in the Trace Explorer: @{tags.SESSION_ID}:{sample.id}",
        facts,
    )


def _reasons(context: Context) -> list[Finding]:
    by_check = {one.check: one for one in context.found if one.level is Level.PROBLEM}
    return [by_check[check] for check in REASONS if check in by_check]


def _advice(reasons: list[Finding]) -> str:
    if not reasons:
        return (
            "None of the other checks explains this. Look at the Agent's log, and at any proxy or "
            "firewall between the bot and the Agent."
        )
    first, *others = reasons
    also = f" Then see {', '.join(one.check for one in others)}." if others else ""
    return f"{first.check} explains why. {first.do}{also}"


CHECKS: Final = (accepted,)
