"""Whether this machine's clock agrees with whoever answered."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.asking import Answer
from pipecat_dd.cli.doctor.finding import Finding, Level

MOST_SECS: Final = 30.0


def clock(answer: Answer, whose: str) -> Iterator[Finding]:
    """Compare clocks.

    Args:
        answer: What was answered, and when by their clock.
        whose: Whose clock it is compared with.
    """
    if answer.ahead_secs is None:
        return
    off = round(abs(answer.ahead_secs), 1)
    facts = {"ahead_secs": round(answer.ahead_secs, 1)}
    if off <= MOST_SECS:
        yield Finding("clock.agrees", Level.OK, f"The clock agrees with {whose}.", facts=facts)
        return
    yield Finding(
        "clock.agrees",
        Level.PROBLEM,
        f"This machine's clock is {off:g} s {'ahead of' if answer.ahead_secs > 0 else 'behind'} "
        f"that of {whose}: spans and lines stand at the wrong time, and are refused from 2 h ahead "
        "or 18 h behind on.",
        "Have the clock set by NTP.",
        facts,
    )
