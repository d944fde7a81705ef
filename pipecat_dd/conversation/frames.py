"""Processors at work on frames: what is counted, and what is worth a stage of its own.

Every visit of a frame to a processor is counted. A stage of its own costs more than the visit,
so by default a visit gets one only when something happened in it: it was slow, it failed, a line
was written or a span opened in it, or the processor is the user's own and the frame carries
data. Frames that come many a second (audio, video, the tokens of a response) are taken
together: one stage for a run of them.
"""

from dataclasses import dataclass
from typing import Any

from pipecat_dd.conversation.context import FrameProcessing
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Phase, Processor, Session, Stage
from pipecat_dd.conversation.pipelines import Hold
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.names import tags
from pipecat_dd.settings import FrameSpans

RUN_GAP_NS = 1_000_000_000
"""How long without a frame of its class ends a run."""
RUN_LENGTH_NS = 10_000_000_000
"""How long a run may be: a part of it is sent while it goes on."""


@dataclass(slots=True)
class FrameRun:
    """Frames of one class that one processor worked on, one after another."""

    processor: Processor
    frame_class: str
    direction: Any
    start_ns: int
    last_ns: int
    count: int = 1


class FrameWork:
    """Counts the visits of a session, and gives stages to those that need one.

    Attributes:
        mode: Which visits get a stage of their own.
        slow_ns: How long a visit takes for that to be notable.
    """

    def __init__(self, stages: Stages, mode: FrameSpans, slow_ns: int) -> None:
        """Count visits.

        Args:
            stages: Opens and closes stages.
            mode: Which visits get a stage of their own.
            slow_ns: How long a visit takes for that to be notable, in nanoseconds.
        """
        self._stages = stages
        self._runs: dict[tuple[Processor, str], FrameRun] = {}
        self.mode = mode
        self.slow_ns = slow_ns

    @property
    def session(self) -> Session:
        """The session whose visits they are."""
        return self._stages.session

    def takes_all_of(self, processor: Processor) -> bool:
        """Whether each visit to a processor gets a stage, alone or in a run.

        Args:
            processor: The processor.
        """
        return self.mode is FrameSpans.ALL or (
            self.mode is FrameSpans.NOTABLE and processor.is_users
        )

    def stage_of(self, processing: FrameProcessing, parent: Stage) -> Stage | None:
        """Give a visit a stage of its own; None where frames have none.

        Args:
            processing: The visit.
            parent: What it is part of.
        """
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
        """One of many frames of a class passed through a processor.

        Args:
            processor: The processor.
            frame_class: The frames' class.
            direction: Which way it went.
            at_ns: When the processor began to work on it.
            end_ns: When it had.
        """
        key = (processor, frame_class)
        run = self._runs.get(key)
        if run is not None:
            if at_ns - run.last_ns <= RUN_GAP_NS and end_ns - run.start_ns <= RUN_LENGTH_NS:
                run.count += 1
                run.last_ns = end_ns
                if run.direction != direction:
                    run.direction = None
                return
            self._end(run)
        self._runs[key] = FrameRun(processor, frame_class, direction, at_ns, end_ns)

    def fail(self, processor: Processor, where: str, failure: Failure, at_ns: int) -> None:
        """A processor failed while it was at work on nothing that has a stage.

        Args:
            processor: The processor.
            where: What it failed in, or reported it by.
            failure: What went wrong.
            at_ns: When.
        """
        if self.mode is not FrameSpans.OFF:
            stage = self._open(processor, where, at_ns, self.session.stage)
            stage.attributes[tags.FRAME_COUNT] = 0
            stage.fail(failure)
            self._stages.close(stage, at_ns)

    def report_lost_end(self, hold: Hold, at_ns: int) -> None:
        """A processor had a frame last that should have come out at the pipeline's end.

        Args:
            hold: Its work on the frame, which gets a stage if it has none.
            at_ns: When the session ends, and with it work that goes on.
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
        """Note what the processors did since last time, and end the runs that go on.

        Args:
            turn: The turn they did it in, if in one.
        """
        for run in list(self._runs.values()):
            self._end(run, turn)
        self._runs.clear()
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

    def _end(self, run: FrameRun, turn: Stage | None = None) -> None:
        self._runs.pop((run.processor, run.frame_class), None)
        stage = self._open(run.processor, run.frame_class, run.start_ns, turn or self.session.stage)
        if run.direction is not None:
            stage.attributes[tags.FRAME_DIRECTION] = _name(run.direction)
        stage.attributes[tags.FRAME_COUNT] = run.count
        self._stages.close(stage, run.last_ns)

    def _open(self, processor: Processor, frame_class: str, start_ns: int, parent: Stage) -> Stage:
        if start_ns < parent.start_ns:
            parent = (
                self.session.root
            )  # the turn that has begun meanwhile is not what it is part of
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
