"""Records blocks of the event loop: how long a session waited, and what its own code blocked.

One loop serves many sessions. Code that blocks it belongs to one of them, or to none; all of them
wait until it turns again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pipecat_dd._phone_patterns import without_long_numbers
from pipecat_dd.conversation.context import FrameProcessing, WorkContext
from pipecat_dd.conversation.model import Kind, Phase, Session, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.names import tags


class Cause(StrEnum):
    """What blocked an event loop."""

    CODE = "code"
    IMPORT = "import"
    GARBAGE_COLLECTION = "garbage_collection"
    NOT_RUNNING = "not_running"


@dataclass(frozen=True, slots=True)
class Block:
    """A time for which an event loop stood still.

    Attributes:
        start_ns: When it stopped turning, in nanoseconds since the epoch.
        end_ns: When it turned again.
        cause: What blocked it.
        place: The function that did, as module and function; None if it is not known.
        location: Its file and line.
        stack: The calls that led there, as text.
        task: The name of the task; None for a callback.
        cpu_seconds: How long the loop's thread used the CPU; None if that is not known.
        gc_seconds: How long garbage was collected.
        importing: The module that was being imported; None for none.
    """

    start_ns: int
    end_ns: int
    cause: Cause
    place: str | None = None
    location: str | None = None
    stack: str | None = None
    task: str | None = None
    cpu_seconds: float | None = None
    gc_seconds: float = 0.0
    importing: str | None = None

    @property
    def secs(self) -> float:
        """How long it was, in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


UNCERTAIN_SECS = 0.0125
"""How exactly it is known when a loop stopped turning."""

MAX_STANDSTILLS = 64
"""How many of the latest are remembered, to tell what came late from what was read late."""

MAX_BLOCKS = 1_000
"""How many of the latest are remembered for the turns that they were in."""

Listener = Callable[[float, Cause], None]
"""Called with how long a loop stood still, in seconds, and why, in the loop's own thread."""

listeners: list[Listener] = []
"""Called once for each block, however many sessions wait for the loop."""


class Blocking:
    """A session's part in the blocking of its event loop.

    Attributes:
        session: The session.
        min_secs: How long the loop must stand still for it to count; 0 means that it never does.
        leave: Called at the session's end: the loop is no longer watched for it.
        look: Reports a block that goes on, or that the loop has not come to report.
    """

    def __init__(
        self,
        stages: Stages,
        stage_of: Callable[[FrameProcessing], Stage | None],
        min_secs: float,
    ) -> None:
        """Follow what a session's event loop does to it.

        Args:
            stages: Opens stages.
            stage_of: Gives frame processing a stage of its own, where frames get one.
            min_secs: How long the loop must stand still for it to count; 0 turns this off.
        """
        self._stages = stages
        self._stage_of = stage_of
        self.session: Session = stages.session
        self.min_secs = min_secs
        self.leave: Callable[[], None] | None = None
        self.look: Callable[[], None] | None = None
        self._standstills: deque[tuple[int, int]] = deque(maxlen=MAX_STANDSTILLS)
        self._blocks: deque[tuple[int, int]] = deque(maxlen=MAX_BLOCKS)

    def begin(
        self, block: Block, work: WorkContext, open_then: Stage | None, around: Stage
    ) -> Stage | None:
        """Open a stage for code of this session that blocked the loop.

        The stage that it ran in may have ended since, in the same step: it is the parent all the
        same, and the blocking lies within it.

        Args:
            block: The block.
            work: The work context of the code.
            open_then: The innermost stage that was open there; None if a frame was being processed
                that had no stage of its own.
            around: The turn or the session at that time.

        Returns:
            The open stage; None if the session does not count it, or has ended.
        """
        if self.session.phase is not Phase.RUNNING or not self.counts(block.secs):
            return None
        parent = open_then
        if parent is None and isinstance(work, FrameProcessing):
            parent = work.stage
            if parent is None and not work.done:
                parent = self._stage_of(work)
        stage = self._stages.open(
            Kind.BLOCKED,
            block.place or block.cause,
            block.start_ns,
            parent=parent or around,
            processor=work.processor,
            aside=True,
        )
        if work.participant is not None:
            stage.assign_participant(work.participant.id or None)
        stage.set(tags.BLOCKED_CAUSE, block.cause.value)
        stage.set(tags.BLOCKED_LOCATION, block.location)
        stage.set(tags.BLOCKED_STACK, block.stack)
        if block.task is not None:
            # A program may name a task after the caller.
            stage.set(tags.BLOCKED_TASK, without_long_numbers(block.task))
        stage.set(tags.BLOCKED_IMPORT, block.importing)
        stage.set(tags.BLOCKED_CPU_SECONDS, block.cpu_seconds)
        stage.set(tags.BLOCKED_GC_SECONDS, block.gc_seconds or None)
        return stage

    def end(self, stage: Stage, at_ns: int) -> None:
        """End such a stage, no later than the stage that it is part of.

        Args:
            stage: What :meth:`begin` returned.
            at_ns: When the loop turned again.
        """
        above = stage.parent
        if above is not None and above.end_ns is not None:
            at_ns = min(at_ns, above.end_ns)
        self._stages.close(stage, at_ns)

    def counts(self, secs: float) -> bool:
        """Whether the session counts it that its loop stood still for so long."""
        uncertain_secs = min(UNCERTAIN_SECS, self.min_secs / 8)
        return bool(self.min_secs) and secs >= self.min_secs - uncertain_secs

    def note_standstill(self, start_ns: int, end_ns: int) -> None:
        """Remember that the session's loop did not turn, whatever the cause.

        Args:
            start_ns: When it stopped turning.
            end_ns: When it turned again.
        """
        self._standstills.append((start_ns, end_ns))

    def was_standing_between(self, start_ns: int, end_ns: int) -> bool:
        """Whether the session's loop did not turn at some moment between two times.

        Args:
            start_ns: The earlier time.
            end_ns: The later time.
        """
        return any(began < end_ns and ended > start_ns for began, ended in self._standstills)

    def suffer(self, start_ns: int, end_ns: int) -> None:
        """Count a block of the session's loop, by whichever session's code.

        Args:
            start_ns: When the loop stopped turning.
            end_ns: When it turned again.
        """
        root = self.session.root
        secs = (end_ns - max(start_ns, root.start_ns)) / 1e9
        if self.session.phase is not Phase.RUNNING or not self.counts(secs):
            return
        root.add(tags.SESSION_BLOCKED_COUNT, 1)
        root.add(tags.SESSION_BLOCKED_SECONDS, secs)
        longest = root.attributes.get(tags.SESSION_LONGEST_BLOCKED_SECONDS)
        if not isinstance(longest, float) or secs > longest:
            root.set(tags.SESSION_LONGEST_BLOCKED_SECONDS, secs)
        self._blocks.append((start_ns, end_ns))

    def settle(self, turn: Stage) -> None:
        """Record on a turn how long the loop was blocked in it.

        Only now is it known when the turn began and ended: it may have begun with a speech that
        was noticed after the loop had turned again, and ended seconds ago.

        Args:
            turn: The turn, which has ended.
        """
        if self.look is not None:
            self.look()
        until_ns = turn.end_ns or 0
        found_ns = 0
        for start_ns, end_ns in self._blocks:
            within_ns = min(end_ns, until_ns) - max(start_ns, turn.start_ns)
            if within_ns >= UNCERTAIN_SECS * 1e9:
                found_ns += within_ns
        turn.set(tags.TURN_BLOCKED_SECONDS, found_ns / 1e9 or None)
        # The next turn begins no earlier.
        while self._blocks and self._blocks[0][1] <= until_ns:
            self._blocks.popleft()

    def miss(self, secs: float) -> None:
        """Count a time in which the process did not run.

        Args:
            secs: How long it was.
        """
        if self.session.phase is Phase.RUNNING and self.counts(secs):
            self.session.root.add(tags.SESSION_NOT_RUNNING_SECONDS, secs)
