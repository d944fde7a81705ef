"""What is made names only what is sent, asks for it as Datadog's languages want it, and fits."""

import copy
import dataclasses
import json
import re
from pathlib import Path

import pytest
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest
from datadog_api_client.v2.model.metric_tag_configuration_create_request import (
    MetricTagConfigurationCreateRequest,
)
from datadog_api_client.v2.model.retention_filter_create_request import (
    RetentionFilterCreateRequest,
)
from datadog_api_client.v2.model.spans_metric_create_request import SpansMetricCreateRequest

from pipecat_dd.setup.by_hand import FACETS
from pipecat_dd.setup.definitions import wanted
from pipecat_dd.setup.exporting import request_body
from pipecat_dd.setup.options import APPS, BadOptionError, Options
from pipecat_dd.setup.things import Kind
from tests.setup.naming import Checker
from tests.support.datadog_models import mistakes

THINGS = wanted(Options())
SCOPED = wanted(Options(service="bot", env="prod", notify=("@slack-voice",)))
MONITORS = {thing.key: thing for thing in THINGS if thing.kind is Kind.MONITOR}

MODELS = {
    Kind.DASHBOARD: Dashboard,
    Kind.MONITOR: Monitor,
    Kind.PIPELINE: LogsPipeline,
    Kind.LINE_METRIC: LogsMetricCreateRequest,
    Kind.SPAN_METRIC: SpansMetricCreateRequest,
    Kind.PERCENTILES: MetricTagConfigurationCreateRequest,
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
        (Kind.MONITOR, "traced-errors", "@dd.trace_id:*", "@dd.traceid:*", "@dd.traceid"),
        (Kind.MONITOR, "traced-errors", "levelname:ERROR", "levelname:Error", "never Error"),
        (Kind.MONITOR, "slow-answers", "latency_seconds{", "latency_ms{", "no metric"),
        (Kind.MONITOR, "slow-answers", "percentile(last_15m)", "avg(last_15m)", "percentile"),
        (Kind.MONITOR, "slow-answers", "p95:", "max:", "percentile of"),
        (Kind.MONITOR, "unanswered-turns", "unanswered} by", "unheard} by", "never unheard"),
        (Kind.MONITOR, "unanswered-turns", "by {service}", "by {model}", "no tag model"),
        (Kind.MONITOR, "unanswered-turns", "last_30m", "last_31m", "no monitor query"),
        (Kind.MONITOR, "unusable-service", "{service,stage}", "{service}", "alert by"),
        (Kind.MONITOR, "silent-sessions", "bot_speech_count%3A0", "spoke%3A0", "spans have no"),
        (Kind.MONITOR, "silent-sessions", "pipecat.session%20", "pipecat.turn%20", "has no"),
        (Kind.MONITOR, "slow-answers", "`turn.wait.*`", "`turn.waits.*`", "nothing is called"),
        (Kind.DASHBOARD, "overview", "take `session_id`", "take `sessions`", "nothing is called"),
        (Kind.DASHBOARD, "overview", "by {part}", "by {parts}", "no tag parts"),
        (Kind.DASHBOARD, "overview", "waited / answers", "waited / turns", "draws"),
        (Kind.DASHBOARD, "overview", "@error.kind", "@error.type", "lines have no"),
        (Kind.DASHBOARD, "overview", "@session.error_count:>0", "@transport:>0", "is text"),
        (Kind.DASHBOARD, "overview", "p99:pipecat.turn", "p99:pipecat_dd.turn", "no metric"),
        (Kind.PIPELINE, "lines", "levelname", "level_name", "lines have no"),
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
    assert needed <= {(facet.of, facet.path) for facet in FACETS}
    assert {(one.of, one.path) for one in FACETS} == {(one.of, one.path) for one in set(FACETS)}


def test_every_facet_is_of_a_field_that_is_sent():
    checker = Checker()
    for facet in FACETS:
        checker.field("facets", facet.of, facet.path, is_number=bool(facet.unit))
    assert checker.wrong == []


def test_the_monitors_have_the_queries_that_teams_have_saved():
    assert MONITORS["traced-errors"].body["query"] == (
        'logs("@levelname:ERROR @dd.trace_id:*").index("*").rollup("count").by("service")'
        '.last("1h") > 10'
    )
    assert MONITORS["lines-out-of-context"].body["query"] == (
        'logs("-@dd.trace_id:* @session_id:*").index("*").rollup("count").by("service")'
        '.last("5m") > 100'
    )


def test_thresholds_are_as_chosen():
    chosen = Options(errors_per_hour=1, slow_answer_secs=2.5, unanswered_turns=0)
    queries = {one.key: one.body["query"] for one in wanted(chosen) if one.kind is Kind.MONITOR}
    assert queries["traced-errors"].endswith(" > 1")
    assert queries["slow-answers"].endswith(" > 2.5")
    assert queries["unanswered-turns"].endswith(" > 0")
    assert Checker().check(wanted(chosen)) == []


def test_scoped_monitors_watch_their_service_and_tell_whom_they_should():
    for thing in SCOPED:
        if thing.kind is Kind.MONITOR:
            assert "service:bot" in thing.body["query"]
            assert "env:prod" in thing.body["query"]
            assert thing.body["message"].endswith("@slack-voice")


@pytest.mark.parametrize("site", APPS)
def test_links_lead_to_the_site_that_is_asked(site):
    for thing in wanted(Options(site=site)):
        if thing.kind is Kind.MONITOR:
            assert thing.body["message"].count(f"{APPS[site]}/") == 2


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"site": "app.datadoghq.com"}, "DD_SITE"),
        ({"service": "My Bot"}, "service"),
        ({"env": "prod,dev"}, "env"),
        ({"notify": ("slack-voice",)}, "notify"),
        ({"errors_per_hour": -1}, "errors_per_hour"),
        ({"slow_answer_secs": 0.0}, "slow_answer_secs"),
        ({"slow_answer_secs": float("nan")}, "slow_answer_secs"),
    ],
)
def test_an_option_that_is_not_allowed_is_named_with_what_is(chosen, named):
    with pytest.raises(BadOptionError, match=f"^{named} is .*; allowed: |^{named} is .*allowed"):
        Options(**chosen)


def test_the_document_names_all_that_is_made():
    text = (Path(__file__).parents[2] / "docs" / "setup.md").read_text("utf8")
    for thing in THINGS:
        named = thing.key if thing.kind is not Kind.PERCENTILES else "percentiles"
        assert f"`{named}`" in text or named == "percentiles", thing.key
    for facet in FACETS:
        assert f"`{facet.path}`" in text, facet.path


def test_the_document_says_at_what_monitors_alert():
    text = (Path(__file__).parents[2] / "docs" / "setup.md").read_text("utf8")
    limits = [one for one in dataclasses.fields(Options) if isinstance(one.default, (int, float))]
    assert len(limits) == len(MONITORS) - 1
    for limit in limits:
        option = f"`--{limit.name.replace('_', '-')}`"
        (row,) = (row for row in text.splitlines() if row.endswith(f"{option} |"))
        assert re.search(rf"\| {limit.default:g} ", row), row


def test_the_document_names_every_option():
    from pipecat_dd.setup.command import setup

    text = (Path(__file__).parents[2] / "docs" / "setup.md").read_text("utf8")
    for option in setup.params:
        if not getattr(option, "hidden", False):
            assert re.search(rf"`{option.opts[0]}\b", text), option.opts
