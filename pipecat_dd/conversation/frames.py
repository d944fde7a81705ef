"""Frame processing: what is counted, and what gets a stage of its own.

All frame processing is counted. A stage costs more than most processing does, so by default
processing gets one only if it is notable: it was slow, it failed, a log line was written or a span
opened in it, or the processor is the user's own and the frame carries data. Frames that come many
times a second (audio, video, the tokens of a response) are combined: one stage for a run of them.
"""

from dataclasses import dataclass
from typing import Any

from pipecat_dd.conversation.context import FrameProcessing
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Phase, Processor, Session, Stage
from pipecat_dd.conversation.pipelines import Hold
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer
from pipecat_dd.names import tags
from pipecat_dd.settings import FrameSpans

RUN_GAP_NS = 1_000_000_000
"""How long a run may go without a frame of its class before it ends."""
RUN_LENGTH_NS = 10_000_000_000
"""How long a run may be. A longer one is reported in parts."""
_LOOK_SECS = RUN_GAP_NS / 1e9 / 2
_IDLE_LOOKS = 2
"""How often to look for runs that have ended, and after how many looks without a frame one has."""


@dataclass(slots=True)
class FrameRun:
    """A run: frames of one class that one processor processed one after another."""

    processor: Processor
    frame_class: str
    direction: Any
    start_ns: int
    last_ns: int
    count: int = 1
    looks: int = 0
    """How often it was looked at since its last frame."""


class FrameWork:
    """Counts the frame processing of a session, and opens stages for what needs one.

    Attributes:
        mode: Which processing gets a stage of its own.
        slow_ns: How long processing takes before it counts as slow.
    """

    def __init__(
        self, stages: Stages, start_timer: StartTimer, mode: FrameSpans, slow_ns: int
    ) -> None:
        """Count frame processing.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after a number of seconds.
            mode: Which processing gets a stage of its own.
            slow_ns: How long processing takes before it counts as slow, in nanoseconds.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._timer: Timer | None = None
        self._runs: dict[tuple[Processor, str], FrameRun] = {}
        self.mode = mode
        self.slow_ns = slow_ns

    @property
    def session(self) -> Session:
        """The session whose processing is counted."""
        return self._stages.session

    def takes_all_of(self, processor: Processor) -> bool:
        """Whether every frame that a processor processes gets a stage, alone or in a run."""
        return self.mode is FrameSpans.ALL or (
            self.mode is FrameSpans.NOTABLE and processor.is_users
        )

    def stage_of(self, processing: FrameProcessing, parent: Stage) -> Stage | None:
        """Open a stage for the processing of a frame; return None where frames get none."""
        processor = processing.processor
        over = self.session.phase is not Phase.RUNNING
        if over or processor is None or self.mode is FrameSpans.OFF:
            return None
        stage = self._open(processor, processing.frame_class, processing.start_ns, parent)
        if processing.participant is not None:
            stage.assign_participant(processing.participant.id or None)
        stage.attributes[tags.FRAME_ID] = str(getattr(processing.frame, "id", ""))
        stage.attributes[tags.FRAME_DIRECTION] = _name(processing.direction)
        stage.attributes[tags.FRAME_COUNT] = 1
        return stage

    def passed(
        self, processor: Processor, frame_class: str, direction: Any, at_ns: int, end_ns: int
    ) -> None:
        """Record that a processor processed a frame of a class that comes in runs.

        Args:
            processor: The processor.
            frame_class: The frame's class.
            direction: The direction the frame travels in.
            at_ns: When the processor began to process it.
            end_ns: When the processor was done.
        """
        key = (processor, frame_class)
        run = self._runs.get(key)
        if run is not None:
            if at_ns - run.last_ns <= RUN_GAP_NS and end_ns - run.start_ns <= RUN_LENGTH_NS:
                run.count += 1
                run.looks = 0
                run.last_ns = end_ns
                if run.direction != direction:
                    run.direction = None
                return
            self._end(run)
        self._runs[key] = FrameRun(processor, frame_class, direction, at_ns, end_ns)
        if self._timer is None:
            self._timer = self._start_timer(_LOOK_SECS, self._end_idle)

    def fail(self, processor: Processor, where: str, failure: Failure, at_ns: int) -> None:
        """Record that a processor failed while it had no stage open.

        Args:
            processor: The processor.
            where: The frame's class, or what the processor was doing.
            failure: What went wrong.
            at_ns: When it failed.
        """
        if self.mode is not FrameSpans.OFF:
            stage = self._open(processor, where, at_ns, self.session.stage)
            stage.attributes[tags.FRAME_COUNT] = 0
            stage.fail(failure)
            self._stages.close(stage, at_ns)

    def report_lost_end(self, hold: Hold, at_ns: int) -> None:
        """Report the processor that last held a frame which never reached the pipeline's end.

        Args:
            hold: Its work on the frame; this gets a stage if it has none.
            at_ns: The session's end, which also ends work in progress.
        """
        if self.mode is FrameSpans.OFF or hold.stage is not None:
            return
        root = self.session.root
        stage = self._open(hold.processor, hold.frame_class, hold.start_ns, root)
        stage.attributes[tags.FRAME_ID] = hold.frame_id
        stage.attributes[tags.FRAME_DIRECTION] = _name(hold.direction)
        stage.attributes[tags.FRAME_COUNT] = 1
        self._stages.close(stage, at_ns if hold.end_ns is None else hold.end_ns)

    def gather(self, turn: Stage | None) -> None:
        """Record what the processors did since the last call, and end the runs in progress.

        Args:
            turn: The turn they did it in; None if no turn was open.
        """
        for run in list(self._runs.values()):
            self._end(run, turn)
        self._runs.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        root = self.session.root
        for processor in self.session.processors.values():
            if processor.frames == 0:
                continue
            for stage in (root, turn) if turn is not None else (root,):
                key = processor.key
                stage.add(tags.processor_frames(key), processor.frames)
                stage.add(tags.processor_busy_ms(key), processor.busy_ns / 1e6)
                longest_ms = tags.processor_longest_ms(key)
                longest = stage.attributes.get(longest_ms, 0)
                assert isinstance(longest, (int, float))
                stage.attributes[longest_ms] = max(longest, processor.longest_ns / 1e6)
            processor.frames = processor.busy_ns = processor.longest_ns = 0

    def _end_idle(self) -> None:
        """End the runs that have had no frame for long: no later one may come to end them."""
        self._timer = None
        for run in list(self._runs.values()):
            run.looks += 1
            if run.looks > _IDLE_LOOKS:
                self._end(run)
        if self._runs:
            self._timer = self._start_timer(_LOOK_SECS, self._end_idle)

    def _end(self, run: FrameRun, turn: Stage | None = None) -> None:
        self._runs.pop((run.processor, run.frame_class), None)
        stage = self._open(run.processor, run.frame_class, run.start_ns, turn or self.session.stage)
        if run.direction is not None:
            stage.attributes[tags.FRAME_DIRECTION] = _name(run.direction)
        stage.attributes[tags.FRAME_COUNT] = run.count
        self._stages.close(stage, run.last_ns)

    def _open(self, processor: Processor, frame_class: str, start_ns: int, parent: Stage) -> Stage:
        if start_ns < parent.start_ns:
            parent = self.session.root  # a turn that began later is not its parent
        stage = self._stages.open(
            Kind.FRAME,
            f"{processor.class_name} {frame_class}",
            start_ns,
            parent=parent,
            processor=processor,
        )
        stage.attributes[tags.FRAME_CLASS] = frame_class
        return stage


def _name(direction: Any) -> str:
    return str(getattr(direction, "name", direction)).lower()
