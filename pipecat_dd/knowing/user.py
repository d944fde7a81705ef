"""The user's side: what the voice activity detector heard, and its transcription.

Speech comes before the ruling that it is a turn, and a transcription may come after the next
stretch of speech has begun. So a stretch waits here until it is known where it belongs: in the
turn that the ruling opens, else in the current one, else in the session.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pipecat_dd.knowing.processor import Processor
from pipecat_dd.knowing.stage import Kind, Stage
from pipecat_dd.knowing.stages import Stages
from pipecat_dd.knowing.turns import Turn, Turns

RULING_WINDOW_NS = 5_000_000_000
"""How long after a stretch of speech a turn may begin that it belongs to.

A turn that begins with the transcription rather than with the speech begins as late as the
transcription comes; services take up to some seconds.
"""


REPEATED_WITHIN_NS = 1_000_000_000
"""How soon after speech began its beginning is the same one, announced again.

Pipecat's user aggregator sends it up and down as two frames that nothing ties together, and
there may be a detector in the transport besides.
"""


@dataclass(slots=True, eq=False)
class Stretch:
    """One stretch of the user's speech.

    Attributes:
        start_ns: When it began.
        end_ns: When it ended, None while it goes on.
        speech: What the voice activity detector heard; None without a detector, where the
            first transcription is the first that is known of it.
        transcriptions: One for each service that transcribes.
        turn: The turn it belongs to, once that is ruled.
    """

    start_ns: int
    end_ns: int | None = None
    speech: Stage | None = None
    transcriptions: list[Stage] = field(default_factory=list)
    parent: Stage | None = None


class UserSide:
    """Follows the user's speech."""

    def __init__(
        self, stages: Stages, turns: Turns, transcribers: Callable[[], list[Processor]]
    ) -> None:
        """Follow the user's speech.

        Args:
            stages: Opens and closes stages.
            turns: The turns, which the rulings open and close.
            transcribers: The processors that transcribe.
        """
        self._stages = stages
        self._turns = turns
        self._transcribers = transcribers
        self._speaking: Stretch | None = None
        self._silent_ns = 0
        self._unplaced: list[Stretch] = []
        self._open: dict[Processor, deque[tuple[Stage, Stretch]]] = {}
        self._answers: dict[Processor, int] = {}

    def starts_speaking(self, start_ns: int, analyzer: str) -> None:
        """The detector heard speech begin.

        Args:
            start_ns: When it began, before the detector was sure.
            analyzer: The detector's class.
        """
        if self._speaking is not None:
            if start_ns - self._speaking.start_ns < REPEATED_WITHIN_NS:
                return
            self.stops_speaking(start_ns)
        self._place_stale(start_ns)
        stretch = self._begun_by_transcription(start_ns) or self._stretch(start_ns)
        stretch.speech = self._stages.open(
            Kind.USER_SPEECH, analyzer, start_ns, parent=stretch.parent
        )
        self._speaking = stretch
        for processor in self._transcribers():
            self._settle(processor)
            if not any(stage.processor is processor for stage in stretch.transcriptions):
                self._open_transcription(processor, stretch)

    def _begun_by_transcription(self, start_ns: int) -> Stretch | None:
        """Return the stretch that an interim transcription began before the detector was sure.

        It began where the detector heard it, and so did the turn that it opened.
        """
        for pending in self._open.values():
            for stage, stretch in pending:
                if stretch.speech is None and stretch.end_ns is None:
                    stretch.start_ns = min(stretch.start_ns, start_ns)
                    stage.start_ns = min(stage.start_ns, start_ns)
                    turn = self._turns.current
                    if turn is not None and stretch.parent is turn.stage and turn.by_user:
                        turn.stage.start_ns = min(turn.stage.start_ns, start_ns)
                    return stretch
        return None

    def stops_speaking(self, end_ns: int) -> None:
        """The detector heard speech end.

        Args:
            end_ns: When it ended, before the detector was sure.
        """
        stretch, self._speaking = self._speaking, None
        if stretch is None or stretch.speech is None:
            return
        stretch.end_ns = max(end_ns, stretch.start_ns)
        self._silent_ns = stretch.end_ns
        turn = self._turns.current
        if turn is not None and turn.by_user and not turn.bot_spoke:
            turn.waited.silent_ns = stretch.end_ns
        if stretch.parent is not None:
            self._stages.close(stretch.speech, stretch.end_ns)

    def turn_starts(self, at_ns: int) -> Turn:
        """It is ruled that the user's turn has started; the speech that led to it is its own.

        Args:
            at_ns: When that was ruled.
        """
        self._place_stale(at_ns)
        recent, self._unplaced = self._unplaced, []
        start_ns = min((stretch.start_ns for stretch in recent), default=at_ns)
        turn = self._turns.user_begins(at_ns, start_ns)
        for stretch in recent:
            self._place(stretch, turn.stage)
        if not turn.waited.silent_ns and at_ns - self._silent_ns <= RULING_WINDOW_NS:
            turn.waited.silent_ns = self._silent_ns
        return turn

    def turn_ends(self, at_ns: int, strategy: str) -> None:
        """It is ruled that the user's turn has ended.

        Args:
            at_ns: When that was ruled.
            strategy: The class of what ruled so.
        """
        for processor in list(self._open):
            self._settle(processor)
        turn = self._turns.current
        if turn is not None and turn.user_active and turn.by_user:
            turn.waited.ruled_ns = at_ns
            silent_ns = turn.waited.silent_ns
            if self._speaking is None and turn.stage.start_ns <= silent_ns:
                stage = self._stages.open(Kind.END_OF_TURN, strategy, silent_ns, parent=turn.stage)
                self._stages.close(stage, at_ns)
        self._turns.user_ends()

    def message(self, at_ns: int) -> None:
        """The user sent a message rather than speaking: a turn of theirs, complete.

        Args:
            at_ns: When.
        """
        turn = self.turn_starts(at_ns)
        turn.waited.silent_ns = turn.waited.ruled_ns = at_ns
        self._turns.user_ends()

    def transcribing(self, processor: Processor, at_ns: int) -> None:
        """An interim transcription came.

        Args:
            processor: The service that transcribes.
            at_ns: When.
        """
        if not self._open.get(processor):
            self._open_transcription(processor, self._stretch(at_ns))

    def transcribed(
        self, processor: Processor, at_ns: int, language: str | None, user_id: str | None
    ) -> Stage:
        """A final transcription came.

        The oldest stretch that has none gets it, else the one going on. A service may send
        several for one stretch: the last before the next stretch, or before the ruling, is
        where its transcription ends.

        Args:
            processor: The service that transcribed.
            at_ns: When the transcription came.
            language: The language it was found to be in.
            user_id: Who spoke, where the transport says so.
        """
        stage, stretch = self._awaited(processor) or self._told_late(processor) or (None, None)
        if stage is None:
            stretch = self._stretch(at_ns)
            stage = self._open_transcription(processor, stretch)
        stage.output_ns = at_ns
        self._answers[processor] = self.answers(processor) + 1
        stage.know(language=language, user_id=user_id)
        if (turn := self._turns.current) is not None and not turn.bot_spoke:
            turn.waited.transcribed_ns = at_ns
        if stretch is None:
            stage.end_ns = at_ns
            return stage
        if stretch.speech is None:
            stretch.end_ns = at_ns
        turn = self._turns.current
        if stretch.parent is not None and not (turn is not None and turn.user_active):
            self._settle(processor)
        return stage

    def transcription_fails(self, stage: Stage, at_ns: int) -> None:
        """A transcription failed: what comes next is another's, unless it is all there is.

        Args:
            stage: The transcription's stage.
            at_ns: When.
        """
        if stage.output_ns is None:
            stage.output_ns = at_ns
        turn = self._turns.current
        if stage.processor is not None:
            self._answers[stage.processor] = self.answers(stage.processor) + 1
            if not (turn is not None and turn.user_active):
                self._settle(stage.processor)

    def answers(self, processor: Processor) -> int:
        """Return how many transcriptions came, or failed, of a service."""
        return self._answers.get(processor, 0)

    def segment_ends(self, processor: Processor, answers_before: int, at_ns: int) -> None:
        """A service that transcribes one stretch after another is through with one.

        If nothing came of it, as of a cough, nothing will: what comes next is another's.

        Args:
            processor: The service.
            answers_before: Its `answers` when it began on the stretch.
            at_ns: When it was through.
        """
        if self.answers(processor) != answers_before:
            return
        pending = self._open.get(processor, deque())
        for entry in pending:
            stage, stretch = entry
            if stretch.end_ns is not None and stage.output_ns is None:
                pending.remove(entry)
                stage.parent = stage.parent or stretch.parent
                self._stages.drop(stage, at_ns)
                return

    def end(self, at_ns: int) -> None:
        """The session ends: close what is open, drop what nothing came of."""
        self.stops_speaking(at_ns)
        for stretch in self._unplaced:
            self._place(stretch, self._stages.session.stage)
        self._unplaced.clear()
        for processor in list(self._open):
            self._settle(processor, drop_at_ns=at_ns)

    def _stretch(self, start_ns: int) -> Stretch:
        """Begin a stretch: part of the user's turn if one goes on, else waiting for a ruling."""
        stretch = Stretch(start_ns)
        turn = self._turns.current
        if turn is not None and turn.user_active:
            stretch.parent = turn.stage
        else:
            self._unplaced.append(stretch)
        return stretch

    def _open_transcription(self, processor: Processor, stretch: Stretch) -> Stage:
        service = processor.service() if processor.service is not None else None
        resource = processor.class_name
        if service is not None and service.model:
            resource = f"{resource} {service.model}"
        stage = self._stages.open(
            Kind.STT, resource, stretch.start_ns, parent=stretch.parent, processor=processor
        )
        if service is not None:
            stage.facts["gen_ai.provider.name"] = service.provider
            stage.know(gen_ai__request__model=service.model)
            stage.facts.update(service.facts)
        stretch.transcriptions.append(stage)
        self._open.setdefault(processor, deque()).append((stage, stretch))
        return stage

    def _awaited(self, processor: Processor) -> tuple[Stage, Stretch] | None:
        """Return the transcription that one that just came is of."""
        pending = self._open.get(processor)
        if not pending:
            return None
        return next((entry for entry in pending if entry[0].output_ns is None), pending[-1])

    def _told_late(self, processor: Processor) -> tuple[Stage, None] | None:
        """Return the last transcription of the turn, which one after the ruling still adds to."""
        turn = self._turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.kind is Kind.STT and stage.processor is processor:
                return stage, None
        return None

    def _settle(self, processor: Processor, drop_at_ns: int | None = None) -> None:
        """End the transcriptions that are complete: what comes from now on is another's.

        Args:
            processor: Whose.
            drop_at_ns: Where given, what has not come by then never will.
        """
        pending = self._open.get(processor, deque())
        for entry in list(pending):
            stage, stretch = entry
            if stage.output_ns is not None and stretch.parent and stretch.end_ns is not None:
                pending.remove(entry)
                self._finish(stage, stretch, stage.output_ns)
            elif drop_at_ns is not None:
                pending.remove(entry)
                stage.parent = stage.parent or stretch.parent
                self._stages.drop(stage, drop_at_ns)

    def _finish(self, stage: Stage, stretch: Stretch, output_ns: int) -> None:
        stage.parent = stretch.parent
        if stage.is_named and stage.parent is not None and stage.parent.kind is Kind.TURN:
            stage.parent.is_of(stage.participant_id)
        if stage.failure is None and stretch.speech is not None and stretch.end_ns is not None:
            waited_ns = max(0, output_ns - stretch.end_ns)
            stage.facts["stt.finalization_seconds"] = waited_ns / 1e9
        turn = self._turns.current
        if turn is not None and stage.parent is turn.stage:
            # Its time to first byte may be reported seconds from now.
            self._stages.end(stage, output_ns)
            turn.held.append(stage)
        else:
            self._stages.close(stage, output_ns)

    def _place(self, stretch: Stretch, parent: Stage) -> None:
        stretch.parent = parent
        for stage in stretch.transcriptions:
            stage.parent = parent
        if stretch.speech is not None:
            stretch.speech.parent = parent
            if stretch.end_ns is not None:
                self._stages.close(stretch.speech, stretch.end_ns)

    def _place_stale(self, now_ns: int) -> None:
        """Place the speech that no turn will claim any more: a cough, or what was muted."""
        stale = [
            stretch
            for stretch in self._unplaced
            if stretch.end_ns is not None and now_ns - stretch.end_ns > RULING_WINDOW_NS
        ]
        for stretch in stale:
            self._unplaced.remove(stretch)
            self._place(stretch, self._stages.session.stage)
            for stage in stretch.transcriptions:
                processor = stage.processor
                pending = self._open.get(processor) if processor is not None else None
                if pending and (stage, stretch) in pending:
                    pending.remove((stage, stretch))
                    if stage.output_ns is not None:
                        self._finish(stage, stretch, stage.output_ns)
                    else:
                        self._stages.drop(stage, now_ns)
