"""Syntheses of speech, and what of them comes out.

Audio goes from the synthesis through whatever stands behind it to the output, which plays one
answer after another. That it arrives there, and is played, says which answer the user hears.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd.conversation.answers import Answer, Answers, is_over
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

MAX_KNOWN = 256
"""How many syntheses are known by their context's id after they have ended. Their audio may still
be on its way to the output then."""


@dataclass(slots=True, eq=False)
class Synthesis:
    """One synthesis.

    Attributes:
        stage: Its stage.
        answers: The responses whose text it speaks; None where that is not known.
        is_backchannel: Whether it is said while the user goes on, and answers nothing.
    """

    stage: Stage
    answers: list[Stage] | None
    is_backchannel: bool = False


class Syntheses:
    """Follows the syntheses of one session."""

    def __init__(
        self,
        stages: Stages,
        turns: Turns,
        answers: Answers,
        close: Callable[[Stage, int], None],
        has_output: Callable[[], bool],
    ) -> None:
        """Follow syntheses.

        Args:
            stages: Opens and closes stages.
            turns: The turns they are part of.
            answers: The answers they speak.
            close: Closes the stage of one.
            has_output: Whether audio is known to arrive at an output.
        """
        self._stages = stages
        self._voiced: Synthesis | None = None
        self._turns = turns
        self._answers = answers
        self._close = close
        self._has_output = has_output
        self._open: dict[tuple[Processor, str], Stage] = {}
        self._known: dict[str, Synthesis] = {}
        # Had synthesized by something else than the service: part of the conversation only once
        # their audio comes out.
        self._aside: dict[str, tuple[Processor, int, str]] = {}
        self._late: list[Stage] = []
        # What has arrived at the output and is not heard yet: from which second of what has.
        self._queued: deque[tuple[float, Synthesis | None]] = deque()
        self._last: Synthesis | None = None
        self._arrived_secs = self._written_secs = 0.0

    @property
    def open(self) -> list[Stage]:
        """The syntheses that go on."""
        return list(self._open.values())

    def begin(
        self,
        processor: Processor,
        at_ns: int,
        context_id: str,
        answers: list[Stage] | None = None,
    ) -> Stage:
        """Text is handed to synthesis; the first of a context begins its stage.

        Args:
            processor: The service.
            at_ns: When.
            context_id: Pipecat's id of what is spoken as one.
            answers: The responses whose text it is: none where it is no model's; None where
                that is not known.
        """
        stage = self._open.get((processor, context_id))
        if stage is not None and stage.is_open:
            known = self._known.get(context_id)
            if known is not None and known.stage is stage:
                self._add(known, answers)
            return stage
        turn = self._turn(at_ns)
        turn.set_first_text(at_ns)
        stage = self._stages.open_service(Kind.TTS, processor, at_ns, turn.stage)
        self._open[processor, context_id] = stage
        self._know(context_id, Synthesis(stage, answers if answers is None else list(answers)))
        self._turns.begin_work(turn, stage)
        return stage

    def begin_backchannel(self, processor: Processor, at_ns: int, context_id: str) -> Stage:
        """A backchannel is handed to synthesis: said while the user goes on, it answers nothing.

        Args:
            processor: The service.
            at_ns: When.
            context_id: Pipecat's id of what is spoken as one.
        """
        stage = self._open.get((processor, context_id))
        if stage is not None and stage.is_open:
            return stage
        stage = self._stages.open_service(Kind.TTS, processor, at_ns, self._stages.session.stage)
        self._open[processor, context_id] = stage
        self._know(context_id, Synthesis(stage, [], is_backchannel=True))
        return stage

    def is_backchannel(self, synthesis: Synthesis | None) -> bool:
        """Whether what is heard is a backchannel.

        Args:
            synthesis: What is heard; None where that is not known, and what came last is.
        """
        found = self._voiced if synthesis is None else synthesis
        return found is not None and found.is_backchannel

    def begin_aside(self, processor: Processor, at_ns: int, context_id: str, text: str) -> None:
        """Something else than the service has it synthesize, to warm it up or for a cache.

        Args:
            processor: The service.
            at_ns: When.
            context_id: The id that what is spoken was given.
            text: What is to be spoken.
        """
        self._aside[context_id] = processor, at_ns, text
        if len(self._aside) > MAX_KNOWN:
            del self._aside[next(iter(self._aside))]

    def output(
        self, processor: Processor, at_ns: int, context_id: str | None, seconds: float
    ) -> None:
        """Synthesized audio came.

        Args:
            processor: The service.
            at_ns: When.
            context_id: What it belongs to, where the service says so.
            seconds: How much audio.
        """
        stage = self._stage(processor, context_id)
        if stage is None:
            return
        if stage.output_ns is None:
            stage.output_ns = at_ns
            processor.is_usable = True
            turn = self._turns.current
            synthesis = self._voiced = self._synthesis(stage)
            if turn is not None and not self.is_backchannel(synthesis):
                turn.set_first_audio(at_ns)
            answers = None if synthesis is None else synthesis.answers
            self._answers.voice(answers)
            if not self._has_output():
                self._answers.hear(answers, at_ns)
        stage.add(tags.TTS_AUDIO_SECONDS, seconds)

    def end(self, processor: Processor, at_ns: int, context_id: str | None) -> None:
        """A synthesis is complete.

        Args:
            processor: The service.
            at_ns: When.
            context_id: What it belongs to, where the service says so.
        """
        stage = self._stage(processor, context_id)
        if stage is not None:
            self.stop(stage, at_ns)

    def stop(self, stage: Stage, at_ns: int) -> None:
        """A synthesis ended, failed or was cut off.

        Args:
            stage: Its stage.
            at_ns: When.
        """
        for key, open_stage in list(self._open.items()):
            if open_stage is stage:
                del self._open[key]
        self._close(stage, at_ns)

    # What comes out

    def arrive(self, context_id: str | None, seconds: float, at_ns: int) -> None:
        """Audio has arrived at the output, to be played after what is there already.

        Args:
            context_id: What it belongs to, where that is known.
            seconds: How much audio.
            at_ns: When.
        """
        synthesis = self._known.get(context_id or "") or self._begin_late(context_id, at_ns)
        if synthesis is not None:
            self._turns.confirm(synthesis.stage)
        if synthesis is not self._last or self._arrived_secs == 0:
            self._queued.append((self._arrived_secs, synthesis))
            self._last = synthesis
        self._arrived_secs += seconds
        if synthesis is not None and synthesis.stage in self._late:
            synthesis.stage.add(tags.TTS_AUDIO_SECONDS, seconds)

    def start_playing(self, at_ns: int) -> tuple[Synthesis | None, Answer | None]:
        """The bot begins to be heard: return what it says, and the answer that is."""
        synthesis = self._queued.popleft()[1] if self._queued else None
        return synthesis, self._hear(synthesis, at_ns)

    def write(self, seconds: float, at_ns: int) -> list[tuple[Synthesis | None, Answer | None]]:
        """Audio was written to the transport; return what began to be heard with it.

        Args:
            seconds: How much of it.
            at_ns: When.
        """
        self._written_secs += seconds
        begun = []
        while self._queued and self._queued[0][0] < self._written_secs:
            synthesis = self._queued.popleft()[1]
            begun.append((synthesis, self._hear(synthesis, at_ns)))
        return begun

    def stop_playing(self, at_ns: int, *, cut_off: bool = False) -> None:
        """The bot fell silent.

        Args:
            at_ns: When.
            cut_off: Whether what was still to be played is thrown away.
        """
        late, self._late = self._late, []
        for stage in late:
            self.stop(stage, at_ns)
        if cut_off:
            self._queued.clear()
        if self._queued:
            # Resampling and padding make what is written a little more or less than what came.
            self._written_secs = self._queued[0][0]
        else:
            self._arrived_secs = self._written_secs = 0.0
            self._last = None

    # Details

    def _turn(self, at_ns: int) -> Turn:
        if self._turns.current is None and self._has_output():
            return self._turns.begin_unheard(at_ns)
        return self._turns.begin_bot_work(at_ns)

    def _hear(self, synthesis: Synthesis | None, at_ns: int) -> Answer | None:
        return self._answers.hear(None if synthesis is None else synthesis.answers, at_ns)

    def _begin_late(self, context_id: str | None, at_ns: int) -> Synthesis | None:
        """Begin what was synthesized aside, and is to be heard after all."""
        aside = self._aside.pop(context_id or "", None)
        if aside is None or context_id is None:
            return None
        processor, begun_ns, text = aside
        turn = self._turns.current
        start_ns = begun_ns if turn is None else max(begun_ns, turn.stage.start_ns)
        stage = self.begin(processor, start_ns, context_id, [])
        stage.add_content(tags.TTS_TEXT, text)
        stage.output_ns = at_ns
        self._late.append(stage)
        return self._known[context_id]

    def _know(self, context_id: str, synthesis: Synthesis) -> None:
        for known_id, known in list(self._known.items()):
            if known_id == context_id or is_over(known.stage):
                del self._known[known_id]
        self._known[context_id] = synthesis
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def _add(self, synthesis: Synthesis, answers: list[Stage] | None) -> None:
        if answers is None:
            synthesis.answers = None
        elif synthesis.answers is not None:
            synthesis.answers += [stage for stage in answers if stage not in synthesis.answers]

    def _synthesis(self, stage: Stage) -> Synthesis | None:
        return next((s for s in reversed(self._known.values()) if s.stage is stage), None)

    def _stage(self, processor: Processor, context_id: str | None) -> Stage | None:
        if context_id is not None:
            return self._open.get((processor, context_id))
        # A service that does not name the context speaks one at a time.
        stage = processor.stage
        return stage if stage is not None and stage.kind is Kind.TTS else None
