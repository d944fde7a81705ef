"""Which metrics a stage yields for which attributes, where real conversations seldom have them."""

import math
from typing import Any

import pytest

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Kind, Session, Stage
from pipecat_dd.export.metrics import stages
from pipecat_dd.export.metrics.values import MAX_VALUES, OTHER, Values
from pipecat_dd.names import metrics, tags

TRANSPORT = {"transport": "DailyTransport"}


def session(**attributes: AttributeValue) -> Stage:
    own = Session("s-1", "bot")
    root = own.root = Stage(Kind.SESSION, own, None, "bot", 0, end_ns=60_000_000_000)
    root.attributes = {tags.TRANSPORT: "DailyTransport", **attributes}
    return root


def ended(kind: Kind, resource: str, attributes: dict[str, AttributeValue]) -> Stage:
    root = session()
    return Stage(kind, root.session, root, resource, 0, 1_000_000_000, attributes=attributes)


def yielded(stage: Stage, *names: str) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """Return the values of some metrics, each with the tags that are sent."""
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {name: [] for name in names}
    for sample in stages.closed(stage):
        if sample.metric in found:
            sent = {name: value for name, value in sample.tags.items() if value is not None}
            found[sample.metric].append((sample.value, sent))
    return found


def only(stage: Stage, name: str) -> tuple[float, dict[str, Any]]:
    (one,) = yielded(stage, name)[name]
    return one


SOUND = (
    metrics.SESSION_FIRST_SPEECH_SECONDS,
    metrics.SESSION_LONGEST_SILENCE_SECONDS,
    metrics.SESSION_LONGEST_BOT_SILENCE_SECONDS,
    metrics.SPEECH_SECONDS,
    metrics.USER_AUDIO_MISSING,
)


def test_a_session_says_how_it_sounded() -> None:
    stage = session(
        **{
            tags.SESSION_FIRST_SPEECH_SECONDS: 1.4,
            tags.SESSION_LONGEST_SILENCE_SECONDS: 9.5,
            tags.SESSION_LONGEST_SILENCE_OF: "user",
            tags.SESSION_LONGEST_BOT_SILENCE_SECONDS: 4.5,
            tags.SESSION_USER_SPEECH_SECONDS: 12.5,
            tags.SESSION_BOT_SPEECH_SECONDS: 30.25,
            tags.SESSION_NO_USER_AUDIO_COUNT: 2,
        }
    )
    first, silence, bots_silence, speech, missing = SOUND
    assert yielded(stage, *SOUND) == {
        first: [(1.4, TRANSPORT | {"within": "2s"})],
        silence: [(9.5, TRANSPORT | {"silence_of": "user", "within": "later"})],
        bots_silence: [(4.5, TRANSPORT | {"within": "5s"})],
        speech: [
            (12.5, TRANSPORT | {"speaker": "user"}),
            (30.25, TRANSPORT | {"speaker": "bot"}),
        ],
        missing: [(2, TRANSPORT)],
    }


@pytest.mark.parametrize("attributes", [{}, {tags.SESSION_NO_USER_AUDIO_COUNT: 0}])
def test_what_is_not_known_of_a_session_and_what_never_happened_is_not_sent(
    attributes: dict[str, AttributeValue],
) -> None:
    assert not any(yielded(session(**attributes), *SOUND).values())


def test_a_session_ends_with_the_bots_own_word_if_there_is_one() -> None:
    _, sent = only(session(**{tags.SESSION_OUTCOME: "booked"}), metrics.SESSIONS_ENDED)
    assert sent["session_outcome"] == "booked"
    assert "session_outcome" not in only(session(), metrics.SESSIONS_ENDED)[1]


def test_a_bot_that_makes_up_outcomes_has_a_limited_number_of_them() -> None:
    values = Values()
    sent = {
        values.tag(name, value)
        for number in range(MAX_VALUES * 2)
        for sample in stages.closed(session(**{tags.SESSION_OUTCOME: f"outcome-{number}"}))
        for name, value in sample.tags.items()
        if name == "session_outcome"
    }
    assert len(sent) == MAX_VALUES + 1
    assert f"session_outcome:{OTHER}" in sent


def test_the_bots_speeches_and_the_gaps_in_them_are_counted() -> None:
    names = metrics.BOT_SPEECHES, metrics.VOICE_GAPS, metrics.VOICE_GAP_SECONDS
    broken = {
        tags.BOT_SPEECH_GAP_COUNT: 2,
        tags.BOT_SPEECH_GAP_SECONDS: 0.75,
        tags.BOT_SPEECH_LONGEST_GAP_SECONDS: 0.5,
    }
    speeches, gaps, longest = names
    assert yielded(ended(Kind.BOT_SPEECH, "bot", broken), *names) == {
        speeches: [(1, TRANSPORT)],
        gaps: [(2, TRANSPORT)],
        longest: [(0.5, TRANSPORT)],
    }
    whole = {tags.BOT_SPEECH_GAP_COUNT: 0, tags.BOT_SPEECH_LONGEST_GAP_SECONDS: 0.0}
    assert yielded(ended(Kind.BOT_SPEECH, "bot", whole), *names) == {
        speeches: [(1, TRANSPORT)],
        gaps: [],
        longest: [],
    }


def test_the_users_audio_is_measured_by_its_gaps_and_its_level() -> None:
    names = (
        metrics.USER_AUDIO_GAPS,
        metrics.USER_AUDIO_GAP_SECONDS,
        metrics.USER_AUDIO_LEVEL_DBFS,
    )
    attributes = {
        tags.USER_AUDIO_GAP_COUNT: 3,
        tags.USER_AUDIO_LONGEST_GAP_SECONDS: 0.3,
        tags.USER_AUDIO_LEVEL_DBFS: -41.5,
    }
    gaps, longest, level = names
    assert yielded(ended(Kind.USER_SPEECH, "SileroVADAnalyzer", attributes), *names) == {
        gaps: [(3, TRANSPORT)],
        longest: [(0.3, TRANSPORT)],
        level: [(-41.5, TRANSPORT)],
    }


def test_the_level_of_nothing_but_zeros_is_not_sent() -> None:
    stage = ended(Kind.USER_SPEECH, "user", {tags.USER_AUDIO_LEVEL_DBFS: -math.inf})
    assert yielded(stage, metrics.USER_AUDIO_LEVEL_DBFS) == {metrics.USER_AUDIO_LEVEL_DBFS: []}


def test_a_services_event_is_counted_by_its_name_and_provider() -> None:
    attributes = {tags.GEN_AI_PROVIDER_NAME: "deepgram"}
    stage = ended(Kind.SERVICE_EVENT, "on_connection_error", attributes)
    assert only(stage, metrics.SERVICE_EVENTS) == (
        1,
        {"event": "on_connection_error", "provider": "deepgram", "outcome": "completed"},
    )
    assert yielded(stage, metrics.SERVICE_RECONNECT_SECONDS) == {
        metrics.SERVICE_RECONNECT_SECONDS: []
    }


def test_a_connection_that_is_made_again_says_how_long_there_was_none() -> None:
    attributes: dict[str, AttributeValue] = {
        tags.GEN_AI_PROVIDER_NAME: "deepgram",
        tags.CONNECTION_LOST_SECONDS: 2.5,
    }
    stage = ended(Kind.SERVICE_EVENT, "on_connected", attributes)
    assert only(stage, metrics.SERVICE_RECONNECT_SECONDS) == (2.5, {"provider": "deepgram"})


def test_an_event_of_no_service_has_no_provider() -> None:
    stage = ended(Kind.SERVICE_EVENT, "on_user_mute_started", {})
    sent = {"event": "on_user_mute_started", "outcome": "completed"}
    assert only(stage, metrics.SERVICE_EVENTS) == (1, sent)


def test_an_event_that_reports_a_failure_is_one_of_the_errors_too() -> None:
    stage = ended(Kind.SERVICE_EVENT, "on_disconnected", {tags.GEN_AI_PROVIDER_NAME: "deepgram"})
    stage.fail(Failure("ConnectionLost", "the connection was lost"))
    sent = {"event": "on_disconnected", "provider": "deepgram", "outcome": "failed"}
    assert only(stage, metrics.SERVICE_EVENTS) == (1, sent)
    count, by = only(stage, metrics.ERRORS)
    assert count == 1
    assert by["stage"] == "service.event"
    assert by["provider"] == "deepgram"


def test_events_that_came_at_once_are_all_counted() -> None:
    stage = ended(Kind.SERVICE_EVENT, "on_speech_activity", {tags.EVENT_COUNT: 40})
    assert only(stage, metrics.SERVICE_EVENTS)[0] == 40


def test_rulings_that_the_user_had_not_finished_are_counted_by_strategy() -> None:
    attributes = {tags.END_OF_TURN_INCOMPLETE_COUNT: 2, tags.END_OF_TURN_OUTCOME: "timed_out"}
    stage = ended(Kind.END_OF_TURN, "TurnAnalyzerStrategy", attributes)
    strategy = {"strategy": "TurnAnalyzerStrategy"}
    assert only(stage, metrics.END_OF_TURN_INCOMPLETE) == (2, strategy)
    assert only(stage, metrics.END_OF_TURN_SECONDS) == (1, strategy | {"outcome": "timed_out"})
