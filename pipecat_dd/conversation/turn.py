"""One turn, and the timers that turns wait by."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.latency import LatencyBreakdown
from pipecat_dd.conversation.model import Kind, Stage

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
    if stage.attributes.get("gen_ai.output.type") == "speech":
        return True
    return stage.processor.has_voice_behind is not False


class Turn:
    """One turn, as it goes on.

    Attributes:
        stage: The turn's stage.
        by_user: Whether the user began it (else the bot did).
        user_active: Whether the user's part of it is still going on.
        bot_speaking: Whether the bot is heard at this moment.
        bot_spoke: Whether the bot has been heard in it.
        answered: Whether something came of it: speech, or text where the bot has no voice.
        speech_pending: Whether the model has answered with text that is still to be spoken.
        response_pending: Whether the model was asked for a response that has not begun.
        expected: What goes on after a tool has settled and may yet ask for the answer: the rest
            of its handler, the transition of a flow.
        responded: Whether any response of the bot has begun.
        busy: What is under way for the bot: responses, syntheses, tool calls.
        quiet_ns: When the bot last fell silent, or finished what it was doing.
        held: Stages that have ended but are told with the turn, since figures of theirs may
            still come.
        waited: When the answer passed which point.
        failure: What went wrong in it first.
    """

    def __init__(self, stage: Stage, *, by_user: bool) -> None:
        self.stage = stage
        self.by_user = by_user
        self.user_active = by_user
        self.bot_speaking = False
        self.bot_spoke = False
        self.answered = False
        self.speech_pending = False
        self.response_pending = False
        self.expected: set[object] = set()
        self.responded = False
        self.busy: set[Stage] = set()
        self.quiet_ns = stage.start_ns
        self.held: list[Stage] = []
        self.latency = LatencyBreakdown()
        self.failure: Failure | None = None

    @property
    def bot_active(self) -> bool:
        """Whether the bot is in the middle of an answer that the user has begun to hear."""
        return self.bot_speaking or (self.bot_spoke and any(map(_may_be_heard, self.busy)))

    @property
    def is_quiet(self) -> bool:
        """Whether the bot has responded and nothing more is under way."""
        return self.responded and not (self.bot_speaking or self.busy or self.user_active)

    @property
    def min_wait_secs(self) -> float:
        """How long to wait at least, once it is quiet, for what is still to come; 0 for nothing."""
        if self.expected:
            return EXPECTED_SECS
        return SPEECH_PENDING_SECS if self.speech_pending or self.response_pending else 0.0
