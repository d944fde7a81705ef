"""The pipelines of a session's workers, and how each of them ended.

A pipeline ends in order only when the frame that ends it has come out at its end. What was merely
asked for may never happen: a processor keeps the ``EndFrame``, and somebody has to kill the bot.
So the frame is followed from processor to processor, and what became of the pipeline is put
together at the session's end, from what was asked for first and what came of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Stage

ENDED = "ended"
STOPPED = "stopped"
CANCELLED = "cancelled"
FAILED = "failed"
IDLE = "idle_timeout"
LOST = "lost_end"

STARTS = "starts"
"""What the frame is for that starts a pipeline; the others are for how it ends."""


@dataclass(slots=True)
class Hold:
    """A processor's work on a frame that starts or ends the pipeline.

    Attributes:
        processor: The processor.
        frame_class: The frame's class.
        frame_id: Pipecat's id of it.
        direction: Which way it goes.
        start_ns: When the processor began to work on it.
        end_ns: When it had; None while it is at work.
        stage: The stage of that work, where it has one.
        passed_on: Whether the processor has pushed the frame on.
    """

    processor: Processor
    frame_class: str
    frame_id: str
    direction: Any
    start_ns: int
    end_ns: int | None = None
    stage: Stage | None = None
    passed_on: bool = False

    @property
    def is_swallowed(self) -> bool:
        """Whether a processor of the user's is done with the frame and has not passed it on.

        One of Pipecat's own that is done with it keeps it for later (Gemini Live, until the model
        has spoken to its end).
        """
        return self.end_ns is not None and not self.passed_on and self.processor.is_users


@dataclass(slots=True, eq=False)
class Pipeline:
    """The pipeline of one worker.

    Attributes:
        worker: The worker's name; empty where it is not known.
        was_cancelled: Whether the worker was cancelled, by whatever.
        has_transport: Whether it has the input or output of a transport.
        end_is_heard: Whether it is heard what comes out at the pipeline's end; where not, an end
            that was asked for is taken to have come.
        asked: What was asked for first: an end, or what ends it for a reason of its own.
        asked_ns: When.
        came_out: What the frame was for that came out at the pipeline's end.
        failure: The error that brought it down.
        is_given_up: Whether somebody told the worker to cancel, at first or later.
    """

    worker: str
    was_cancelled: Callable[[], bool] = lambda: False
    has_transport: bool = False
    is_end_observed: bool = False
    asked: str | None = None
    asked_ns: int = 0
    came_out: str | None = None
    failure: Failure | None = None
    is_given_up: bool = False
    _holds: "dict[tuple[str, Processor], Hold]" = field(default_factory=dict)

    # The frames that start and end it

    def enter(
        self,
        processor: Processor,
        purpose: str,
        frame: Any,
        direction: Any,
        at_ns: int,
    ) -> None:
        """A frame that starts or ends the pipeline has reached a processor.

        Args:
            processor: The processor.
            purpose: What the frame is for: :data:`STARTS`, ``ended``, ``stopped``, ``cancelled``.
            frame: The frame.
            direction: Which way it goes.
            at_ns: When.
        """
        if purpose != STARTS:
            self.ask(purpose, at_ns)
        if purpose != CANCELLED:
            self._holds.pop((purpose, processor), None)  # the one that had it last comes last
            self._holds[purpose, processor] = Hold(
                processor, type(frame).__name__, str(getattr(frame, "id", "")), direction, at_ns
            )

    def pass_on(self, processor: Processor, purpose: str) -> None:
        """A processor has pushed such a frame on."""
        hold = self._holds.get((purpose, processor))
        if hold is not None:
            hold.passed_on = True

    def leave(self, processor: Processor, purpose: str, stage: Stage | None, at_ns: int) -> None:
        """A processor has done its work on such a frame."""
        hold = self._holds.get((purpose, processor))
        if hold is not None:
            hold.end_ns, hold.stage = at_ns, stage

    def come_out(self, purpose: str, at_ns: int) -> None:
        """Such a frame has come out at the pipeline's end."""
        for key in [key for key in self._holds if key[0] == purpose]:
            del self._holds[key]
        if purpose != STARTS:
            self.ask(purpose, at_ns)
            self.came_out = self.came_out or purpose
            self.is_given_up = self.is_given_up or purpose == CANCELLED

    # What ends it otherwise

    def ask(self, purpose: str, at_ns: int) -> None:
        """An end was asked for, or is to come; what was asked for first stands.

        Args:
            purpose: ``ended``, ``stopped``, ``cancelled``, ``failed`` or ``idle_timeout``.
            at_ns: When.
        """
        if self.asked is None:
            if purpose == FAILED and self.is_given_up:
                purpose = CANCELLED
            self.asked, self.asked_ns = purpose, at_ns

    def fail(self, failure: Failure, at_ns: int) -> None:
        """An error came for which Pipecat ends or cancels the pipeline."""
        self.ask(FAILED, at_ns)
        if self.asked == FAILED and self.failure is None:
            self.failure = failure

    # What became of it

    @property
    def outcome(self) -> str | None:
        """How it ended; None where nothing was heard of an end."""
        if self.asked == FAILED:
            return FAILED
        if self.came_out in (ENDED, STOPPED):
            return self.came_out
        if self.asked in (ENDED, STOPPED) and not self.is_end_observed:
            return self.asked
        lost = self.lost
        if lost is not None and (lost.is_swallowed or self.is_given_up):
            return LOST
        if self.asked == IDLE:
            return IDLE
        return CANCELLED if self.asked == CANCELLED else None

    @property
    def lost(self) -> Hold | None:
        """Who had the frame last that should have ended it, where it has not come out."""
        return self._last(ENDED, STOPPED) if self.came_out in (None, CANCELLED) else None

    @property
    def stuck(self) -> Hold | None:
        """Who had the frame last that should have started it, where it has not come out."""
        return self._last(STARTS)

    def _last(self, *purposes: str) -> Hold | None:
        holds = [hold for key, hold in self._holds.items() if key[0] in purposes]
        # In parallel branches another's may have been the last to have it, and passed it on.
        for kept in (
            [hold for hold in holds if hold.end_ns is not None and not hold.passed_on],
            [hold for hold in holds if hold.end_ns is None],
        ):
            if kept:
                return kept[-1]
        return holds[-1] if holds else None


class Pipelines:
    """The pipelines of a session.

    Attributes:
        all: Each of them, in the order they were found.
        are_several: Whether the conversation has several workers, observed or not.
    """

    def __init__(self) -> None:
        self.all: list[Pipeline] = []
        self.are_several = False

    def add(self, pipeline: Pipeline) -> None:
        """Add a worker's pipeline."""
        self.all.append(pipeline)
        self.are_several = self.are_several or len(self.all) > 1

    def outcome(self, otherwise: str | None, *, was_partly_over: bool) -> str | None:
        """Return how they ended: together, since the session is one.

        Args:
            otherwise: What ended the session, where the pipelines did not: its process.
            was_partly_over: Whether one of them was over before the others.
        """
        outcomes = [(pipeline, pipeline.outcome) for pipeline in self.all]
        found = [outcome for _, outcome in outcomes]
        # A runner cancels what is left of its workers once the conversation has ended.
        for outcome in (LOST, ENDED, STOPPED):
            if outcome in found:
                return outcome
        if otherwise is not None and was_partly_over and None in found:
            return otherwise
        known = [(pipeline, outcome) for pipeline, outcome in outcomes if outcome is not None]
        of_transport = [entry for entry in known if entry[0].has_transport]
        last = max(of_transport or known, key=lambda entry: entry[0].asked_ns, default=None)
        if last is not None:
            return last[1]
        # One that has not started pushes no frame for it. As a process goes, all is cancelled.
        cancelled = any(pipeline.was_cancelled() for pipeline in self.all)
        return CANCELLED if cancelled and otherwise is None else otherwise

    def worker_behind(self, processor: Processor) -> str | None:
        """Return the worker of a processor, where there are several workers."""
        pipeline = processor.pipeline
        return pipeline.worker or None if pipeline is not None and self.are_several else None

    def worker_of(self, stage: Stage, processors: Iterable[Processor]) -> str | None:
        """Return the worker whose stage it is, where there are several workers.

        Args:
            stage: The stage.
            processors: The session's processors: what is heard, and said, is the stage of none
                of them, but the work of the worker that has the transport.
        """
        if not self.are_several:
            return None
        if stage.processor is not None:
            return self.worker_behind(stage.processor)
        roles = _HEARD_BY.get(stage.kind)
        if roles is None:
            return None
        for role in roles:
            workers = {
                processor.pipeline.worker
                for processor in processors
                if processor.role == role and processor.pipeline is not None
            }
            if workers:
                return workers.pop() or None if len(workers) == 1 else None
        return None


_HEARD_BY: dict[Kind, tuple[str, ...]] = {
    Kind.USER_SPEECH: ("input", "stt"),
    Kind.END_OF_TURN: ("input", "stt"),
    Kind.BOT_SPEECH: ("output",),
}
