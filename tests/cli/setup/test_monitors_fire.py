"""Each monitor fires where it should, and is silent on a healthy hour and on other people's lines.

What real bots sent of recorded conversations is put together to hours of many bots, and what
``setup`` makes is evaluated over it by a simulator of the few rules that matter. Datadog's two ways
with ``dd.trace_id`` are both tried.
"""

from collections.abc import Callable, Iterator

import pytest

from pipecat_dd.cli.setup.definition import Definition, Kind
from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.options import Options
from tests.cli.setup import recordings
from tests.cli.setup.recordings import SERVICE, SLOW, Hour, Recording, record
from tests.support import queries
from tests.support.datadog_backend import Backend, State, is_entry
from tests.support.datadog_search import Event, found
from tests.support.versions import PIPECAT

THINGS = wanted(Options())
MONITORS = {thing.key: thing for thing in THINGS if thing.kind is Kind.MONITOR}
HOUR = 3600.0
BOTS = 20

READINGS = pytest.mark.parametrize("removes", [True, False], ids=["removed", "kept"])

THEIRS = {
    "timestamp": "2026-01-01T00:00:00.000Z",
    "levelname": "ERROR",
    "name": "cart",
    "message": "could not add the item",
    "session_id": "browser-1",
    "duration_ms": 12.5,
    "error": {"kind": "KeyError"},
    "dd.trace_id": "68c1a2b300000000a1b2c3d4e5f60718",
    "service": "shop",
}
"""A line of another team's: nothing of ours wrote it."""


@pytest.fixture(scope="module")
def told() -> dict[str, Recording]:
    talks = {
        "good": recordings.good,
        "pausing": recordings.pausing,
        "unanswered": recordings.unanswered,
        "failing": recordings.failing,
        "silent": recordings.silent,
    }
    found = {name: record(talk) for name, talk in talks.items()}
    found["slow"] = record(recordings.once, delays=SLOW)
    return found


def busy(hour: Hour, pick: Callable[[int], Recording], sessions: int = 8) -> None:
    """Have twenty bots hold conversations for an hour; what is picked decides how each goes."""
    for bot in range(BOTS):
        for number in range(sessions):
            at = number * HOUR / sessions + bot * 17.0
            hour.session(pick(bot * sessions + number), at, source=f"bot-{bot}")
    process(hour, HOUR)


def process(hour: Hour, until: float, **of: float) -> None:
    """Have each bot's process say what is true of it, once a minute."""
    for bot in range(BOTS):
        for minute in range(int(until / 60)):
            at = minute * 60.0 + 1
            hour.gauge("pipecat.event_loop.lag_seconds", at, of.get("lag", 0.004))
            hour.gauge("pipecat.observer.parts_off", at, of.get("off", 0.0), f"bot-{bot}")
            hour.gauge("pipecat.logs.shipped", at, of.get("shipped", 30.0))
            hour.gauge("pipecat.logs.dropped", at, of.get("dropped", 0.0))


def shop(hour: Hour) -> None:
    """Have another team write thousands of lines, most of them errors without a trace."""
    for number in range(2_000):
        line = dict(THEIRS)
        if number % 2:
            del line["dd.trace_id"]
        hour.backend.line(hour.start + number * HOUR / 2_000, line, env="prod")


def worst(hour: Hour, until: float = HOUR) -> dict[str, State]:
    """Return the worst state that each monitor had for our service; no other may have any."""
    hour.say_running(until)
    moments = hour.moments(until)
    states = {}
    for key, monitor in MONITORS.items():
        history = hour.backend.states(monitor, moments)
        assert set(history) <= {(SERVICE,)}, f"{key} looks at {set(history)}"
        states[key] = max(history.get((SERVICE,), [State.OK]))
    return states


def fired(hour: Hour, until: float = HOUR) -> set[str]:
    return {key for key, state in worst(hour, until).items() if state > State.WARN}


@READINGS
def test_all_are_silent_on_a_healthy_hour_beside_another_teams_lines(
    told: dict[str, Recording], removes: bool
) -> None:
    hour = Hour(Backend(THINGS, removes))
    # A few of each kind of trouble are everyday life.
    rare = {7: "failing", 31: "unanswered", 44: "slow", 61: "silent"}
    busy(hour, lambda number: told[rare.get(number, "good")])
    shop(hour)
    states = worst(hour)
    assert set(states.values()) == {State.OK}, states
    assert hour.backend.refused == []


@READINGS
def test_another_teams_lines_are_neither_touched_nor_counted(removes: bool) -> None:
    hour = Hour(Backend(THINGS, removes))
    shop(hour)
    assert not any(name.startswith("pipecat") for name in hour.backend.metrics.points)
    for event in hour.backend.lines:
        assert "version" not in event.tags
        assert event.attributes.get("levelname") == "ERROR"
        assert event.reserved.get("status") is None


def test_all_are_silent_where_nobody_calls(told: dict[str, Recording]) -> None:
    hour = Hour(Backend(THINGS))
    process(hour, HOUR)
    assert fired(hour) == set()


def test_one_bad_call_in_a_quiet_hour_wakes_nobody(told: dict[str, Recording]) -> None:
    for kind in ("failing", "unanswered", "slow", "silent"):
        hour = Hour(Backend(THINGS))
        hour.session(told[kind], 600)
        hour.session(told["good"], 1200)
        assert fired(hour) == set(), kind


@READINGS
@pytest.mark.parametrize(
    ("kind", "monitors"),
    [
        # A key that is refused: the model can do no more, and the bot says nothing.
        (
            "failing",
            {"failed-turns", "traced-errors", "unusable-service", "silent-sessions"},
        ),
        ("unanswered", {"unanswered-turns"}),
        ("slow", {"slow-answers"}),
        ("silent", {"silent-sessions"}),
    ],
)
def test_each_fires_where_it_should(
    told: dict[str, Recording], kind: str, monitors: set[str], removes: bool
) -> None:
    hour = Hour(Backend(THINGS, removes))
    busy(hour, lambda number: told["good" if number % 2 else kind])
    shop(hour)
    if PIPECAT < (1, 8):  # which does not say whether a service that failed is still usable
        monitors = monitors - {"unusable-service"}
    assert fired(hour) == monitors


def test_a_pause_is_not_an_unanswered_turn(told: dict[str, Recording]) -> None:
    assert _outcomes(told["pausing"]) == [("unanswered", "false"), ("answered", None)]
    assert _outcomes(told["unanswered"]) == [("unanswered", "true"), ("answered", None)]
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: told["pausing"])
    assert fired(hour) == set()


def test_a_model_that_answers_with_nothing_leaves_the_user_waiting() -> None:
    recording = record(recordings.wordless, turn_end_secs=recordings.PAUSE_SECS * 2)
    assert _outcomes(recording) == [("unanswered", "true")]


def _outcomes(recording: Recording) -> list[tuple[str, str | None]]:
    turns = [span for span in recording.spans if span["name"] == "pipecat.turn"]
    return [
        (one["meta"]["turn.outcome"], one["meta"].get("turn.left_waiting"))
        for one in sorted(turns, key=lambda one: one["start"])
    ]


def test_services_that_are_lost_for_good_fire(told: dict[str, Recording]) -> None:
    lost = told["failing"].with_tag("pipecat.errors", "usable", "false")
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: lost if number % 4 == 0 else told["good"])
    assert "unusable-service" in fired(hour)
    well = told["failing"].with_tag("pipecat.errors", "usable", "true")
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: well if number % 4 == 0 else told["good"])
    assert "unusable-service" not in fired(hour)


@pytest.mark.parametrize("reason", ["failed", "lost_end", "exited", "terminated"])
def test_sessions_that_end_as_nobody_meant_fire(told: dict[str, Recording], reason: str) -> None:
    bad = told["good"].with_tag("pipecat.sessions.ended", "end_reason", reason)
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: bad if number % 4 == 0 else told["good"])
    assert fired(hour) == {"abnormal-ends"}


@pytest.mark.parametrize("reason", ["cancelled", "stopped", "idle_timeout"])
def test_sessions_that_end_as_callers_end_them_do_not(
    told: dict[str, Recording], reason: str
) -> None:
    usual = told["good"].with_tag("pipecat.sessions.ended", "end_reason", reason)
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: usual)
    assert fired(hour) == set()


class TestSessionsThatNeverEnd:
    def test_killed_ones_fire(self, told: dict[str, Recording]) -> None:
        killed = told["good"].without(
            spans=("pipecat.session",),
            metrics=("pipecat.sessions.ended", "pipecat.session.duration_seconds"),
        )
        hour = Hour(Backend(THINGS))
        busy(hour, lambda number: killed if number % 4 == 0 else told["good"])
        assert fired(hour) == {"sessions-not-ended"}

    def test_running_ones_do_not(self, told: dict[str, Recording]) -> None:
        hour = Hour(Backend(THINGS))
        busy(hour, lambda number: told["good"])
        # More and more calls, and long ones: all of them are still running.
        for number in range(60):
            hour.session(told["good"], number * 60.0, secs=10 * HOUR, source=f"long-{number}")
        assert fired(hour) == set()

    def test_running_ones_that_are_killed_fire(self, told: dict[str, Recording]) -> None:
        hour = Hour(Backend(THINGS))
        busy(hour, lambda number: told["good"])
        started = [one for one in told["good"].metrics if one[0] == "pipecat.sessions.started"]
        for number in range(60):
            hour.session(Recording([], [], started), number * 30.0, 600.0, source=f"long-{number}")
        assert fired(hour) == {"sessions-not-ended"}


def test_no_session_where_there_always_are_some_fires_once_it_is_long_enough(
    told: dict[str, Recording],
) -> None:
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: told["good"])
    moments = hour.moments(24 * HOUR, every=HOUR, since=HOUR)
    states = hour.backend.states(MONITORS["no-sessions"], moments)[SERVICE,]
    assert states[18] is State.OK
    assert states[21] is State.NO_DATA
    (never,) = [hour.backend.states(MONITORS["no-sessions"], [hour.start - HOUR])]
    assert never == {}


@READINGS
def test_lines_without_their_trace_fire(told: dict[str, Recording], removes: bool) -> None:
    hour = Hour(Backend(THINGS, removes))
    lost = told["good"].without_ids()
    busy(hour, lambda number: lost if number % 4 == 0 else told["good"])
    assert fired(hour) == {"lines-out-of-context"}


@pytest.mark.parametrize(
    ("monitor", "of"),
    [
        ("event-loop-lag", {"lag": 0.4}),
        ("parts-off", {"off": 1.0}),
        ("lines-dropped", {"shipped": 0.0, "dropped": 30.0}),
        ("lines-dropped", {"dropped": 1.0}),
    ],
)
def test_what_is_wrong_with_a_process_or_with_ourselves_fires(
    told: dict[str, Recording], monitor: str, of: dict[str, float]
) -> None:
    hour = Hour(Backend(THINGS))
    process(hour, HOUR, **of)
    assert fired(hour) == {monitor}


def test_an_alert_recovers_when_the_trouble_is_over(told: dict[str, Recording]) -> None:
    hour = Hour(Backend(THINGS))
    busy(hour, lambda number: told["failing" if number % 8 < 3 else "good"])
    for bot in range(BOTS):
        for number in range(8):
            hour.session(told["good"], HOUR + number * HOUR / 8 + bot * 17.0)
    states = hour.backend.states(MONITORS["failed-turns"], hour.moments(2 * HOUR))[SERVICE,]
    assert State.ALERT in states
    assert states[-1] is State.OK


class TestTheSimulator:
    """It would see the faults that there were."""

    def test_what_dd_finds_depends_on_the_reading(self, told: dict[str, Recording]) -> None:
        (line,) = [one for one in told["good"].lines if "about to speak" in one["message"]][:1]
        assert line["dd.trace_id"] == line["pipecat.trace_id"]
        for removes, number in ((True, 0), (False, 1)):
            backend = Backend(THINGS, removes)
            backend.line(0.0, line)
            (event,) = backend.lines
            assert sum(found("@dd.trace_id:*", one) for one in (event,)) == number
            assert found("-@dd.trace_id:* @session_id:*", event) is removes
            assert found("@pipecat.trace_id:*", event)
            assert found(f"trace_id:{line['pipecat.trace_id']}", event)

    def test_a_remapper_takes_the_field_by_either_reading(self, told: dict[str, Recording]) -> None:
        (pipeline,) = (thing for thing in THINGS if thing.kind is Kind.PIPELINE)
        remapper = {"type": "trace-id-remapper", "sources": ["dd.trace_id"]}
        body = {**pipeline.body, "processors": [remapper, *pipeline.body["processors"]]}
        backend = Backend([Definition(Kind.PIPELINE, "lines", "", body)], removes=False)
        backend.line(0.0, next(one for one in told["good"].lines if "dd.trace_id" in one))
        assert not found("@dd.trace_id:*", backend.lines[0])

    def test_a_tag_is_no_attribute_nor_the_other_way(self) -> None:
        event = Event(0.0, {"service": "a", "status": "error"}, {"env": "prod"}, {"n": 3, "a": "b"})
        assert found("service:a env:prod status:error @a:b @n:>2", event)
        assert not found("@env:prod", event)
        assert not found("a:b", event)
        assert not found("@service:a", event)
        assert found("-@env:* NOT a:*", event)

    def test_a_chunk_of_two_traces_is_refused(self, told: dict[str, Recording]) -> None:
        backend = Backend(THINGS)
        chunk = next([*map(dict, one)] for one in told["good"].chunks if len(one) > 1)
        chunk[0] = {**chunk[0], "meta": {**chunk[0]["meta"], "_dd.p.tid": "f" * 16}}
        chunk[1] = {**chunk[1], "meta": {**chunk[1]["meta"], "_dd.p.tid": "e" * 16}}
        backend.chunk(0.0, chunk)
        assert len(backend.refused) == len(chunk)
        assert backend.spans == []

    def test_free_metrics_are_of_entry_spans_and_measured_ones(
        self, told: dict[str, Recording]
    ) -> None:
        backend = Backend(THINGS)
        for chunk in told["good"].chunks:
            backend.chunk(0.0, chunk)
        for kind, count in (("session", 1), ("turn", 2), ("llm", 2), ("tts", 2), ("stt", 2)):
            hits = backend.metrics.points[f"trace.pipecat.{kind}.hits"]
            assert sum(point.value for point in hits) == count, kind
        entries = {s["name"] for s in told["good"].spans if is_entry(s)}
        assert "pipecat.session" in entries
        assert "trace.pipecat.frame.hits" not in backend.metrics.points


@READINGS
def test_every_search_finds_something_of_ours_and_nothing_of_theirs(
    told: dict[str, Recording], removes: bool
) -> None:
    hour = Hour(Backend(THINGS, removes))
    for number, recording in enumerate((*told.values(), told["good"].without_ids())):
        hour.session(recording, number)
    shop(hour)
    nothing = []
    for where, source, query in _searches():
        events = hour.backend.lines if source == "lines" else hour.backend.spans
        seen = [one for one in events if found(query, one)]
        assert not any(one.reserved.get("service") == "shop" for one in seen), (where, query)
        if not seen:
            nothing.append((where, query))
    rare = (
        *("processor.usable", "end_reason:", "duration_ms", "latency_seconds:>", "error_count"),
        *("voice_gap", "blocked", "silence", "first_speech", "no_user_audio", "reconnect"),
    )
    assert [one for one in nothing if not any(word in one[1] for word in rare)] == []


REMAPPERS = Definition(
    Kind.PIPELINE,
    "organisation",
    "",
    {
        "filter": {"query": "*"},
        "processors": [
            {"type": "trace-id-remapper", "sources": ["dd.trace_id"]},
            {"type": "span-id-remapper", "sources": ["dd.span_id"]},
        ],
    },
)
"""A pipeline that an organisation has of its own, before ours."""


def test_what_becomes_of_dd_trace_id_changes_nothing_that_is_found_or_counted(
    told: dict[str, Recording],
) -> None:
    lost = told["good"].without_ids()
    kinds = [*told.values(), lost, lost]
    seen = {}
    for way, backend in {
        "kept": Backend(THINGS, removes=False),
        "removed": Backend(THINGS, removes=True),
        "remapped": Backend([REMAPPERS, *THINGS], removes=False),
    }.items():
        hour = Hour(backend)
        busy(hour, lambda number: kinds[number % len(kinds)])
        shop(hour)
        kept = sum("dd.trace_id" in one.attributes for one in backend.lines)
        assert (kept > 0) is (way == "kept")
        assert all(
            one.reserved.get("trace_id") == one.attributes["pipecat.trace_id"]
            for one in backend.lines
            if "pipecat.trace_id" in one.attributes
        ), "the click from a line to its trace"
        found_by = {
            (where, query): [found(query, one) for one in backend.lines].count(True)
            for where, source, query in _searches()
            if source == "lines"
        }
        counted = {
            thing.key: sum(point.value for point in backend.metrics.points.get(thing.key, ()))
            for thing in THINGS
            if thing.kind is Kind.LINE_METRIC
        }
        assert len(found_by) > 10
        assert counted["pipecat_dd.lines.out_of_context"] > 0
        seen[way] = found_by, counted, worst(hour)
    assert seen["kept"] == seen["removed"] == seen["remapped"]
    assert seen["kept"][2]["lines-out-of-context"] is State.ALERT


def _searches() -> Iterator[tuple[str, str, str]]:
    """Yield each search that is made: where, of what, and what for."""
    for thing in THINGS:
        body = thing.body
        if thing.kind in (Kind.LINE_METRIC, Kind.SPAN_METRIC, Kind.PIPELINE, Kind.RETENTION):
            of_lines = thing.kind in (Kind.LINE_METRIC, Kind.PIPELINE)
            yield thing.key, "lines" if of_lines else "spans", _plain(body["filter"]["query"])
        elif thing.kind is Kind.MONITOR:
            for one in body["options"].get("variables", ()):
                yield thing.key, "lines", one["search"]["query"]
        elif thing.kind is Kind.DASHBOARD:
            for title, query in _of_widgets(body["widgets"]):
                yield title, *query


def _of_widgets(widgets: list[dict]) -> Iterator[tuple[str, tuple[str, str]]]:
    for widget in widgets:
        definition = widget["definition"]
        yield from _of_widgets(definition.get("widgets", []))
        for request in definition.get("requests", ()):
            stream = request.get("query")
            if stream is not None:
                source = "spans" if stream["data_source"] == "trace_stream" else "lines"
                yield definition["title"], (source, _plain(stream["query_string"]))
            for query in request.get("queries", ()):
                if query["data_source"] != "metrics":
                    source = "lines" if query["data_source"] == "logs" else "spans"
                    yield definition["title"], (source, _plain(query["search"]["query"]))


def _plain(query: str) -> str:
    words = query.replace("-managed-by:pipecat-dd", "").split()
    return " ".join(word for word in words if not word.startswith("$"))


def test_every_monitor_is_evaluated() -> None:
    assert all(queries.monitor(one.body["query"]).window for one in MONITORS.values())
    assert len(MONITORS) == 19
