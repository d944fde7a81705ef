"""Whatever is said, ruled and transcribed, in whatever order: what must hold of every trace."""

import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipecat_dd.conversation.speech_segments import Cause
from tests.conversation.talk import Talk

STEPS = (
    "speech begins",
    "speech ends",
    "service hears speech",
    "service hears silence",
    "silence predicted",
    "prediction withdrawn",
    "turn begins",
    "turn begins for these words",
    "turn begins for other words",
    "turn begins for the audio",
    "turn ends",
    "interrupted",
    "muted",
    "unmuted",
    "backchannel",
    "interim",
    "transcription",
    "message",
    "bot responds",
    "bot has responded",
    "bot synthesizes",
    "bot has synthesized",
    "bot says an aside",
    "bot speaks",
    "bot falls silent",
)

WAITS = (0.0, 0.01, 0.3, 1.2, 6.0)

steps = st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(WAITS)), max_size=40)


class Story(Talk):
    """A conversation in which anything may happen."""

    def __init__(self) -> None:
        super().__init__(timeout_secs=0.5)
        self.frames = itertools.count(1)
        self.words = 0

    def step(self, what: str) -> None:
        user, bot = self.talk.user, self.talk.bot
        lead_ns = min(200_000_000, self.ns)
        match what:
            case "speech begins":
                user.start_speaking(self.ns - lead_ns, "vad")
            case "speech ends":
                user.stop_speaking(self.ns - lead_ns)
            case "service hears speech":
                user.start_service_speech(self.ns, "STT")
            case "service hears silence":
                user.stop_service_speech(self.ns)
            case "silence predicted":
                user.predict_silence(self.ns)
            case "prediction withdrawn":
                user.withdraw_prediction()
            case "turn begins":
                user.start_turn(self.ns)
            case "turn begins for these words":
                user.start_turn(self.ns, Cause(self.words, is_words=True))
            case "turn begins for other words":
                user.start_turn(self.ns, Cause(-1, is_words=True))
            case "turn begins for the audio":
                user.start_turn(self.ns, Cause(-2, is_words=False))
            case "turn ends":
                self.user_turn_ends()
            case "interrupted":
                self.interrupt()
            case "muted":
                user.mute()
            case "unmuted":
                user.unmute(self.ns)
            case "backchannel":
                user.note_backchannel(self.ns)
            case "interim" | "transcription":
                self.words = next(self.frames)
                if what == "interim":
                    user.note_interim(self.stt, self.ns, self.words)
                else:
                    user.note_transcription(self.stt, self.ns, "en", None, self.words)
            case "message":
                user.note_message(self.ns)
            case "bot responds":
                self.responds()
            case "bot has responded" if self.responses:
                self.response_ends()
            case "bot synthesizes":
                self.synthesizes()
            case "bot has synthesized":
                self.synthesized()
            case "bot says an aside":
                assert self.tts is not None
                bot.syntheses.begin_backchannel(self.tts, self.ns, "aside")
                bot.synthesis_output(self.tts, self.ns, "aside", 0.2)
            case "bot speaks":
                self.speaks()
            case "bot falls silent":
                self.falls_silent()


@settings(max_examples=300, deadline=None)
@given(story=steps)
@example(story=[("speech begins", 0.3), ("bot responds", 0.3), ("turn begins for the audio", 0.0)])
@example(story=[("turn begins", 0.0), ("speech begins", 0.0), ("turn ends", 0.0)])
@example(
    story=[
        ("muted", 0.0),
        ("speech begins", 0.3),
        ("unmuted", 0.3),
        ("transcription", 0.0),
        ("turn begins for these words", 0.3),
        ("speech ends", 0.3),
        ("turn ends", 0.0),
    ]
)
def test_no_child_begins_before_its_parent_and_no_two_turns_overlap(
    story: list[tuple[str, float]],
) -> None:
    talk = Story()
    for what, wait in story:
        talk.step(what)
        talk.wait(wait)
    talk.ends()

    root = talk.session.root
    assert root.end_ns is not None
    assert not talk.listener.open
    for stage in talk.listener.reported:
        assert stage.end_ns is not None
        assert root.start_ns <= stage.start_ns <= stage.end_ns <= root.end_ns
        if stage is not root:
            assert stage.parent is not None
            assert stage.start_ns >= stage.parent.start_ns
            assert stage.parent in talk.listener.reported, f"{stage.kind} in what is not told"
    turns = talk.all("turn")
    for before, after in itertools.pairwise(turns):
        assert before.end_ns is not None
        assert before.end_ns <= after.start_ns
    assert [turn.attributes["turn.number"] for turn in turns] == list(range(1, len(turns) + 1))
    for turn in turns:
        parts = [v for k, v in turn.attributes.items() if k.startswith("turn.wait.")]
        if parts:
            latency = turn.attributes["turn.user_bot_latency_seconds"]
            assert isinstance(latency, float)
            assert abs(sum(p for p in parts if isinstance(p, float)) - latency) < 1e-6


@given(passed=st.integers(1, 4), gap=st.sampled_from((0.05, 0.5, 3.0)), known=st.booleans())
def test_what_opened_no_turn_is_in_none_however_soon_one_comes(
    passed: int, gap: float, known: bool
) -> None:
    talk = Talk()
    user = talk.talk.user
    for number in range(passed):
        talk.user_speaks(0.2, ruled=False)
        user.note_transcription(talk.stt, talk.ns, "en", None, number)
        talk.wait(gap)
    began_ns = talk.ns
    talk.user_speaks(0.5, ruled=False)
    talk.wait(0.1)
    user.note_transcription(talk.stt, talk.ns, "en", None, 99)
    user.start_turn(talk.ns, Cause(99, is_words=True) if known else None)
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    turn = talk.one("turn")
    assert turn.start_ns == began_ns
    for kind in ("user_speech", "stt"):
        *others, own = talk.all(kind)
        assert own.parent is turn
        assert len(others) == passed
        assert all(stage.parent is talk.session.root for stage in others)
