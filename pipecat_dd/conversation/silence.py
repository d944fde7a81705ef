"""How long each side spoke, and the silence in between.

Made of the stages that a session has, as they close. Times are in nanoseconds since the epoch.

Silence is the time, from the first participant's joining to the last one's leaving, in which
neither the user nor the bot spoke. It is the bot's if it owed an answer: a turn was open, and the
user had finished their part of it. Otherwise it is the user's.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipecat_dd.conversation.model import AttributeValue, Kind, Stage
from pipecat_dd.names import tags

USER = "user"
BOT = "bot"

Span = tuple[int, int]
"""A start and an end."""


class _Turn(NamedTuple):
    """A turn that has ended."""

    start_ns: int
    end_ns: int
    is_answered: int


class Spans:
    """Spans of time in any order, which may overlap. An hour of them takes a few kilobytes."""

    def __init__(self) -> None:
        self._ends = array("q")

    def __bool__(self) -> bool:
        return bool(self._ends)

    def add(self, start_ns: int, end_ns: int) -> None:
        """Add a span of time."""
        if end_ns > start_ns:
            self._ends.extend((start_ns, end_ns))

    def within(self, start_ns: int, end_ns: int) -> list[Span]:
        """Return what lies within bounds, in order; what overlaps or touches is one span."""
        ends = iter(self._ends)
        found = ((max(a, start_ns), min(b, end_ns)) for a, b in zip(ends, ends, strict=True))
        return union(sorted(span for span in found if span[1] > span[0]))


def union(ordered: Sequence[Span]) -> list[Span]:
    """Join spans that overlap or touch.

    Args:
        ordered: The spans, by their starts.
    """
    found: list[Span] = []
    for start_ns, end_ns in ordered:
        if found and start_ns <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end_ns)
        else:
            found.append((start_ns, end_ns))
    return found


def without(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return what is left of spans without others; both are in order and overlap nothing."""
    found: list[Span] = []
    rest = list(others)
    for start_ns, end_ns in spans:
        while rest and rest[0][1] <= start_ns:
            del rest[0]
        for cut_ns, resumed_ns in rest:
            if cut_ns >= end_ns:
                break
            if cut_ns > start_ns:
                found.append((start_ns, cut_ns))
            start_ns = max(start_ns, resumed_ns)
        if end_ns > start_ns:
            found.append((start_ns, end_ns))
    return found


def total_secs(spans: Sequence[Span]) -> float:
    """Return how long spans that do not overlap are in all, in seconds."""
    return sum(end_ns - start_ns for start_ns, end_ns in spans) / 1e9


class Silence:
    """Follows who speaks in a session.

    Attributes:
        has_audio: Whether the bot speaks or listens, even if neither side has spoken yet.
    """

    def __init__(self) -> None:
        self._user = Spans()
        self._bot = Spans()
        self._muted = Spans()
        self._muted_ns = 0
        self._turns = array("q")
        self._rulings = array("q")
        self._joined_ns = 0
        self._left_ns = 0
        self._has_words = False
        self.has_audio = False

    # What happens

    def note_opened(self, stage: Stage) -> None:
        """Take what matters from a stage that has opened."""
        if stage.kind is Kind.PARTICIPANT:
            self._joined_ns = min(self._joined_ns or stage.start_ns, stage.start_ns)

    def note_closed(self, stage: Stage) -> None:
        """Take what matters from a stage that closes."""
        kind, start_ns, end_ns = stage.kind, stage.start_ns, stage.end_ns or stage.start_ns
        if kind is Kind.USER_SPEECH:
            self._user.add(start_ns, end_ns)
        elif kind is Kind.BOT_SPEECH:
            self._bot.add(start_ns, end_ns)
        elif kind is Kind.TURN:
            outcome = stage.attributes.get(tags.TURN_OUTCOME)
            is_answered = outcome in ("answered", "interrupted")
            self._turns.extend((start_ns, end_ns, is_answered))
        elif kind is Kind.END_OF_TURN:
            if stage.attributes.get(tags.END_OF_TURN_OUTCOME) != "resumed":
                self._rulings.append(end_ns)
        elif kind is Kind.STT:
            self._has_words = self._has_words or stage.output_ns is not None
        elif kind is Kind.PARTICIPANT:
            self._left_ns = max(self._left_ns, end_ns)

    def mute(self, at_ns: int) -> None:
        """Record that the user is muted: what they say is not part of the conversation."""
        self._muted_ns = self._muted_ns or at_ns

    def unmute(self, at_ns: int) -> None:
        """Record that the user is no longer muted."""
        if self._muted_ns:
            self._muted.add(self._muted_ns, at_ns)
        self._muted_ns = 0

    # What came of it

    def summary(self, start_ns: int, end_ns: int) -> Iterator[tuple[str, AttributeValue]]:
        """Yield the session's attributes: who spoke how long, and the silence.

        A session without audio has none of them. If the user's words were transcribed and nothing
        reported their speech, it is not known how long they spoke, nor what was silence.

        Args:
            start_ns: The session's start.
            end_ns: Its end. All stages have closed by then.
        """
        if not (self.has_audio or self._user or self._bot):
            return
        self.unmute(end_ns)
        bot = self._bot.within(start_ns, end_ns)
        muted = self._muted.within(start_ns, end_ns)
        user = without(self._user.within(start_ns, end_ns), muted)
        if self._joined_ns:
            start_ns = min(max(start_ns, self._joined_ns), end_ns)
            end_ns = max(start_ns, min(end_ns, self._left_ns or end_ns))
        first_ns = next((max(a, start_ns) for a, b in bot if b > start_ns), None)
        if first_ns is not None:
            yield tags.SESSION_FIRST_SPEECH_SECONDS, (first_ns - start_ns) / 1e9
        yield tags.SESSION_BOT_SPEECH_SECONDS, total_secs(bot)
        if self._user or not self._has_words:
            yield tags.SESSION_USER_SPEECH_SECONDS, total_secs(user)
            yield from self._silence(start_ns, end_ns, user, bot)

    def _silence(
        self, start_ns: int, end_ns: int, user: Sequence[Span], bot: Sequence[Span]
    ) -> Iterator[tuple[str, AttributeValue]]:
        silences = without([(start_ns, end_ns)], union(sorted((*user, *bot))))
        yield tags.SESSION_SILENCE_SECONDS, total_secs(silences)
        longest_first = sorted(silences, key=lambda s: s[1] - s[0], reverse=True)
        debts = _Debts(self._turns, self._rulings, user, bot)
        owed = next((silence for silence in longest_first if debts.is_owed(silence)), None)
        yield tags.SESSION_LONGEST_BOT_SILENCE_SECONDS, total_secs([owed] if owed else [])
        if longest_first:
            longest = longest_first[0]
            yield tags.SESSION_LONGEST_SILENCE_SECONDS, total_secs([longest])
            yield tags.SESSION_LONGEST_SILENCE_OF, BOT if longest == owed else USER


class _Debts:
    """Records in which silences the bot owed an answer. An hour has a thousand of them."""

    def __init__(
        self,
        turns: Sequence[int],
        rulings: Sequence[int],
        user: Sequence[Span],
        bot: Sequence[Span],
    ) -> None:
        values = iter(turns)
        self._turns = sorted(_Turn(*each) for each in zip(values, values, values, strict=True))
        self._starts = [turn.start_ns for turn in self._turns]
        self._rulings = sorted(rulings)
        self._user_starts = {start_ns for start_ns, _ in user}
        self._bot_starts = {start_ns for start_ns, _ in bot}
        self._first_end_ns = min((end_ns for _, end_ns in (*user, *bot)), default=None)

    def is_owed(self, silence: Span) -> bool:
        """Return whether the bot owed an answer in a silence."""
        start_ns, end_ns = silence
        place = bisect_right(self._starts, start_ns)
        turn = self._turns[place - 1] if place else None
        if turn is None or turn.end_ns <= start_ns:
            first, after = (bisect_left(self._starts, at_ns) for at_ns in silence)
            if any(not each.is_answered for each in self._turns[first:after]):
                return True
            # Until anybody has spoken, it is up to whoever then speaks.
            is_first = self._first_end_ns is None or self._first_end_ns > start_ns
            return is_first and end_ns in self._bot_starts
        if turn.is_answered and turn.end_ns < end_ns:
            return False  # the bot had answered, and its work went on for a moment
        ended_by_user = end_ns in self._user_starts and end_ns not in self._bot_starts
        if ended_by_user and end_ns < turn.end_ns:
            # The user went on in the same turn: they paused, unless it was ruled that they
            # had finished.
            ruled = bisect_left(self._rulings, turn.start_ns)
            is_ruled = ruled < len(self._rulings) and self._rulings[ruled] <= turn.end_ns
            return not is_ruled or self._rulings[ruled] <= end_ns
        return True
