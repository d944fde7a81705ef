"""Which silences of the bot are gaps of one speech, and which are between two."""

import itertools

from pipecat_dd.conversation.model import Stage
from tests.conversation.talk import Talk

PIECE_SECS = 0.04


class Speaker(Talk):
    """A bot whose output writes in pieces, as a transport does."""

    def __init__(self) -> None:
        super().__init__()
        self._frames = itertools.count(1)

    def gives(self, context_id: str, *answers: Stage) -> None:
        """Give text of these responses to synthesis."""
        self.talk.bot.syntheses.begin(self.tts, self.ns, context_id, list(answers))

    def plays(self, context_id: str, secs: float = 0.4) -> None:
        """Have audio of a synthesis come to the output, and be written and played."""
        bot = self.talk.bot
        bot.synthesis_output(self.tts, self.ns, context_id, secs)
        bot.syntheses.arrive(context_id, secs, self.ns)
        bot.start_speaking(self.ns)
        for _ in range(round(secs / PIECE_SECS)):
            frame_id = next(self._frames)
            bot.voice.begin_write(frame_id, "line", self.ns, PIECE_SECS, is_voice=True)
            bot.write_audio(self.ns, PIECE_SECS, frame_id)
            self.wait(PIECE_SECS)

    def completes(self, context_id: str) -> None:
        """Complete a synthesis, as the service reports it."""
        self.talk.bot.synthesis_ends(self.tts, self.ns, context_id)

    def runs_dry(self, secs: float = 3.0) -> None:
        """Have nothing to play until Pipecat says that the bot has stopped."""
        self.wait(secs)
        self.talk.bot.stop_speaking(self.ns)


def gaps(talk: Talk) -> list[tuple[object, object]]:
    return [
        (s.attributes["bot_speech.gap_count"], s.attributes["bot_speech.gap_seconds"])
        for s in talk.all("bot_speech")
    ]


def test_a_speech_that_ran_dry_and_goes_on_is_one_with_one_gap() -> None:
    talk = Speaker()
    talk.gives("a")
    talk.plays("a")
    talk.runs_dry()
    talk.wait(60)  # its synthesis still goes on, and so does the turn
    talk.plays("a")
    talk.completes("a")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    (gap,) = gaps(talk)
    assert gap[0] == 1
    assert round(float(str(gap[1])), 3) == 63.0
    assert talk.one("session").attributes["session.bot_speech_count"] == 1
    assert len(talk.all("turn")) == 1


def test_a_speech_that_ran_dry_and_never_goes_on_ended_with_its_last_audio() -> None:
    talk = Speaker()
    talk.gives("a")
    talk.plays("a")
    spoken_ns = talk.ns
    talk.runs_dry()
    talk.completes("a")
    talk.wait(5)
    assert talk.one("turn").attributes["turn.outcome"] == "answered"
    speech = talk.one("bot_speech")
    assert spoken_ns - 50_000_000 <= (speech.end_ns or 0) <= spoken_ns
    assert gaps(talk) == [(0, 0.0)]


def test_a_user_who_cuts_in_where_it_ran_dry_cut_it_off_and_heard_no_gap() -> None:
    talk = Speaker()
    talk.gives("a")
    talk.plays("a")
    talk.runs_dry()
    talk.user_speaks()
    talk.ends()
    assert talk.one("bot_speech").attributes["interrupted"] is True
    assert gaps(talk) == [(0, 0.0)]
    assert talk.all("turn")[0].attributes["turn.was_interrupted"] is True


def test_another_answer_is_another_speech_though_the_first_ran_dry() -> None:
    talk = Speaker()
    talk.gives("a")
    talk.plays("a")
    talk.runs_dry()
    talk.completes("a")
    talk.gives("b")
    talk.plays("b")
    talk.completes("b")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    assert gaps(talk) == [(0, 0.0), (0, 0.0)]


def test_two_syntheses_of_one_response_are_one_speech_and_what_is_late_of_it_a_gap() -> None:
    talk = Speaker()
    response = talk.responds()
    talk.gives("a", response)
    talk.plays("a")
    talk.completes("a")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.wait(1)  # the model is still writing
    talk.gives("b", response)
    talk.plays("b")
    talk.response_ends()
    talk.completes("b")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    ((count, secs),) = gaps(talk)
    assert count == 1
    assert round(float(str(secs)), 3) == 1.0


def test_two_answers_that_pipecat_takes_for_one_speech_have_no_gap_between_them() -> None:
    talk = Speaker()
    talk.gives("a")
    talk.plays("a")
    talk.completes("a")
    talk.wait(0.3)
    talk.gives("b")
    talk.plays("b")
    talk.completes("b")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    assert gaps(talk) == [(0, 0.0)]


def test_a_loop_that_stands_still_while_audio_waits_is_a_gap_whatever_the_audio_is() -> None:
    talk = Speaker()
    bot = talk.talk.bot
    bot.syntheses.arrive(None, 1.0, talk.ns)  # of a processor that says nothing of it
    bot.start_speaking(talk.ns)
    for frame_id in range(1, 26):
        bot.voice.begin_write(frame_id, "line", talk.ns, PIECE_SECS, is_voice=True)
        bot.write_audio(talk.ns, PIECE_SECS, frame_id)
        talk.wait(0.3 if frame_id == 10 else PIECE_SECS)
    bot.stop_speaking(talk.ns)
    talk.ends()
    ((count, secs),) = gaps(talk)
    assert count == 1
    assert round(float(str(secs)), 3) == 0.26
