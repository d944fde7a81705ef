"""Syntheses of speech, and how much of their audio is played.

Audio passes from the synthesis through the processors behind it to the output, which plays one
answer after another. What arrives there, and what is played, shows which answer the user hears.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipecat_dd.conversation.answers import Answer, Answers, is_over
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

MAX_KNOWN = 256
"""How many syntheses are remembered by their context's id. The audio of one that has ended may
still be on its way to the output."""


class Work(Protocol):
    """A processor's work on one frame."""

    done: bool


@dataclass(slots=True, eq=False)
class Synthesis:
    """One synthesis.

    Attributes:
        stage: The synthesis's stage.
        answers: The responses whose text it speaks; None if not known.
        is_backchannel: Whether it is spoken while the user goes on, and answers nothing.
        work: What the service does on its latest text; None if not known.
        synthesized_secs: How much audio has come of it.
        written_secs: How much of that was written to the transport.
        is_kept: Whether it is spoken to its end even if the user interrupts.
    """

    stage: Stage
    answers: list[Stage] | None
    is_backchannel: bool = False
    work: Work | None = None
    synthesized_secs: float = 0.0
    written_secs: float = 0.0
    is_kept: bool = False

    @property
    def is_in_progress(self) -> bool:
        """Whether more of its audio may come."""
        # Pipecat ends a synthesis of which nothing has come for three seconds. One that the
        # service still waits for may go on.
        return self.stage.is_open or (self.work is not None and not self.work.done)

    def is_of_same_answer(self, other: "Synthesis") -> bool:
        """Whether both speak the same response of a model, or are the same."""
        return other is self or any(stage in (other.answers or ()) for stage in self.answers or ())


class Syntheses:
    """Follows the syntheses of one session.

    Attributes:
        playing: What is being played, or was played last; None if not known.
    """

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
            close: Closes the stage of a synthesis.
            has_output: Whether the pipeline has an output whose audio is observed.
        """
        self._stages = stages
        self._voiced: Synthesis | None = None
        self._turns = turns
        self._answers = answers
        self._close = close
        self._has_output = has_output
        self._open: dict[tuple[Processor, str], Stage] = {}
        self._known: dict[str, Synthesis] = {}
        # Syntheses that were requested directly from the service: part of the conversation only
        # once their audio is played.
        self._aside: dict[str, tuple[Processor, int, str]] = {}
        self._late: list[Stage] = []
        # What has arrived at the output and is not played yet, each with the second at which it
        # begins, counted over all audio that has arrived.
        self._queued: deque[tuple[float, Synthesis | None]] = deque()
        self._last: Synthesis | None = None
        self.playing: Synthesis | None = None
        self._arrived_secs = self._written_secs = 0.0

    @property
    def open(self) -> list[Stage]:
        """The syntheses in progress."""
        return list(self._open.values())

    @property
    def interruptible(self) -> list[Stage]:
        """The syntheses in progress that an interruption cuts off."""
        kept = {synthesis.stage for synthesis in self._known.values() if synthesis.is_kept}
        return [stage for stage in self._open.values() if stage not in kept]

    def begin(
        self,
        processor: Processor,
        at_ns: int,
        context_id: str,
        answers: list[Stage] | None = None,
        work: Work | None = None,
        *,
        is_kept: bool = False,
    ) -> Stage:
        """Record that text was passed to synthesis; the first text of a context begins its stage.

        Args:
            processor: The service.
            at_ns: When the text was passed on.
            context_id: Pipecat's id for what is spoken as one utterance.
            answers: The responses whose text it is: an empty list if no model wrote it; None if
                not known.
            work: What the service does on the text; None if not known.
            is_kept: Whether it is spoken to its end even if the user interrupts.
        """
        stage = self._open.get((processor, context_id))
        if stage is not None and stage.is_open:
            known = self._known.get(context_id)
            if known is not None and known.stage is stage:
                known.work = work
                self._add(known, answers)
            return stage
        turn = self._turn(at_ns)
        turn.set_first_text(at_ns)
        stage = self._stages.open_service(Kind.TTS, processor, at_ns, turn.stage)
        self._open[processor, context_id] = stage
        spoken = answers if answers is None else list(answers)
        self._know(context_id, Synthesis(stage, spoken, work=work, is_kept=is_kept))
        self._turns.begin_work(turn, stage)
        return stage

    def begin_backchannel(
        self, processor: Processor, at_ns: int, context_id: str, *, is_kept: bool = False
    ) -> Stage:
        """Begin the synthesis of a backchannel, which is spoken while the user goes on.

        Args:
            processor: The service.
            at_ns: When the text was passed on.
            context_id: Pipecat's id for what is spoken as one utterance.
            is_kept: Whether it is spoken to its end even if the user interrupts.
        """
        stage = self._open.get((processor, context_id))
        if stage is not None and stage.is_open:
            return stage
        stage = self._stages.open_service(Kind.TTS, processor, at_ns, self._stages.session.stage)
        self._open[processor, context_id] = stage
        self._know(context_id, Synthesis(stage, [], is_backchannel=True, is_kept=is_kept))
        return stage

    def is_backchannel(self, synthesis: Synthesis | None) -> bool:
        """Whether what is being played is a backchannel.

        Args:
            synthesis: What is being played; None if not known, and the latest audio is assumed.
        """
        found = self._voiced if synthesis is None else synthesis
        return found is not None and found.is_backchannel

    def begin_aside(self, processor: Processor, at_ns: int, context_id: str, text: str) -> None:
        """Record a synthesis requested directly from the service, to warm it up or for a cache.

        Args:
            processor: The service.
            at_ns: When it was requested.
            context_id: The id that was given to the utterance.
            text: The text to be spoken.
        """
        self._aside[context_id] = processor, at_ns, text
        if len(self._aside) > MAX_KNOWN:
            del self._aside[next(iter(self._aside))]

    def output(
        self, processor: Processor, at_ns: int, context_id: str | None, seconds: float
    ) -> None:
        """Record synthesized audio.

        Args:
            processor: The service.
            at_ns: When the audio came.
            context_id: The utterance it belongs to; None if the service does not say.
            seconds: The length of the audio.
        """
        known = self._known.get(context_id or "")
        if known is not None:
            known.synthesized_secs += seconds
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
            self._answers.mark_voiced(answers)
            if not self._has_output():
                self._answers.mark_heard(answers, at_ns)
        stage.add(tags.TTS_AUDIO_SECONDS, seconds)

    def end(self, processor: Processor, at_ns: int, context_id: str | None) -> None:
        """End a synthesis: it is complete.

        Args:
            processor: The service.
            at_ns: When it was complete.
            context_id: The utterance; None if the service does not say.
        """
        stage = self._stage(processor, context_id)
        if stage is not None:
            self.stop(stage, at_ns)

    def stop(self, stage: Stage, at_ns: int) -> None:
        """End a synthesis that is complete, failed or was cut off."""
        for key, open_stage in list(self._open.items()):
            if open_stage is stage:
                del self._open[key]
        self._close(stage, at_ns)

    # What is played

    def arrive(self, context_id: str | None, seconds: float, at_ns: int) -> None:
        """Record that audio has arrived at the output, which plays it after earlier audio.

        Args:
            context_id: The utterance it belongs to; None if not known.
            seconds: The length of the audio.
            at_ns: When it arrived.
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
            synthesis.synthesized_secs += seconds

    def start_playing(self, at_ns: int) -> tuple[Synthesis | None, Answer | None]:
        """Record that the bot begins to speak; return the synthesis and answer that is played."""
        synthesis = self.playing = self._queued.popleft()[1] if self._queued else None
        return synthesis, self._mark_heard(synthesis, at_ns)

    def write(self, seconds: float, at_ns: int) -> list[tuple[Synthesis | None, Answer | None]]:
        """Record that audio was written to the transport; return what began to be played by it.

        Args:
            seconds: The length of the audio.
            at_ns: When it was written.
        """
        self._written_secs += seconds
        begun = []
        while self._queued and self._queued[0][0] < self._written_secs:
            synthesis = self.playing = self._queued.popleft()[1]
            begun.append((synthesis, self._mark_heard(synthesis, at_ns)))
        if self.playing is not None:
            self.playing.written_secs += seconds
        return begun

    @property
    def is_more_to_come(self) -> bool:
        """Whether more may come of the answer that is being played."""
        playing = self.playing
        if playing is None:
            return False
        return any(stage.is_open for stage in playing.answers or ()) or any(
            one.is_in_progress and one.is_of_same_answer(playing) for one in self._all(playing)
        )

    @property
    def arrived_unwritten_secs(self) -> float:
        """How much audio has arrived at the output that it has not written."""
        return max(0.0, self._arrived_secs - self._written_secs)

    @property
    def unwritten_secs(self) -> float:
        """How much was synthesized of the answer that is being played, and not written."""
        playing = self.playing
        if playing is None:
            ahead = self._queued[0][0] if self._queued else self._arrived_secs
            return max(0.0, ahead - self._written_secs)
        return sum(
            max(0.0, one.synthesized_secs - one.written_secs)
            for one in self._all(playing)
            if one.is_of_same_answer(playing)
        )

    def stop_playing(self, at_ns: int, *, cut_off: bool = False) -> None:
        """Record that the bot fell silent.

        Args:
            at_ns: When it fell silent.
            cut_off: Whether the audio that was still to be played is discarded, but for what is
                said to its end.
        """
        late, self._late = self._late, []
        for stage in late:
            self.stop(stage, at_ns)
        if cut_off:
            self.playing = None
            self.drop_interruptible()
        if self._queued:
            # Resampling and padding make the written audio slightly longer or shorter.
            self._written_secs = self._queued[0][0]
        else:
            self._arrived_secs = self._written_secs = 0.0
            self._last = None

    def drop_interruptible(self) -> None:
        """Record that, of the arrived audio, only what is not interruptible will be played."""
        waiting = [(self._written_secs, self.playing), *self._queued]
        ends = [*(start for start, _ in self._queued), self._arrived_secs]
        self._queued.clear()
        self._arrived_secs, self._last = self._written_secs, self.playing
        for (start, synthesis), end in zip(waiting, ends, strict=True):
            if synthesis is None or not synthesis.is_kept:
                continue
            if synthesis is not self.playing:
                self._queued.append((self._arrived_secs, synthesis))
                self._last = synthesis
            self._arrived_secs += max(0.0, end - start)

    # Details

    def _turn(self, at_ns: int) -> Turn:
        if self._turns.current is None and self._has_output():
            return self._turns.begin_unheard(at_ns)
        return self._turns.begin_bot_work(at_ns)

    def _mark_heard(self, synthesis: Synthesis | None, at_ns: int) -> Answer | None:
        return self._answers.mark_heard(None if synthesis is None else synthesis.answers, at_ns)

    def _begin_late(self, context_id: str | None, at_ns: int) -> Synthesis | None:
        """Begin a synthesis that was requested directly and is played after all."""
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

    def _all(self, playing: Synthesis) -> set[Synthesis]:
        return {playing, *self._known.values()}

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
        # A service that does not name the context speaks one utterance at a time.
        stage = processor.stage
        return stage if stage is not None and stage.kind is Kind.TTS else None
