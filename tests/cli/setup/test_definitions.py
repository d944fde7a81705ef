"""What is made names only what is sent, asks for it as Datadog's languages want it, and fits."""

import copy
import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.metric_metadata import MetricMetadata
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest
from datadog_api_client.v2.model.metric_tag_configuration_create_request import (
    MetricTagConfigurationCreateRequest,
)
from datadog_api_client.v2.model.retention_filter_create_request import (
    RetentionFilterCreateRequest,
)
from datadog_api_client.v2.model.spans_metric_create_request import SpansMetricCreateRequest

from pipecat_dd.cli import PAGES
from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.exporting import request_body, unmarked
from pipecat_dd.cli.setup.facets import FACETS
from pipecat_dd.cli.setup.options import APPS, BadOptionError, Options
from tests.cli.setup.naming import Checker
from tests.support.datadog_models import mistakes

THINGS = wanted(Options())
SCOPED = wanted(Options(service="bot", env="prod", notify=("@slack-voice",)))
ROOT = Path(__file__).parents[3]
MONITORS = {thing.key: thing for thing in THINGS if thing.kind is Kind.MONITOR}

MODELS = {
    Kind.DASHBOARD: Dashboard,
    Kind.MONITOR: Monitor,
    Kind.PIPELINE: LogsPipeline,
    Kind.LINE_METRIC: LogsMetricCreateRequest,
    Kind.SPAN_METRIC: SpansMetricCreateRequest,
    Kind.PERCENTILES: MetricTagConfigurationCreateRequest,
    Kind.DESCRIPTION: MetricMetadata,
    Kind.RETENTION: RetentionFilterCreateRequest,
}


@pytest.mark.parametrize("things", [THINGS, SCOPED], ids=["all", "scoped"])
def test_definitions_name_only_what_is_sent_and_every_query_parses(things):
    checker = Checker()
    assert checker.check(things) == []
    assert checker.checked > 100


@pytest.mark.parametrize(
    ("kind", "key", "old", "new", "words"),
    [
        (Kind.LINE_METRIC, "pipecat_dd.lines", "@session_id", "@sessionid", "@sessionid"),
        (Kind.LINE_METRIC, "pipecat_dd.lines", "@pipecat.version:* ", "", "other people's"),
        (Kind.LINE_METRIC, "pipecat_dd.lines.traced_errors", "ERROR OR", "Error OR", "never Error"),
        (
            Kind.LINE_METRIC,
            "pipecat_dd.lines.traced_errors",
            "@pipecat.trace_id:*",
            "@dd.trace_id:*",
            "takes dd.* off",
        ),
        (Kind.MONITOR, "lines-out-of-context", "@pipecat.version:* ", "", "other people's"),
        (Kind.MONITOR, "lines-out-of-context", "part / (whole", "part / (all", "does not count"),
        (Kind.MONITOR, "event-loop-lag", "lag_seconds{", "lag_ms{", "no metric"),
        (Kind.MONITOR, "event-loop-lag", "percentile(last_15m)", "avg(last_15m)", "percentile"),
        (Kind.MONITOR, "event-loop-lag", "p95:", "max:", "percentile of"),
        (Kind.MONITOR, "failed-turns", "turn.errors{", "turns.errors{", "no metric"),
        (Kind.MONITOR, "failed-turns", "trace.pipecat.turn.hits", "trace.pipecat.frame.hits", "no"),
        (Kind.MONITOR, "unanswered-turns", "left_waiting:true", "left_waiting:yes", "never yes"),
        (Kind.MONITOR, "unanswered-turns", "by {service}", "by {model}", "no tag model"),
        (Kind.MONITOR, "unanswered-turns", "last_30m", "last_31m", "no monitor query"),
        (Kind.MONITOR, "slow-answers", "(5s,8s,later)", "(5s,9s,later)", "never 9s"),
        (Kind.MONITOR, "dead-air", "(later)", "(late)", "never late"),
        (Kind.MONITOR, "slow-hello", "(8s,later)", "(6s,later)", "never 6s"),
        (Kind.MONITOR, "slow-hello", "count:pipecat", "sum:pipecat", "what it is not"),
        (Kind.MONITOR, "voice-gaps", "voice_gaps{", "voice_gap_seconds{", "what it is not"),
        (Kind.MONITOR, "event-loop-blocked", "`not_running`", "`halted`", "nothing is called"),
        (Kind.DASHBOARD, "overview", "@session.voice_gap_count:>0", "@session.outcome:>0", "text"),
        (Kind.DASHBOARD, "overview", "operation_name:pipecat.blocked", "pipecat.blocked:x", "no"),
        (Kind.MONITOR, "silent-sessions", "{{service.name}}", "{{stage.name}}", "alert by"),
        (Kind.MONITOR, "silent-sessions", "bot_speech_count%3A0", "spoke%3A0", "spans have no"),
        (Kind.MONITOR, "silent-sessions", "pipecat.session%20", "pipecat.turn%20", "has no"),
        (Kind.MONITOR, "silent-sessions", "#is_recovery", "#is_warning", "is_recovery"),
        (Kind.MONITOR, "slow-answers", "`turn.wait.*`", "`turn.waits.*`", "nothing is called"),
        (Kind.DASHBOARD, "overview", "same `session_id`", "same `sessions`", "nothing is called"),
        (Kind.DASHBOARD, "overview", "by {part}", "by {parts}", "no tag parts"),
        (Kind.DASHBOARD, "overview", "waited / answers", "waited / turns", "draws"),
        (Kind.DASHBOARD, "overview", "@error.kind", "@error.type", "lines have no"),
        (Kind.DASHBOARD, "overview", "@session.error_count:>0", "@transport:>0", "is text"),
        (Kind.DASHBOARD, "overview", "p99:pipecat.turn", "p99:pipecat_dd.turn", "no metric"),
        (
            Kind.DASHBOARD,
            "overview",
            "p95:trace.pipecat.tool{",
            "p95:trace.pipecat.tool.hits{",
            "no",
        ),
        (Kind.PIPELINE, "lines", "levelname", "level_name", "lines have no"),
        (Kind.PIPELINE, "lines", "@pipecat.version:*", "@levelname:*", "other people's"),
        (Kind.SPAN_METRIC, "pipecat_dd.spans.turns", "@turn.outcome", "@tool.outcome", "has no"),
        (Kind.RETENTION, "turns", "pipecat.turn", "pipecat.turns", "never pipecat.turns"),
    ],
)
def test_a_definition_that_names_what_is_not_sent_is_found_out(kind, key, old, new, words):
    broken = []
    for thing in THINGS:
        text = json.dumps(thing.body)
        if (thing.kind, thing.key) == (kind, key):
            quoted = old.replace('"', '\\"')
            assert quoted in text, "the example is out of date"
            thing = dataclasses.replace(thing, body=json.loads(text.replace(quoted, new)))
        broken.append(thing)
    assert words in " ".join(Checker().check(broken))


@pytest.mark.parametrize("thing", SCOPED, ids=lambda thing: f"{thing.kind} {thing.key}")
def test_a_body_is_what_the_published_schema_says(thing):
    assert mistakes(request_body(thing), MODELS[thing.kind]) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("titel",), "no such field"),
        (("layout_type",), "sideways"),
        (("widgets", 0, "definition", "widgets", 0, "definition", "colour"), "blue"),
        (("widgets", 0, "definition", "widgets", 0, "definition", "type"), "timeserie"),
        (("template_variables", 0, "defaults"), "*"),
    ],
)
def test_a_body_that_the_schema_does_not_know_is_found_out(path, value):
    (thing,) = (thing for thing in THINGS if thing.kind is Kind.DASHBOARD)
    body = copy.deepcopy(thing.body)
    body["widgets"] = [one for one in body["widgets"] if one["definition"].get("title") == "Tools"]
    assert mistakes(body, Dashboard) == []
    *way, last = path
    place = body
    for step in way:
        place = place[step]
    place[last] = value
    assert mistakes(body, Dashboard)


def test_percentiles_are_made_where_they_are_asked_for_and_nowhere_else():
    # Each is billed.
    checker = Checker()
    checker.check(THINGS)
    assert checker.asked_percentiles == checker.percentiles


def test_what_needs_a_facet_or_a_measure_is_listed_for_the_hand():
    checker = Checker()
    checker.check(THINGS)
    needed = {(of, path) for of, path in checker.grouped if path.startswith("@")}
    needed -= {("spans", "@duration")}  # Datadog's own
    assert needed <= {(facet.source, facet.path) for facet in FACETS}
    assert {(one.source, one.path) for one in FACETS} == {
        (one.source, one.path) for one in set(FACETS)
    }


def test_every_facet_is_of_a_field_that_is_sent():
    checker = Checker()
    for facet in FACETS:
        checker.field("facets", facet.source, facet.path, is_number=bool(facet.unit))
    assert checker.wrong == []


def test_nothing_that_is_made_asks_for_what_datadog_takes_off_lines():
    for thing in SCOPED:
        if thing.kind is not Kind.DESCRIPTION:
            assert "dd.trace_id" not in json.dumps(thing.body), thing.key
            assert "dd.span_id" not in json.dumps(thing.body), thing.key


def test_the_pipeline_leaves_the_ids_where_queries_find_them():
    (pipeline,) = (one.body for one in THINGS if one.kind is Kind.PIPELINE)
    assert pipeline["filter"]["query"] == "@pipecat.version:*"
    kinds = {one["type"] for one in pipeline["processors"]}
    assert kinds == {"status-remapper", "date-remapper", "attribute-remapper"}


def test_every_threshold_is_an_option():
    most = {
        one.name: float(one.default) * 2 if isinstance(one.default, float) else one.default
        for one in dataclasses.fields(Options)
        if one.name.endswith(("_percent", "_lag_secs"))
    }
    chosen = Options(**most)
    before = {key: one.body["options"]["thresholds"] for key, one in MONITORS.items()}
    for thing in wanted(chosen):
        if thing.kind is Kind.MONITOR:
            thresholds = thing.body["options"]["thresholds"]
            assert thresholds["critical"] == before[thing.key]["critical"] * 2, thing.key
            assert thing.body["query"].endswith(f" {thresholds['critical']:g}")
    assert Checker().check(wanted(chosen)) == []


def test_what_is_a_share_has_a_least_number_that_is_an_option():
    chosen = Options(least_turns=7, least_sessions=8, least_lines=9)
    for thing in wanted(chosen):
        if thing.kind is Kind.MONITOR and "100 *" in thing.body["query"]:
            assert re.search(r" \+ [789]\)", thing.body["query"]), thing.key


def test_no_monitor_counts_without_a_share():
    # What is compared as it is: no count of turns, sessions or lines.
    bare = {key for key, one in MONITORS.items() if "100 *" not in one.body["query"]}
    assert bare == {"event-loop-lag", "parts-off", "no-sessions"}


def test_slow_is_what_the_user_says_it_is():
    by_secs = {
        secs: next(
            one.body["query"]
            for one in wanted(Options(slow_answer_secs=secs))
            if one.key == "slow-answers"
        )
        for secs in (1, 8)
    }
    assert "answered_within IN (2s,3s,5s,8s,later)" in by_secs[1]
    assert "answered_within IN (later)" in by_secs[8]


def test_silence_is_no_data_for_as_long_as_the_user_says():
    (thing,) = (one for one in wanted(Options(quiet_hours=3)) if one.key == "no-sessions")
    options = thing.body["options"]
    assert (options["notify_no_data"], options["no_data_timeframe"]) == (True, 180)
    assert "{{#is_no_data}}" in thing.body["message"]
    assert "default_zero" not in thing.body["query"]
    for key, one in MONITORS.items():
        if key != "no-sessions":
            assert not one.body["options"].get("notify_no_data")


@pytest.mark.parametrize("things", [THINGS, SCOPED], ids=["all", "scoped"])
def test_the_dashboards_summary_lists_every_monitor(things):
    (board,) = (one.body for one in things if one.kind is Kind.DASHBOARD)
    (summary,) = (
        one["definition"]
        for one in board["widgets"]
        if one["definition"]["type"] == "manage_status"
    )
    (tag,) = re.findall(r"^tag:\((\S+)\)$", summary["query"])
    for thing in things:
        if thing.kind is Kind.MONITOR:
            assert tag in thing.body["tags"]
            assert tag in unmarked(thing).body["tags"]


def test_every_monitor_waits_for_a_new_service_and_lets_go_of_one_that_is_silent():
    for key, thing in MONITORS.items():
        options = thing.body["options"]
        assert options["new_group_delay"] == 300
        assert options["timeout_h"] == (0 if key == "no-sessions" else 4)


def test_what_datadog_counts_for_free_has_no_billed_percentiles():
    checker = Checker()
    checker.check(THINGS)
    free = {"pipecat.tool", "pipecat.turn.duration", "pipecat.session", "pipecat.end_of_turn"}
    for name in checker.percentiles:
        assert not any(name.startswith(f"{one}_") or name == one for one in free), name


def test_the_walk_that_an_alert_names_is_there():
    text = (ROOT / "docs" / "on-call.md").read_text("utf8")
    walks = set(re.findall(r"^## (.+)$", text, re.M))
    named = {
        key: walk
        for key, one in MONITORS.items()
        for walk in re.findall(r"walk on call: \*(.+)\* in pipecat_dd's", one.body["message"])
    }
    assert set(named.values()) == walks
    homepage = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]["urls"]
    assert f"{homepage['Homepage']}/blob/main/" == PAGES
    assert f"({PAGES}docs/on-call.md#an-error)" in MONITORS["failed-turns"].body["message"]
    assert {"voice-gaps", "dead-air", "failed-turns", "slow-answers"} <= set(named)


def test_scoped_monitors_watch_their_service_and_tell_whom_they_should():
    for thing in SCOPED:
        if thing.kind is Kind.MONITOR:
            asked = json.dumps([thing.body["query"], thing.body["options"].get("variables")])
            assert asked.count("service:bot") == asked.count("env:prod") > 0
            assert {"service:bot", "env:prod"} <= set(thing.body["tags"])
            assert thing.body["message"].endswith("@slack-voice")


@pytest.mark.parametrize("site", APPS)
def test_links_lead_to_the_site_that_is_asked(site):
    for thing in wanted(Options(site=site)):
        if thing.kind is Kind.MONITOR:
            links = thing.body["message"].count(f"{APPS[site]}/")
            assert links == (2 if "is_no_data" in thing.body["message"] else 4)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"site": "app.datadoghq.com"}, "DD_SITE"),
        ({"service": "My Bot"}, "service"),
        ({"env": "prod,dev"}, "env"),
        ({"notify": ("slack-voice",)}, "notify"),
        ({"least_turns": -1}, "least_turns"),
        ({"failed_turns_percent": 0.0}, "failed_turns_percent"),
        ({"failed_turns_percent": float("nan")}, "failed_turns_percent"),
        ({"slow_answer_secs": 4}, "slow_answer_secs"),
        ({"dead_air_secs": 10}, "dead_air_secs"),
        ({"slow_hello_secs": 0}, "slow_hello_secs"),
        ({"quiet_hours": 1}, "quiet_hours"),
    ],
)
def test_an_option_that_is_not_allowed_is_named_with_what_is(chosen, named):
    with pytest.raises(BadOptionError, match=f"^{named} is .*; allowed: |^{named} is .*allowed"):
        Options(**chosen)


def test_the_document_names_all_that_is_made():
    text = (ROOT / "docs" / "setup.md").read_text("utf8")
    for thing in THINGS:
        if thing.kind not in (Kind.PERCENTILES, Kind.DESCRIPTION):
            assert f"`{thing.key}`" in text, thing.key
    for facet in FACETS:
        assert f"`{facet.path}`" in text, facet.path


def test_the_document_says_at_what_monitors_alert():
    text = (ROOT / "docs" / "setup.md").read_text("utf8")
    limits = [one for one in dataclasses.fields(Options) if isinstance(one.default, (int, float))]
    for limit in limits:
        option = f"`--{limit.name.replace('_', '-')}`"
        (row,) = (row for row in text.splitlines() if row.startswith("| ") and option in row)
        assert re.search(rf"(?<![\d.]){limit.default:g}(?![\d.])", row), row


def test_the_document_names_every_option():
    from pipecat_dd.cli.setup.command import setup

    text = (ROOT / "docs" / "setup.md").read_text("utf8")
    for option in setup.params:
        if not getattr(option, "hidden", False):
            assert re.search(rf"`{option.opts[0]}\b", text), option.opts
