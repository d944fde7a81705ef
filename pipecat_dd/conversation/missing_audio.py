"""Reports participants who are connected but send no audio."""

from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd.conversation.model import Kind, Phase, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer
from pipecat_dd.names import tags

MISSING_NS = 10_000_000_000
"""How long a participant must have been connected without any audio for a report."""

LOOP_LATE_NS = 1_000_000_000
"""How late a timer must be to show that the event loop has not read what came meanwhile."""

USER_AUDIO_MISSING = "user_audio_missing"
"""The resource of the event that no audio of a participant comes."""


def _ignore(stage: Stage) -> None:
    """Do nothing: the default where nothing writes log lines."""


@dataclass(slots=True)
class Waiting:
    """A participant whose audio is waited for.

    Attributes:
        joined_ns: When they joined.
        timer: Ends the wait.
        due_ns: When it should run out.
    """

    joined_ns: int
    timer: Timer
    due_ns: int


class MissingAudio:
    """Reports that a participant is connected and that no audio has come since.

    Attributes:
        is_expected: Returns whether the bot waits for audio: its transport takes audio in, and
            something in the pipeline listens to it.
        report: Called with the open stage of the event that no audio comes.
    """

    def __init__(
        self,
        stages: Stages,
        start_timer: StartTimer,
        has_come_since: Callable[[int], bool],
        now_ns: Callable[[], int],
        wall_ns: Callable[[], int],
    ) -> None:
        """Follow who is connected.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after a number of seconds.
            has_come_since: Returns whether any audio has come since a time.
            now_ns: Reads the monotonic clock by which audio arrives.
            wall_ns: Reads the clock of the stages' times.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._has_come_since = has_come_since
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self._waiting: dict[Stage, Waiting] = {}
        self._started_ns = 0
        self._typed_ns = 0
        self._missed_ns = 0
        self.is_expected: Callable[[], bool] = lambda: False
        self.report: Callable[[Stage], None] = _ignore

    def start(self) -> None:
        """Record that the pipeline has started: it takes audio in from now on."""
        self._started_ns = self._now_ns()

    def note_message(self) -> None:
        """Record that the user sent a message: they can do without a microphone."""
        self._typed_ns = self._now_ns()

    def join(self, participant: Stage) -> None:
        """Record that a participant has joined, and look later whether audio has come."""
        self._wait(participant, self._now_ns(), MISSING_NS)

    def leave(self, participant: Stage) -> None:
        """Record that a participant has left."""
        waiting = self._waiting.pop(participant, None)
        if waiting is not None:
            waiting.timer.cancel()

    def _wait(self, participant: Stage, joined_ns: int, for_ns: int) -> None:
        timer = self._start_timer(for_ns / 1e9, lambda: self._look(participant))
        self._waiting[participant] = Waiting(joined_ns, timer, self._now_ns() + for_ns)

    def _look(self, participant: Stage) -> None:
        waiting = self._waiting.pop(participant, None)
        if waiting is None or self._stages.session.phase is not Phase.RUNNING:
            return
        now_ns, joined_ns = self._now_ns(), waiting.joined_ns
        waited_ns = now_ns - max(joined_ns, self._started_ns or now_ns)
        if now_ns - waiting.due_ns > LOOP_LATE_NS:
            waited_ns = 0  # the loop stood still, and has not read what came meanwhile
        if waited_ns < MISSING_NS:
            self._wait(participant, joined_ns, MISSING_NS - waited_ns)
            return
        # At the last report they were there already, or they do without a microphone. And if
        # another participant's audio comes, this one may have come to listen.
        is_known = joined_ns <= max(self._missed_ns, self._typed_ns)
        if is_known or self._has_come_since(joined_ns) or not self.is_expected():
            return
        self._missed_ns = now_ns
        self._report()

    def _report(self) -> None:
        session, at_ns = self._stages.session, self._wall_ns()
        session.root.add(tags.SESSION_NO_USER_AUDIO_COUNT, 1)
        stage = self._stages.open(
            Kind.SERVICE_EVENT, USER_AUDIO_MISSING, at_ns, parent=session.stage
        )
        self.report(stage)
        self._stages.close(stage, self._wall_ns())
