"""Rulings by themselves: whatever comes, in whatever order, the sum is one that can be."""

from hypothesis import given
from hypothesis import strategies as st

from pipecat_dd.conversation.rulings import MAX_KEPT, Rulings, Verdict
from tests.conversation.talk import SECOND, Talk


def note(rulings: Rulings, what: str, at_ns: int) -> None:
    if what in ("complete", "incomplete", "revised"):
        rulings.note(
            at_ns,
            is_complete=what != "incomplete",
            probability=0.5,
            inference_secs=0.25,
            is_revised=what == "revised",
        )
    elif what == "speech":
        rulings.note_speech(at_ns)
    elif what == "timeout":
        rulings.time_out(at_ns)
    elif what == "prediction":
        rulings.note_prediction(at_ns)
    elif what == "withdrawal":
        rulings.withdraw(at_ns)
    else:
        rulings.note_confidence(at_ns, 0.75)


def summed_up(*whats: str, since: int = 0) -> Verdict:
    """Return the verdict on what came, one a second."""
    rulings = Rulings()
    for second, what in enumerate(whats):
        note(rulings, what, second * SECOND)
    return rulings.settle(since * SECOND, len(whats) * SECOND)


WHATS = (
    *("complete", "incomplete", "revised", "speech", "timeout"),
    *("prediction", "withdrawal", "confidence"),
)


@given(st.lists(st.sampled_from(WHATS), max_size=MAX_KEPT), st.integers(0, 20))
def test_any_order_of_rulings_has_a_sum(whats: list[str], since: int) -> None:
    verdict = summed_up(*whats, since=since)
    ruled = [what for what in whats[since:] if what in ("complete", "incomplete", "revised")]
    assert verdict.outcome in ("completed", "timed_out", "resumed")
    if verdict.incomplete_count is None:
        assert not ruled
    else:
        assert 0 <= verdict.incomplete_count <= whats[since:].count("incomplete")
    assert (verdict.after_ruling_secs is None) == (not ruled)
    if verdict.outcome == "resumed":
        assert {"speech", "withdrawal"} & set(whats[since:])
    if verdict.probability is not None:
        assert 0 <= verdict.probability <= 1


@given(st.lists(st.sampled_from(WHATS)))
def test_nothing_is_left_for_the_next_turn(whats: list[str]) -> None:
    rulings = Rulings()
    for second, what in enumerate(whats):
        note(rulings, what, second * SECOND)
    rulings.settle(0, len(whats) * SECOND)
    assert rulings.settle(0, len(whats) * SECOND) == Verdict()
    assert not rulings.is_waiting


def test_what_each_story_comes_to() -> None:
    stories = {
        ("complete",): ("completed", 0),
        ("speech", "complete"): ("completed", 0),
        ("incomplete",): ("timed_out", 1),
        ("incomplete", "timeout"): ("timed_out", 1),
        ("timeout",): ("timed_out", None),
        ("incomplete", "timeout", "complete"): ("timed_out", 1),
        ("incomplete", "speech", "complete"): ("resumed", 1),
        ("complete", "speech", "complete"): ("resumed", 0),
        ("incomplete", "speech", "incomplete"): ("timed_out", 2),
        # A model that listens all the time thought better of it.
        ("incomplete", "revised"): ("completed", 0),
        ("prediction", "withdrawal", "prediction"): ("resumed", 0),
        ("prediction",): ("completed", 0),
        (): ("completed", None),
    }
    for story, expected in stories.items():
        verdict = summed_up(*story)
        assert (verdict.outcome, verdict.incomplete_count) == expected, story


def test_a_service_s_confidence_counts_only_where_it_rules() -> None:
    assert summed_up("confidence").probability is None
    assert summed_up("confidence", "prediction").probability == 0.75
    assert summed_up("confidence", "prediction", "complete").probability == 0.5


def test_a_ruling_on_a_cough_is_not_the_next_turn_s() -> None:
    talk = Talk()
    talk.user_speaks(0.1, ruled=False)
    talk.talk.user.rulings.note(talk.ns, is_complete=False, probability=0.125)
    talk.wait(8)
    talk.user_speaks()
    talk.talk.user.rulings.note(talk.ns, is_complete=True, probability=0.875)
    talk.transcribed()
    talk.user_turn_ends()
    talk.ends()
    ruled = talk.one("end_of_turn")
    assert ruled.attributes["end_of_turn.incomplete_count"] == 0
    assert ruled.attributes["end_of_turn.probability"] == 0.875
    assert ruled.attributes["end_of_turn.outcome"] == "completed"
