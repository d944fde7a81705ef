"""Whether a session's trace is accepted: one is really sent. Only where that was asked for."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.doctor import _ddtrace, session
from pipecat_dd.doctor.finding import Finding, Level
from pipecat_dd.doctor.situation import Situation

CHECK: Final = "sending.accepted"


def accepted(situation: Situation) -> Iterator[Finding]:
    """Send one small session, and see whether ddtrace complains."""
    if not situation.is_on("DD_TRACE_ENABLED", True):
        return
    with _ddtrace.complaints(of_writing=True) as complaints:
        held = session.hold(send=True)
        _ddtrace.flush()
    facts = {"session_id": held.id}
    if held.error is not None or complaints:
        why = complaints[0] if complaints else f"{type(held.error).__name__}: {held.error}"
        yield Finding(
            CHECK,
            Level.PROBLEM,
            f"A session's trace could not be sent: {why}",
            "See what is said of the Agent, or the intake, above.",
            facts,
        )
        return
    yield Finding(
        CHECK,
        Level.OK,
        f"A session's trace was sent, and not refused: {held.id}.",
        f"Look for it in the Trace Explorer in half a minute: @session_id:{held.id}",
        facts,
    )


CHECKS: Final = (accepted,)
