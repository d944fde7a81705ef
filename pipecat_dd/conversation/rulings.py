"""Rulings on whether the user has finished, and what became of them.

A turn detection model rules each time the user falls silent; a model that answers may rule, too,
and a service that owns the turn predicts. Rulings that the user had not finished cost a wait: for
more speech or, if none comes, for a timeout. So all rulings of a turn are summed up where the turn
of the user ends, in one :class:`Verdict`.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from pipecat_dd.conversation.model import Stage
from pipecat_dd.names import tags

COMPLETED = "completed"
TIMED_OUT = "timed_out"
RESUMED = "resumed"

MAX_KEPT = 256
"""How many rulings and the like are kept until a turn ends; a turn has a handful."""


class _What(Enum):
    RULING = "ruling"
    CONFIDENCE = "confidence"
    PREDICTION = "prediction"
    WITHDRAWAL = "withdrawal"
    SPEECH = "speech"
    TIMEOUT = "timeout"


@dataclass(slots=True)
class _Entry:
    what: _What
    at_ns: int
    is_complete: bool = False
    probability: float | None = None
    inference_secs: float | None = None


@dataclass(slots=True)
class Verdict:
    """The rulings of one turn, summed up.

    Attributes:
        outcome: ``completed``, ``timed_out`` or ``resumed``.
        probability: How sure the model was, at the last ruling, that the user had finished.
        inference_secs: How long the model took, summed; None if unknown.
        incomplete_count: Rulings that the user had not finished; None if no model ruled.
        after_ruling_secs: From the last ruling to the end of the user's turn; None if none ruled.
    """

    outcome: str = COMPLETED
    probability: float | None = None
    inference_secs: float | None = None
    incomplete_count: int | None = None
    after_ruling_secs: float | None = None

    def describe_ruling(self, stage: Stage) -> None:
        """Set what is known on the stage of the ruling."""
        stage.set(tags.END_OF_TURN_OUTCOME, self.outcome)
        stage.set(tags.END_OF_TURN_PROBABILITY, self.probability)
        stage.set(tags.END_OF_TURN_INFERENCE_SECONDS, self.inference_secs)
        stage.set(tags.END_OF_TURN_INCOMPLETE_COUNT, self.incomplete_count)
        stage.set(tags.END_OF_TURN_AFTER_RULING_SECONDS, self.after_ruling_secs)

    def describe_turn(self, stage: Stage) -> None:
        """Set on the turn what explains its wait."""
        stage.set(tags.TURN_END_OF_TURN_OUTCOME, self.outcome)
        stage.set(tags.TURN_END_OF_TURN_PROBABILITY, self.probability)
        stage.set(tags.TURN_END_OF_TURN_INCOMPLETE_COUNT, self.incomplete_count)


class Rulings:
    """Collects the rulings, until the turn that they are about has ended.

    Attributes:
        measurements: The latest measurements of rulings that were noted; they are reported again.
    """

    def __init__(self) -> None:
        self.measurements: deque[object] = deque(maxlen=16)
        self._entries: deque[_Entry] = deque(maxlen=MAX_KEPT)

    @property
    def is_waiting(self) -> bool:
        """Whether the last ruling was that the user had not finished, and they have not gone on."""
        last = self._entries[-1] if self._entries else None
        return last is not None and last.what is _What.RULING and not last.is_complete

    def note(
        self,
        at_ns: int,
        *,
        is_complete: bool,
        probability: float | None = None,
        inference_secs: float | None = None,
        is_revised: bool = False,
    ) -> None:
        """Record that a model has ruled.

        Args:
            at_ns: When it had ruled.
            is_complete: Whether it ruled that the user had finished.
            probability: How sure it was that they had, from 0 to 1; None if unknown.
            inference_secs: How long it took; None if unknown.
            is_revised: Whether it listens all the time, and has thought better of its ruling on the
                same silence: that one no longer counts.
        """
        last = self._entries[-1] if self._entries else None
        if is_revised and last is not None and last.what is _What.RULING and not last.is_complete:
            self._entries.pop()
        self._entries.append(
            _Entry(_What.RULING, at_ns, is_complete, _fraction(probability), inference_secs)
        )

    def note_confidence(self, at_ns: int, probability: float) -> None:
        """Record how sure a service is that the user has finished; it counts if that one rules.

        Args:
            at_ns: When it reported that.
            probability: From 0 to 1.
        """
        entry = _Entry(_What.CONFIDENCE, at_ns, probability=_fraction(probability))
        self._entries.append(entry)

    def note_prediction(self, at_ns: int) -> None:
        """Record that a service that owns the turn predicts, or has ruled, that it has ended."""
        self._entries.append(_Entry(_What.PREDICTION, at_ns))

    def withdraw(self, at_ns: int) -> None:
        """Record that a service took its prediction back: the user went on."""
        self._entries.append(_Entry(_What.WITHDRAWAL, at_ns))

    def note_speech(self, at_ns: int) -> None:
        """Record that the user speaks: if they were waited for, they went on."""
        self._entries.append(_Entry(_What.SPEECH, at_ns))

    def time_out(self, at_ns: int) -> None:
        """Record that the wait for more speech is over: what ends the turn now is no ruling."""
        self._entries.append(_Entry(_What.TIMEOUT, at_ns))

    def settle(self, since_ns: int, at_ns: int) -> Verdict:
        """Sum up the rulings of a turn of the user's, which has ended.

        Args:
            since_ns: When it began; what came before is about something else.
            at_ns: When it was decided that it had ended.
        """
        entries = [entry for entry in self._entries if entry.at_ns >= since_ns]
        self._entries.clear()
        return _sum_up(entries, at_ns)


def _sum_up(entries: list[_Entry], at_ns: int) -> Verdict:
    verdict = Verdict()
    rulings = [entry for entry in entries if entry.what is _What.RULING]
    owned = any(entry.what is _What.PREDICTION for entry in entries)
    # What has come since the user last went on.
    waiting: list[_Entry] = []
    has_resumed = False
    for entry in entries:
        if entry.what is _What.WITHDRAWAL:
            has_resumed = True
            waiting.clear()
        elif entry.what is _What.SPEECH:
            has_resumed = has_resumed or any(e.what is _What.RULING for e in waiting)
            waiting.clear()
        else:
            waiting.append(entry)
    known = [entry for entry in waiting if entry.what is _What.RULING]
    if any(e.what is _What.TIMEOUT for e in waiting) or (known and not known[-1].is_complete):
        verdict.outcome = TIMED_OUT
    elif has_resumed:
        verdict.outcome = RESUMED
    if rulings:
        verdict.incomplete_count = sum(not entry.is_complete for entry in rulings)
        verdict.after_ruling_secs = max(0, at_ns - rulings[-1].at_ns) / 1e9
        took = [e.inference_secs for e in rulings if e.inference_secs is not None]
        verdict.inference_secs = sum(took) if took else None
    elif owned:
        verdict.incomplete_count = 0
    sure = rulings or ([e for e in entries if e.what is _What.CONFIDENCE] if owned else [])
    probabilities = [e.probability for e in sure if e.probability is not None]
    verdict.probability = probabilities[-1] if probabilities else None
    return verdict


def _fraction(value: float | None) -> float | None:
    """Return a probability; None for a number outside of 0 to 1."""
    return value if value is not None and 0.0 <= value <= 1.0 else None
