"""A conversation by itself: what would be heard goes in, what would be told comes out."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Processor, Role, Service, Session, Stage

SECOND = 1_000_000_000


@dataclass
class Listener:
    """Keeps what it is told."""

    reported: list[Stage] = field(default_factory=list)
    open: set[Stage] = field(default_factory=set)
    referred: set[Stage] = field(default_factory=set)

    def on_open(self, stage: Stage) -> None:
        self.open.add(stage)

    def on_close(self, stage: Stage) -> None:
        assert stage not in self.reported, f"{stage.kind} reported twice"
        self.reported.append(stage)
        self.open.discard(stage)

    def on_discard(self, stage: Stage) -> None:
        self.open.discard(stage)

    def is_referred_to(self, stage: Stage) -> bool:
        return stage in self.referred


@dataclass(eq=False)
class Alarm:
    """A timer that a test's clock drives."""

    at: float
    callback: Callable[[], None]
    talk: "Talk"

    def cancel(self) -> None:
        self.talk.alarms.discard(self)


class Talk:
    """A conversation with a clock of its own, in seconds."""

    def __init__(self, *, voice: bool = True, timeout_secs: float = 2.5) -> None:
        self.now = 0.0
        self.alarms: set[Alarm] = set()
        self.listener = Listener()
        self.session = Session("s-1", "bot")
        self.talk = Conversation(self.session, self.listener, self._timer, timeout_secs)
        self.stt = self._processor("STT", Role.STT)
        self.llm = self._processor("LLM", Role.LLM)
        self.tts = self._processor("TTS", Role.TTS) if voice else None
        self.responses: list[Stage] = []
        self.talk.begin(self.ns)

    @property
    def ns(self) -> int:
        return SECOND + int(self.now * SECOND)

    def _processor(self, name: str, role: Role) -> Processor:
        processor = Processor(name, name, name, role, service=lambda: Service("acme", "m1"))
        self.session.processors[name] = processor
        return processor

    def _timer(self, secs: float, callback: Callable[[], None]) -> Alarm:
        alarm = Alarm(self.now + secs, callback, self)
        self.alarms.add(alarm)
        return alarm

    def wait(self, secs: float) -> None:
        until = self.now + secs
        while due := sorted((a for a in self.alarms if a.at <= until), key=lambda a: a.at):
            self.now = max(self.now, due[0].at)
            self.alarms.discard(due[0])
            due[0].callback()
        self.now = until

    # What happens

    def user_speaks(self, secs: float = 1.0, *, ruled: bool = True) -> None:
        self.talk.user.start_speaking(self.ns, "vad")
        if ruled:
            self.wait(0.2)
            self.talk.user.start_turn(self.ns)
            self.interrupt()
        self.wait(secs)
        self.talk.user.stop_speaking(self.ns)

    def transcribed(self) -> Stage:
        return self.talk.user.note_transcription(self.stt, self.ns, "en", None)

    def user_turn_ends(self) -> None:
        self.talk.user.end_turn(self.ns, "Timeout")

    def user_asks(self) -> None:
        self.user_speaks()
        self.wait(0.2)
        self.transcribed()
        self.wait(0.1)
        self.user_turn_ends()

    def interrupt(self) -> None:
        self.talk.bot.interrupt(self.ns)
        for stage in self.responses:
            self.talk.bot.end_response(stage, self.ns, interrupted=True)
        self.responses.clear()

    def responds(self) -> Stage:
        stage = self.talk.bot.begin_response(self.llm, self.ns)
        self.responses.append(stage)
        return stage

    def response_ends(self) -> None:
        self.talk.bot.note_output(self.llm, self.ns, spoken=True)
        stage = self.responses.pop()
        self.talk.bot.end_response(stage, self.ns)

    def synthesizes(self, context: str = "c1") -> None:
        assert self.tts is not None
        self.talk.bot.synthesis_begins(self.tts, self.ns, context)
        self.talk.bot.synthesis_output(self.tts, self.ns, context, 1.0)

    def synthesized(self, context: str = "c1") -> None:
        assert self.tts is not None
        self.talk.bot.synthesis_ends(self.tts, self.ns, context)

    def speaks(self) -> None:
        self.talk.bot.start_speaking(self.ns)

    def falls_silent(self) -> None:
        self.talk.bot.stop_speaking(self.ns)

    def answers(self, secs: float = 2.0) -> None:
        self.responds()
        self.wait(0.4)
        self.synthesizes()
        self.response_ends()
        self.wait(0.2)
        self.speaks()
        self.synthesized()
        self.wait(secs)
        self.falls_silent()

    def ends(self) -> None:
        self.talk.set_end_reason("ended")
        self.talk.end(self.ns)

    # What is told

    def all(self, kind: str) -> list[Stage]:
        return sorted(
            (s for s in self.listener.reported if s.kind == kind), key=lambda s: s.start_ns
        )

    def one(self, kind: str) -> Stage:
        (stage,) = self.all(kind)
        return stage

    def at(self, secs: float) -> int:
        return SECOND + int(secs * SECOND)
