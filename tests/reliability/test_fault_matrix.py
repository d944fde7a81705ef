"""Faults together: errors of our own, an ill Agent, and an end in the middle of a conversation.

Each fault by itself is in the tests beside this one. Here they meet, as they do in production: what
one leaves half done, the next must bear.
"""

import signal
import time
from dataclasses import dataclass

from tests.support.ill_agent import Health, IllAgent
from tests.support.processes import bot_process
from tests.support.spans import trace_of
from tests.support.together import together

CONVERSATIONS = 2

ENDS_WITHIN_SECS = 5.0 + 2.0
"""ddtrace waits for five seconds at most for what it sends at SIGTERM."""


@dataclass(frozen=True)
class Cell:
    """Faults that come together.

    Attributes:
        seed: By what functions of ours are drawn that raise every third time; None for none.
        health: How the Agent is.
        ends_by: What ends the process in the middle of the next conversation.
    """

    seed: int | None
    health: Health
    ends_by: signal.Signals


CELLS = [
    Cell(None, Health.WELL, signal.SIGTERM),
    Cell(11, Health.WELL, signal.SIGTERM),
    Cell(5, Health.DEAD, signal.SIGTERM),
    Cell(3, Health.FLAPPING, signal.SIGKILL),
    Cell(7, Health.SLOW, signal.SIGTERM),
]


def check(cell: Cell) -> None:
    with (
        IllAgent() as agent,
        bot_process("tests.reliability.talking_bot", agent_url=agent.url) as process,
    ):
        process.tell("talk 1 plain")
        plain = process.report()
        if cell.seed is not None:
            process.tell(f"break {cell.seed}")
            assert process.report(), "nothing is broken"
        agent.becomes(cell.health)
        process.tell(f"talk {CONVERSATIONS} observed")
        report = process.report()
        assert report["said"] == plain["said"] * CONVERSATIONS, "the bot said something else"
        assert not report["left"], "tasks are left behind"
        assert not report["blocked"]

        process.tell("talk 20 observed")
        time.sleep(0.5)  # wherever it is then
        process.popen.send_signal(cell.ends_by)
        code, secs = process.ends()
        assert code == -cell.ends_by, "the signal's end is not what it would be without us"
        assert secs <= ENDS_WITHIN_SECS
        if cell.seed is None and cell.health is Health.WELL:
            check_all_sent(agent, report["sessions"])


def check_all_sent(agent: IllAgent, over: list[str]) -> None:
    """Check that what was over is at the Agent, and what was not, closed."""
    sessions = [span["meta"] for span in agent.spans if span["name"] == "pipecat.session"]
    sent = {tags["session_id"]: tags for tags in sessions}
    assert set(over) < set(sent), "a session is lost"
    for session_id, tags in sent.items():
        is_over = session_id in over
        assert tags["session.end_reason"] in (("ended",) if is_over else ("ended", "terminated"))
        trace = trace_of(agent.of(session_id), session_id)
        assert trace is not None
        trace.check()


def test_faults_together_change_nothing_in_what_the_bot_does() -> None:
    together(CELLS, check)
