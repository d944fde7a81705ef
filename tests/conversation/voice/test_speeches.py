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


def test_a_gap_while_the_user_speaks_over_the_bot_is_counted_in_the_turn_that_goes_on() -> None:
    talk = Speaker()
    talk.gives("a")
    talk.plays("a")
    talk.talk.user.start_speaking(talk.ns, "vad")
    talk.talk.user.start_turn(talk.ns)  # the user may not interrupt
    talk.plays("a", 0.8)  # meanwhile the first turn has closed
    talk.wait(0.5)
    talk.plays("a")
    talk.completes("a")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    of_turns = [t.attributes.get("turn.voice_gap_seconds", 0.0) for t in talk.all("turn")]
    assert len(of_turns) == 2
    assert [round(float(str(secs)), 3) for secs in of_turns] == [0.0, 0.5]
    assert talk.one("session").attributes["session.voice_gap_count"] == 1


def test_gaps_too_short_to_count_add_up_in_a_voice_that_is_slower_than_speech() -> None:
    talk = Speaker()
    talk.gives("a")
    for _ in range(50):  # at 0.8 of the speed of speech
        talk.plays("a", PIECE_SECS)
        talk.wait(0.01)
    talk.completes("a")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    ((count, secs),) = gaps(talk)
    assert count in (10, 11, 12)
    assert 0.44 <= float(str(secs)) <= 0.49
    longest = talk.one("bot_speech").attributes["bot_speech.longest_gap_seconds"]
    assert 0.04 <= float(str(longest)) <= 0.05


def test_short_gaps_far_apart_do_not_add_up() -> None:
    talk = Speaker()
    talk.gives("a")
    for _ in range(5):
        talk.plays("a", 2.0)
        talk.wait(0.03)
    talk.completes("a")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    assert gaps(talk) == [(0, 0.0)]


def test_no_gap_is_reported_longer_than_twice_the_silence_that_was_heard() -> None:
    talk = Speaker()
    talk.gives("a")
    for _ in range(20):  # each piece is as long as the silence that follows
        talk.plays("a", PIECE_SECS)
        talk.wait(0.05)
    talk.completes("a")
    talk.talk.bot.stop_speaking(talk.ns)
    talk.ends()
    speech = talk.one("bot_speech").attributes
    assert round(float(str(speech["bot_speech.gap_seconds"])), 3) == 0.95
    assert round(float(str(speech["bot_speech.longest_gap_seconds"])), 3) == 0.1


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
