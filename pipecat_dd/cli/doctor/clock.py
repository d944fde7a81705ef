"""Check whether this machine's clock agrees with the clock of the server that answered."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.http_client import Answer

MOST_SECS: Final = 30.0


def clock(answer: Answer, server: str) -> Iterator[Finding]:
    """Compare this machine's clock with a server's.

    Args:
        answer: The server's answer, which holds the difference.
        server: The name of the server, to be shown.
    """
    if answer.ahead_secs is None:
        return
    off = round(abs(answer.ahead_secs), 1)
    facts = {"ahead_secs": round(answer.ahead_secs, 1)}
    if off <= MOST_SECS:
        message = f"This machine's clock agrees with that of {server}."
        yield Finding("clock.agrees", Level.OK, message, facts=facts)
        return
    yield Finding(
        "clock.agrees",
        Level.PROBLEM,
        f"This machine's clock is {off:g} s {'ahead of' if answer.ahead_secs > 0 else 'behind'} "
        f"that of {server}: spans and log lines get wrong times, and Datadog rejects those that "
        "are more than 2 h ahead or 18 h behind.",
        "Synchronize the clock with NTP.",
        facts,
    )
