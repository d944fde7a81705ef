"""The monitors of how calls sound fire where many calls sound bad, and are silent where few do.

What a good bot sends of a conversation is recorded; what a bad one would send besides is added to
it. Of a real bad one, the conversation's own tests have the attributes, and test_stages.py the
metrics that are made of them.
"""

from collections.abc import Callable

import pytest

from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.options import Options
from tests.cli.setup import recordings
from tests.cli.setup.recordings import Hour, Recording, record
from tests.cli.setup.test_monitors_fire import HOUR, THINGS, busy, fired, worst
from tests.support.datadog_backend import Backend, State

TRANSPORT = "QuickOutput"
FIRST_SPEECH = "pipecat.session.first_speech_seconds"
SILENCE = "pipecat.session.longest_silence_seconds"
BOTS_SILENCE = "pipecat.session.longest_bot_silence_seconds"
BLOCKED = "pipecat.event_loop.blocked_seconds"

Sound = Callable[[Recording], Recording]


def silent_for(call: Recording, secs: float, within: str) -> Recording:
    """Return a call in which the bot owed an answer, and nobody spoke for so long."""
    tags = {"transport": TRANSPORT, "within": within}
    return call.without(metrics=(BOTS_SILENCE,)).with_metric(BOTS_SILENCE, secs, **tags)


def thinking_for(call: Recording, secs: float, within: str) -> Recording:
    """Return a call in which the user thought for so long, which was its longest silence."""
    tags = {"transport": TRANSPORT, "silence_of": "user", "within": within}
    return call.without(metrics=(SILENCE,)).with_metric(SILENCE, secs, **tags)


def greeted_after(call: Recording, secs: float, within: str) -> Recording:
    tags = {"transport": TRANSPORT, "within": within}
    return call.without(metrics=(FIRST_SPEECH,)).with_metric(FIRST_SPEECH, secs, **tags)


def with_event(call: Recording, event: str, outcome: str = "failed") -> Recording:
    tags = {"event": event, "outcome": outcome, "provider": "deepgram"}
    return call.with_metric("pipecat.service.events", 1, **tags)


@pytest.fixture(scope="module")
def good() -> Recording:
    """A call that sounds as it should, with what is everyday life."""
    call = greeted_after(record(recordings.good), 1.2, "2s")
    return silent_for(thinking_for(call, 6.0, "8s"), 1.2, "2s")


BAD: dict[str, tuple[Sound, str]] = {
    "gaps": (
        lambda call: call.with_metric("pipecat.voice_gaps", 2, transport=TRANSPORT),
        "voice-gaps",
    ),
    "blocked": (
        lambda call: call.with_metric(BLOCKED, 0.4, count=2, cause="code"),
        "event-loop-blocked",
    ),
    "dead air": (lambda call: silent_for(call, 11.0, "later"), "dead-air"),
    "dead air that a user's thinking exceeds": (
        lambda call: silent_for(thinking_for(call, 40.0, "later"), 11.0, "later"),
        "dead-air",
    ),
    "slow": (lambda call: greeted_after(call, 9.0, "later"), "slow-hello"),
    "unheard": (
        lambda call: call.with_metric("pipecat.user_audio.missing", 1, transport=TRANSPORT),
        "no-user-audio",
    ),
    "lost": (lambda call: with_event(call, "on_disconnected"), "connections-lost"),
    "refused": (lambda call: with_event(call, "on_connection_error"), "connections-lost"),
}


@pytest.mark.parametrize(("sound", "monitor"), BAD.values(), ids=BAD)
def test_half_of_the_calls_fire_their_monitor_and_no_other(
    good: Recording, sound: Sound, monitor: str
) -> None:
    hour = Hour(Backend(THINGS))
    bad = sound(good)
    busy(hour, lambda number: good if number % 2 else bad)
    assert fired(hour) == {monitor}


def test_a_bad_call_of_each_kind_among_many_wakes_nobody(good: Recording) -> None:
    hour = Hour(Backend(THINGS))
    bad = {7 + 23 * place: sound(good) for place, (sound, _) in enumerate(BAD.values())}
    busy(hour, lambda number: bad.get(number, good))
    states = worst(hour)
    assert set(states.values()) == {State.OK}, states


def test_the_only_call_of_a_quiet_hour_wakes_nobody(good: Recording) -> None:
    for sound, monitor in BAD.values():
        hour = Hour(Backend(THINGS))
        hour.session(sound(good), 600)
        assert fired(hour) == set(), monitor


def test_what_is_everyday_life_wakes_nobody(good: Recording) -> None:
    thinking = thinking_for(good, 40.0, "later")
    waiting = silent_for(greeted_after(good, 4.0, "5s"), 7.0, "8s")
    hung_up = with_event(good, "on_disconnected", "completed")
    other = with_event(good, "on_some_other_failure")
    usual = thinking, waiting, hung_up, other
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: usual[number % len(usual)])
    assert fired(hour) == set()


def test_a_bot_that_is_refused_before_its_first_turn_is_seen() -> None:
    started = ("pipecat.sessions.started", 1.0, {"transport": TRANSPORT})
    refused = with_event(Recording(metrics=[started]), "on_connection_error")
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: refused)
    assert "connections-lost" in fired(hour)


@pytest.mark.parametrize(
    ("options", "key", "values"),
    [
        (Options(dead_air_secs=3), "dead-air", "(5s,8s,later)"),
        (Options(slow_hello_secs=1), "slow-hello", "(2s,3s,5s,8s,later)"),
        (Options(slow_hello_secs=8), "slow-hello", "(later)"),
    ],
)
def test_how_long_is_too_long_is_what_the_user_says(
    options: Options, key: str, values: str
) -> None:
    (monitor,) = (thing for thing in wanted(options) if thing.key == key)
    assert f"within IN {values}" in monitor.body["query"]
    secs = options.dead_air_secs if key == "dead-air" else options.slow_hello_secs
    assert f"{secs} seconds" in monitor.body["message"]


def test_an_alert_recovers_when_calls_sound_well_again(good: Recording) -> None:
    hour = Hour(Backend(THINGS))
    bad = BAD["gaps"][0](good)
    busy(hour, lambda number: bad if number % 8 < 3 else good)
    for bot in range(20):
        for number in range(8):
            hour.session(good, HOUR + number * HOUR / 8 + bot * 17.0)
    (monitor,) = (thing for thing in THINGS if thing.key == "voice-gaps")
    (states,) = hour.backend.states(monitor, hour.moments(2 * HOUR)).values()
    assert State.ALERT in states
    assert states[-1] is State.OK
