"""One turn, and the timers that turns wait by."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.latency import LatencyBreakdown
from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.names import tags

SPEECH_PENDING_SECS = 10.0
"""How long to wait for the bot to speak what its model has already answered, or for the answer
that was asked for."""

EXPECTED_SECS = 60.0
"""How long to wait for what a tool still does after it has settled: its answer may come of it."""


class Timer(Protocol):
    """A running timer."""

    def cancel(self) -> None:
        """Stop it."""


StartTimer = Callable[[float, Callable[[], None]], Timer]
"""Runs a callback after so many seconds, unless cancelled before."""


def _may_be_heard(stage: Stage) -> bool:
    """Whether speech may come of what is under way: of a model that has no voice behind it, none.

    Args:
        stage: A response, a synthesis or a tool call.
    """
    if stage.kind not in (Kind.LLM, Kind.TOOL) or stage.processor is None:
        return True
    if stage.attributes.get(tags.GEN_AI_OUTPUT_TYPE) == "speech":
        return True
    return stage.processor.has_voice_behind is not False


class Turn:
    """One turn, as it goes on.

    Attributes:
        stage: The turn's stage.
        by_user: Whether the user began it, rather than the bot.
        is_user_active: Whether the user's part of it still goes on.
        has_bot_spoken: Whether the user has heard the bot in it.
        is_answered: Whether something came of it: speech, or text where the bot has no voice.
        quiet_ns: When the bot last fell silent, or finished what it was doing.
        failure: What went wrong in it first.
        latency: When the answer passed which point.
    """

    __slots__ = (
        "_awaited",
        "_held",
        "_is_bot_speaking",
        "_is_response_pending",
        "_is_speech_pending",
        "_responded",
        "_work",
        "by_user",
        "failure",
        "has_bot_spoken",
        "is_answered",
        "is_user_active",
        "latency",
        "quiet_ns",
        "stage",
    )

    def __init__(self, stage: Stage, *, by_user: bool) -> None:
        self.stage = stage
        self.by_user = by_user
        self.is_user_active = by_user
        self.has_bot_spoken = False
        self.is_answered = False
        self.quiet_ns = stage.start_ns
        self.failure: Failure | None = None
        self.latency = LatencyBreakdown()
        self._is_bot_speaking = False
        # The model has answered with text that is not spoken yet.
        self._is_speech_pending = False
        # The model was asked for a response that has not begun.
        self._is_response_pending = False
        self._responded = False
        # Responses, syntheses and tool calls that go on.
        self._work: set[Stage] = set()
        # What goes on after a tool has settled, and may yet ask for the answer: the rest of its
        # handler, the transition of a flow.
        self._awaited: set[object] = set()
        # Stages that have ended, but leave with the turn: figures of theirs may still come.
        self._held: list[Stage] = []

    # What goes on in it

    @property
    def is_bot_active(self) -> bool:
        """Whether the bot is in the middle of an answer that the user has begun to hear."""
        return self._is_bot_speaking or (
            self.has_bot_spoken and any(map(_may_be_heard, self._work))
        )

    @property
    def is_quiet(self) -> bool:
        """Whether the bot has responded and nothing more is under way."""
        return self._responded and not (self._is_bot_speaking or self._work or self.is_user_active)

    @property
    def min_wait_secs(self) -> float:
        """How long to wait at least, once it is quiet, for what is still to come; 0 for nothing."""
        if self._awaited:
            return EXPECTED_SECS
        return SPEECH_PENDING_SECS if self._is_speech_pending or self._is_response_pending else 0.0

    def end_user_part(self) -> None:
        """Record that the user has finished."""
        self.is_user_active = False

    def fail(self, failure: Failure) -> None:
        """Record what went wrong; the first failure stands."""
        self.failure = self.failure or failure

    # The bot's answer

    def ask_response(self) -> None:
        """Record that the model was asked for a response, which may take a while to begin."""
        self._is_response_pending = True

    def respond(self) -> None:
        """Record that the bot has begun to respond."""
        self._responded = True
        self._is_response_pending = False

    def answer(self) -> None:
        """Record that the user has the answer, or will read it."""
        self.is_answered = True

    def await_speech(self) -> None:
        """Record that the model has answered with text that is to be spoken."""
        if not self.has_bot_spoken:
            self._is_speech_pending = True

    def start_bot_speech(self) -> None:
        """Record that the user hears the bot."""
        self._is_bot_speaking = self.has_bot_spoken = self.is_answered = True
        self._is_speech_pending = False

    def stop_bot_speech(self, at_ns: int) -> None:
        """Record that the bot has fallen silent."""
        if self._is_bot_speaking:
            self._is_bot_speaking = False
            self.quiet_ns = max(self.quiet_ns, at_ns)

    # What is under way

    @property
    def has_work(self) -> bool:
        """Whether a response, a synthesis or a tool call goes on."""
        return bool(self._work)

    def is_at_work_on(self, stage: Stage) -> bool:
        """Whether a response, synthesis or tool call is the turn's and goes on."""
        return stage in self._work

    def start_work(self, stage: Stage) -> None:
        """Record that a response, synthesis or tool call goes on."""
        self._work.add(stage)

    def end_work(self, stage: Stage, at_ns: int) -> None:
        """Record that it has ended."""
        if stage in self._work:
            self._work.discard(stage)
            self.quiet_ns = max(self.quiet_ns, at_ns)

    def forget_work(self, stage: Stage) -> bool:
        """Take a response, synthesis or tool call out of the turn.

        Returns:
            Whether it was the turn's.
        """
        is_own = stage in self._work
        self._work.discard(stage)
        return is_own

    @property
    def is_expecting(self) -> bool:
        """Whether something goes on that the answer may come of."""
        return bool(self._awaited)

    def is_awaiting(self, what: object) -> bool:
        """Whether the answer may still come of this."""
        return what in self._awaited and not self.is_answered

    def expect(self, what: object) -> None:
        """Record that something goes on that the answer may come of.

        Args:
            what: Stands for it.
        """
        self._awaited.add(what)

    def arrive(self, what: object, at_ns: int) -> bool:
        """Record that such a thing is over.

        Returns:
            Whether it was expected.
        """
        if what not in self._awaited:
            return False
        self._awaited.discard(what)
        self.quiet_ns = max(self.quiet_ns, at_ns)
        return True

    # Stages that leave with the turn

    @property
    def held(self) -> tuple[Stage, ...]:
        """Stages that have ended and leave with the turn, in the order they ended."""
        return tuple(self._held)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is under way, and what is held."""
        return (*self._work, *self._held)

    def hold(self, stage: Stage) -> None:
        """Hold an ended stage until the turn ends."""
        self._held.append(stage)

    def release(self, stage: Stage) -> bool:
        """Hold a stage no longer.

        Returns:
            Whether it was held.
        """
        if stage not in self._held:
            return False
        self._held.remove(stage)
        return True

    def take_held(self) -> tuple[Stage, ...]:
        """Return the stages that are held, and hold them no longer."""
        held, self._held = tuple(self._held), []
        return held

    def absorb(self, other: "Turn") -> None:
        """Take over what is under way and held in another turn that turns out to be this one."""
        self.stage.start_ns = min(self.stage.start_ns, other.stage.start_ns)
        for stage in other.stages:
            stage.parent = self.stage
        self._work |= other._work
        self._held += other._held

    # The points that the answer passes. What comes once the bot has spoken makes nobody wait.

    def set_silence(self, at_ns: int) -> None:
        """Record when the user fell silent."""
        if not self.has_bot_spoken:
            self.latency.silent_ns = at_ns

    def set_ruling(self, at_ns: int) -> None:
        """Record when it was ruled that the user had finished."""
        self.latency.ruled_ns = at_ns

    def set_transcription(self, at_ns: int) -> None:
        """Record when the last final transcription came."""
        if not self.has_bot_spoken:
            self.latency.transcribed_ns = at_ns

    def set_response(self, at_ns: int) -> None:
        """Record when the model began on a response; the last before speech counts."""
        if not self.has_bot_spoken:
            self.latency.asked_ns = self.latency.asked_ns or at_ns
            self.latency.responded_ns = at_ns
            self.latency.token_ns = 0

    def set_tools(self, at_ns: int) -> None:
        """Record when the model began on the first response that called tools."""
        self.latency.tools_ns = self.latency.tools_ns or at_ns

    def set_first_token(self, at_ns: int) -> None:
        """Record when the first token to be spoken came."""
        if not self.has_bot_spoken:
            self.latency.token_ns = self.latency.token_ns or at_ns

    def set_first_text(self, at_ns: int) -> None:
        """Record when the first text was handed to synthesis."""
        self._is_speech_pending = False
        if not self.has_bot_spoken:
            self.latency.text_ns = self.latency.text_ns or at_ns

    def set_first_audio(self, at_ns: int) -> None:
        """Record when the first audio came."""
        if not self.has_bot_spoken:
            self.latency.audio_ns = self.latency.audio_ns or at_ns
