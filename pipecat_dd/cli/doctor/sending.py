"""Whether a session's trace is accepted: one is really sent. Only where that was asked for."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import _ddtrace, session
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
"""The checks that can say why nothing can be sent, the likeliest first."""


def accepted(situation: Context) -> Iterator[Finding]:
    """Send one small session, and see whether ddtrace complains."""
    if not situation.is_on("DD_TRACE_ENABLED", True):
        return
    with _ddtrace.complaints(of_writing=True) as complaints:
        held = session.hold(send=True)
        _ddtrace.flush()
    facts: dict[str, Fact] = {tags.SESSION_ID: held.id}
    if held.error is not None or complaints:
        reasons = _reasons(situation)
        why = complaints[0] if complaints else f"{type(held.error).__name__}: {held.error}"
        yield Finding(
            CHECK,
            Level.PROBLEM,
            f"A session's trace could not be sent: {why}",
            _because(reasons),
            {**facts, "because": [one.check for one in reasons]},
        )
        return
    yield Finding(
        CHECK,
        Level.OK,
        f"A session's trace was sent, and not refused: {held.id}.",
        f"Look for it in the Trace Explorer in half a minute: @{tags.SESSION_ID}:{held.id}",
        facts,
    )


def _reasons(situation: Context) -> list[Finding]:
    by_check = {one.check: one for one in situation.found if one.level is Level.PROBLEM}
    return [by_check[check] for check in REASONS if check in by_check]


def _because(reasons: list[Finding]) -> str:
    if not reasons:
        return (
            "None of the checks above says why. Look at the Agent's own log, and at whatever is "
            "between here and there."
        )
    first, *others = reasons
    also = f" Then: {', '.join(one.check for one in others)}." if others else ""
    return f"{first.check} says why. {first.do}{also}"


CHECKS: Final = (accepted,)
