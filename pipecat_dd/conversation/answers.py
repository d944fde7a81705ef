"""The answers of models, and which of them the user heard.

A model's answer may never reach the user: the slower of two models is dropped, a gate holds speech
back and discards it, or a generation only stated that the user had not finished. So an answer that
is to be spoken counts as completed only once some of its audio has been played.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipecat_dd.conversation.model import Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.names import tags

MAX_FRAMES = 4_096
"""How many frames are remembered with the answer whose text they hold: far more than are in the
pipeline at a time."""

MAX_ANSWERS = 64
"""How many answers are followed at a time. One or two are usual."""


@dataclass(slots=True, eq=False)
class Answer:
    """One answer of a model.

    Attributes:
        stage: The response's stage.
        token_ns: When the first output came that is to be spoken or read; 0 before.
        is_spoken: Whether text has come that is to be spoken.
        is_read: Whether text has come that is only to be read.
        is_speech: Whether the model itself speaks.
        is_voiced: Whether audio of its text was synthesized.
        is_used: Whether it does not need to be spoken to count as completed: it called tools, its
            text was passed to another model, or the voice failed.
        heard_ns: When the first of its audio was played; 0 before.
        turn: The turn that holds it until it is known whether it was played.
    """

    stage: Stage
    token_ns: int = 0
    is_spoken: bool = False
    is_read: bool = False
    is_speech: bool = False
    is_voiced: bool = False
    is_used: bool = False
    heard_ns: int = 0
    turn: Turn | None = None


def is_over(stage: Stage) -> bool:
    """Whether a response or synthesis cannot be played any more: it and its turn have ended."""
    return not stage.is_open and stage.parent is not None and not stage.parent.is_open


class Answers:
    """Follows the answers of one session's models until it is known what came of them."""

    def __init__(
        self, stages: Stages, can_speak: Callable[[], bool], has_output: Callable[[], bool]
    ) -> None:
        """Follow answers.

        Args:
            stages: Closes the stages that were held.
            can_speak: Whether the pipeline has a usable service that synthesizes speech.
            has_output: Whether it has an output whose audio is observed.
        """
        self._stages = stages
        self._can_speak = can_speak
        self._has_output = has_output
        self._of: dict[Stage, Answer] = {}
        self._frames: dict[int, Stage] = {}

    def begin(self, stage: Stage) -> None:
        """Begin to follow the answer of a response."""
        for answer in list(self._of.values()):
            if answer.turn is not None and not answer.turn.stage.is_open:
                del self._of[answer.stage]  # it was sent with its turn
        for frame_id, carried in list(self._frames.items()):
            if is_over(carried):
                del self._frames[frame_id]
        while len(self._of) >= MAX_ANSWERS:
            del self._of[next(iter(self._of))]
        self._of[stage] = Answer(stage)

    def of(self, stage: Stage | None) -> Answer | None:
        """Return the answer of a response; None if it is not followed."""
        return None if stage is None else self._of.get(stage)

    def carry(self, frame_id: int, stage: Stage) -> None:
        """Record that a frame holds text of a response."""
        self._frames[frame_id] = stage
        if len(self._frames) > MAX_FRAMES:
            del self._frames[next(iter(self._frames))]

    def carried_by(self, frame_id: int) -> Stage | None:
        """Return the response whose text a frame holds, if known."""
        return self._frames.get(frame_id)

    def outcome(self, stage: Stage, *, interrupted: bool) -> str | None:
        """Return the outcome of a response that has ended without failing.

        Args:
            stage: The response's stage.
            interrupted: Whether it was cut off.

        Returns:
            ``completed``, ``interrupted`` or ``discarded``; None if that depends on whether the
            answer will be played.
        """
        answer = self._of.get(stage) or Answer(stage)
        must_be_heard = self._must_be_heard(answer)
        if must_be_heard:
            is_heard = bool(answer.heard_ns)
        else:
            is_heard = stage.parent is not None and stage.parent.output_ns is not None
        if interrupted:
            return "interrupted" if is_heard else "discarded"
        if is_heard or not must_be_heard or answer.is_used:
            return "completed"
        return None

    def hold(self, stage: Stage, turn: Turn) -> None:
        """Record which turn holds a response until it is known whether it was played."""
        answer = self._of.get(stage)
        if answer is not None:
            answer.turn = turn

    def release(self, stage: Stage) -> None:
        """Stop following a response whose outcome is known."""
        self._of.pop(stage, None)

    def mark_voiced(self, stages: Iterable[Stage] | None) -> None:
        """Record that audio was synthesized.

        Args:
            stages: The responses whose text it speaks; None if it may be any.
        """
        for stage in list(self._of) if stages is None else stages:
            if (answer := self._of.get(stage)) is not None:
                answer.is_voiced = True

    def mark_heard(self, stages: Iterable[Stage] | None, at_ns: int) -> Answer | None:
        """Record that the first audio of something was played.

        Args:
            stages: The responses that it speaks; None if it may be any.
            at_ns: When it was played.

        Returns:
            The answer that the user begins to hear; None if it is no model's.
        """
        heard = None
        for stage in list(self._of) if stages is None else stages:
            answer = self._of.get(stage)
            if answer is None or answer.heard_ns:
                continue
            if stages is None and not (answer.is_voiced or answer.is_speech):
                continue
            answer.heard_ns = at_ns
            heard = heard or answer
            if answer.turn is not None:
                self._complete(answer, answer.turn)
        return heard

    def mark_used(self, stage: Stage | None = None) -> None:
        """Record that a response had an effect other than speech, or that its speech failed.

        Args:
            stage: The response's stage; None for all whose audio has not been played.
        """
        for answer in list(self._of.values()) if stage is None else filter(None, [self.of(stage)]):
            if not answer.heard_ns:
                answer.is_used = True
                if answer.turn is not None:
                    self._complete(answer, answer.turn)

    def _complete(self, answer: Answer, turn: Turn) -> None:
        stage = answer.stage
        if stage.attributes.get(tags.LLM_OUTCOME) != "discarded" or stage not in turn.held:
            return
        stage.attributes[tags.LLM_OUTCOME] = "completed"
        if stage.attributes.get(tags.LLM_SPECULATIVE) or answer.is_speech:
            return  # more may be reported on it by the turn's end
        turn.release(stage)
        self.release(stage)
        self._stages.close(stage, stage.end_ns if stage.end_ns is not None else stage.start_ns)

    def _must_be_heard(self, answer: Answer) -> bool:
        if answer.is_speech:
            return self._has_output()
        processor = answer.stage.processor
        if processor is not None and processor.has_voice_behind is False:
            return False
        return self._can_speak() and (answer.is_spoken or not answer.is_read)
