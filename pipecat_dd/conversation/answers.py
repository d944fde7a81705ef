"""Answers of models, and which of them the user heard.

A model's answer can come to nothing on its way: the slower of two models is dropped, a gate holds
speech back and throws it away, a generation only said that the user had not finished. So an
answer that is to be spoken counts as completed once some of its audio came out, and not before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipecat_dd.conversation.model import Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.names import tags

MAX_FRAMES = 4_096
"""How many frames are remembered by the answer they hold text of: far more than are on their way
at a time."""

MAX_ANSWERS = 64
"""How many answers are followed at a time. One or two are usual."""


@dataclass(slots=True, eq=False)
class Answer:
    """One answer of a model.

    Attributes:
        stage: Its stage.
        token_ns: When its first output came that is to be spoken or read; 0 before.
        is_spoken: Whether text came that is to be spoken.
        is_read: Whether text came that is only to be read.
        is_speech: Whether the model itself speaks.
        is_voiced: Whether audio of its text was synthesized.
        is_used: Whether something else came of it than speech: it asked for tools, or another
            model was asked with its text. Or the voice failed, and that is what went wrong.
        heard_ns: When the first of it was heard; 0 before.
        turn: The turn it is held in until it is known whether it was heard.
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
    """Whether nothing of a stage is on its way any more: its turn has ended.

    Args:
        stage: The stage of a response or a synthesis.
    """
    return not stage.is_open and stage.parent is not None and not stage.parent.is_open


class Answers:
    """Follows the answers of one session's models until it is known what became of them."""

    def __init__(
        self, stages: Stages, can_speak: Callable[[], bool], has_output: Callable[[], bool]
    ) -> None:
        """Follow answers.

        Args:
            stages: Closes what was held.
            can_speak: Whether the pipeline has a voice that works.
            has_output: Whether it has an output that audio is known to arrive at.
        """
        self._stages = stages
        self._can_speak = can_speak
        self._has_output = has_output
        self._of: dict[Stage, Answer] = {}
        self._frames: dict[int, Stage] = {}

    def begin(self, stage: Stage) -> None:
        """Follow a response that has begun.

        Args:
            stage: Its stage.
        """
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
        """Return what is known of a response's answer.

        Args:
            stage: The response's stage.
        """
        return None if stage is None else self._of.get(stage)

    def carry(self, frame_id: int, stage: Stage) -> None:
        """Note that a frame holds text of a response.

        Args:
            frame_id: The frame's id.
            stage: The response's stage.
        """
        self._frames[frame_id] = stage
        if len(self._frames) > MAX_FRAMES:
            del self._frames[next(iter(self._frames))]

    def carried_by(self, frame_id: int) -> Stage | None:
        """Return the response that a frame holds text of, if that is known.

        Args:
            frame_id: The frame's id.
        """
        return self._frames.get(frame_id)

    def outcome(self, stage: Stage, *, interrupted: bool) -> str | None:
        """Return what became of a response that has ended without failing.

        Args:
            stage: Its stage.
            interrupted: Whether it was cut off.

        Returns:
            None where that depends on whether it will be heard.
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
        """Note in which turn a response that has ended waits to be heard.

        Args:
            stage: Its stage.
            turn: The turn.
        """
        answer = self._of.get(stage)
        if answer is not None:
            answer.turn = turn

    def let_go(self, stage: Stage) -> None:
        """Forget a response of which everything is known.

        Args:
            stage: Its stage.
        """
        self._of.pop(stage, None)

    def voice(self, stages: Iterable[Stage] | None) -> None:
        """Audio was synthesized.

        Args:
            stages: The responses whose text it speaks; None where it may be any's.
        """
        for stage in list(self._of) if stages is None else stages:
            if (answer := self._of.get(stage)) is not None:
                answer.is_voiced = True

    def hear(self, stages: Iterable[Stage] | None, at_ns: int) -> Answer | None:
        """The first audio of something came out.

        Args:
            stages: The responses it speaks; None where that is not known, and it may be any.
            at_ns: When.

        Returns:
            The answer that is heard, where it is one.
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

    def use(self, stage: Stage | None = None) -> None:
        """Something else than speech comes of a response, or its speech failed.

        Args:
            stage: Its stage; None for all that are not heard.
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
            return  # more may be known of it by the turn's end
        turn.release(stage)
        self.let_go(stage)
        self._stages.close(stage, stage.end_ns if stage.end_ns is not None else stage.start_ns)

    def _must_be_heard(self, answer: Answer) -> bool:
        if answer.is_speech:
            return self._has_output()
        processor = answer.stage.processor
        if processor is not None and processor.has_voice_behind is False:
            return False
        return self._can_speak() and (answer.is_spoken or not answer.is_read)
