"""The pipelines of a session's workers, and how each of them ended.

A pipeline ends in order only when the frame that ends it has passed all its processors. An end that
was merely requested may never come: a processor keeps the ``EndFrame``, and the bot has to be
killed. So the frame is followed from processor to processor. At the session's end, the outcome is
derived from what was requested first and what came of it.
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
"""The purpose of the frame that starts a pipeline; the purpose of the others is how it ends."""


@dataclass(slots=True)
class Hold:
    """A processor's work on a frame that starts or ends the pipeline.

    Attributes:
        processor: The processor.
        frame_class: The frame's class.
        frame_id: Pipecat's id for the frame.
        direction: The direction the frame travels in.
        start_ns: When the processor began to process it.
        end_ns: When the processor was done; None while it is not.
        stage: The stage of that work, if it has one.
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
        """Whether the processor is the user's, is done with the frame and has not pushed it on.

        One of Pipecat's own processors that does this keeps the frame for later (Gemini Live,
        until the model has finished speaking).
        """
        return self.end_ns is not None and not self.passed_on and self.processor.is_users


@dataclass(slots=True, eq=False)
class Pipeline:
    """The pipeline of one worker.

    Attributes:
        worker: The worker's name; empty if not known.
        was_cancelled: Whether the worker was cancelled, for whatever reason.
        has_transport: Whether the pipeline contains the input or output of a transport.
        is_end_observed: Whether the frames that reach the pipeline's end are observed. If not, an
            end that was requested is taken to have come.
        asked: The purpose that was requested first: an end, or another reason for ending.
        asked_ns: When that was requested.
        came_out: The purpose of the first frame that reached the pipeline's end; None before.
        failure: The error that ended it, if one did.
        is_given_up: Whether the worker was asked to cancel, at first or later.
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
        """Record that a frame that starts or ends the pipeline has reached a processor.

        Args:
            processor: The processor.
            purpose: The frame's purpose: :data:`STARTS`, ``ended``, ``stopped`` or ``cancelled``.
            frame: The frame.
            direction: The direction the frame travels in.
            at_ns: When it reached the processor.
        """
        if purpose != STARTS:
            self.ask(purpose, at_ns)
        if purpose != CANCELLED:
            self._holds.pop((purpose, processor), None)  # so that the latest comes last
            self._holds[purpose, processor] = Hold(
                processor, type(frame).__name__, str(getattr(frame, "id", "")), direction, at_ns
            )

    def pass_on(self, processor: Processor, purpose: str) -> None:
        """Record that a processor has pushed such a frame on."""
        hold = self._holds.get((purpose, processor))
        if hold is not None:
            hold.passed_on = True

    def leave(self, processor: Processor, purpose: str, stage: Stage | None, at_ns: int) -> None:
        """Record that a processor is done with such a frame."""
        hold = self._holds.get((purpose, processor))
        if hold is not None:
            hold.end_ns, hold.stage = at_ns, stage

    def come_out(self, purpose: str, at_ns: int) -> None:
        """Record that such a frame has reached the pipeline's end."""
        for key in [key for key in self._holds if key[0] == purpose]:
            del self._holds[key]
        if purpose != STARTS:
            self.ask(purpose, at_ns)
            self.came_out = self.came_out or purpose
            self.is_given_up = self.is_given_up or purpose == CANCELLED

    # What ends it otherwise

    def ask(self, purpose: str, at_ns: int) -> None:
        """Record that an end was requested, or is to come; the first request stands.

        Args:
            purpose: ``ended``, ``stopped``, ``cancelled``, ``failed`` or ``idle_timeout``.
            at_ns: When it was requested.
        """
        if self.asked is None:
            if purpose == FAILED and self.is_given_up:
                purpose = CANCELLED
            self.asked, self.asked_ns = purpose, at_ns

    def fail(self, failure: Failure, at_ns: int) -> None:
        """Record an error for which Pipecat ends or cancels the pipeline."""
        self.ask(FAILED, at_ns)
        if self.asked == FAILED and self.failure is None:
            self.failure = failure

    # What became of it

    @property
    def outcome(self) -> str | None:
        """How the pipeline ended; None if no end was observed."""
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
        """The last holder of the frame that should have ended the pipeline but got lost."""
        return self._last(ENDED, STOPPED) if self.came_out in (None, CANCELLED) else None

    @property
    def stuck(self) -> Hold | None:
        """The last holder of the frame that should have started the pipeline but got lost."""
        return self._last(STARTS)

    def _last(self, *purposes: str) -> Hold | None:
        holds = [hold for key, hold in self._holds.items() if key[0] in purposes]
        # With parallel branches, the latest holder may have pushed the frame on while another one
        # keeps it.
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
        all: The pipelines, in the order in which they were found.
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
        """Return how the pipelines ended, as one outcome for the session.

        Args:
            otherwise: What ended the session if no pipeline did: its process or its observer.
            was_partly_over: Whether one of the pipelines was over before the others.
        """
        outcomes = [(pipeline, pipeline.outcome) for pipeline in self.all]
        found = [outcome for _, outcome in outcomes]
        # A runner cancels its remaining workers once the conversation has ended.
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
        # A pipeline that has not started pushes no frame when it is cancelled. At the end of a
        # process everything is cancelled, which says nothing.
        cancelled = any(pipeline.was_cancelled() for pipeline in self.all)
        return CANCELLED if cancelled and otherwise is None else otherwise

    def worker_behind(self, processor: Processor) -> str | None:
        """Return the name of a processor's worker, if there are several workers."""
        pipeline = processor.pipeline
        return pipeline.worker or None if pipeline is not None and self.are_several else None

    def worker_of(self, stage: Stage, processors: Iterable[Processor]) -> str | None:
        """Return the name of a stage's worker, if there are several workers.

        Args:
            stage: The stage.
            processors: The session's processors. Speech is no processor's stage; it belongs to
                the worker that has the transport.
        """
        if not self.are_several:
            return None
        if stage.processor is not None:
            return self.worker_behind(stage.processor)
        roles = _SOUND_OF.get(stage.kind)
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


_SOUND_OF: dict[Kind, tuple[str, ...]] = {
    Kind.USER_SPEECH: ("input", "stt"),
    Kind.END_OF_TURN: ("input", "stt"),
    Kind.BOT_SPEECH: ("output",),
}
