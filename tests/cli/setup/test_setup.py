"""``pipecat-dd setup`` against a server that speaks Datadog's API."""

import copy
import json

import pytest
import urllib3

from pipecat_dd.cli.setup import command
from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.options import Options
from tests.cli.setup.counting import COUNTS, KINDS, READS, TOTAL, counts
from tests.support.datadog_organisation import API_KEY, APP_KEY


def test_everything_is_made_and_made_known(setup, organisation):
    said = setup("--retention").output
    assert counts(organisation) == COUNTS
    for thing in wanted(Options()):
        assert f"{thing.kind:<17} {thing.title}: created" in said
    (board,) = organisation.dashboards
    assert f"https://app.datadoghq.com/dashboard/{board}" in said
    assert "@duration_ms (millisecond)" in said


def test_running_it_twice_changes_nothing(setup, organisation):
    setup("--retention")
    before, asked = organisation.everything(), len(organisation.changes())
    said = setup("--retention").output
    assert organisation.changes()[asked:] == []
    assert organisation.everything() == before
    assert f"{TOTAL} up to date." in said


def test_removing_takes_away_exactly_what_was_made(setup, organisation):
    setup("--retention")
    theirs = _look_alikes(organisation)
    setup("--remove", "--yes")
    assert organisation.everything() == theirs
    assert "this command had created nothing here" in setup("--remove", "--yes").output
    assert organisation.everything() == theirs


def test_what_merely_looks_like_ours_is_neither_changed_nor_taken_for_ours(setup, organisation):
    setup("--retention")
    theirs = _look_alikes(organisation)
    for made in ("dashboards", "monitors", "pipelines", "retention_filters"):
        for key in set(getattr(organisation, made)) - set(theirs[made]):
            del getattr(organisation, made)[key]
    setup("--retention")
    after = organisation.everything()
    for made, bodies in theirs.items():
        assert bodies.items() <= after[made].items(), made
        assert len(after[made]) == len(bodies) + COUNTS[made]


def _look_alikes(organisation):
    """Put a user's own things beside ours: clones, and what has our names; return only those."""
    theirs = {name: {} for name in KINDS}
    for name in ("dashboards", "monitors", "pipelines"):
        made = getattr(organisation, name)
        for body in list(made.values()):
            clone = copy.deepcopy(body)
            new_id = organisation.next_id("clone-" if name != "monitors" else "")
            clone["id"] = int(new_id) if name == "monitors" else new_id
            theirs[name][new_id] = clone
            unmarked = copy.deepcopy(clone)
            other_id = organisation.next_id("own-" if name != "monitors" else "")
            unmarked["id"] = int(other_id) if name == "monitors" else other_id
            unmarked["description"] = "managed-by:somebody"
            unmarked["tags"] = ["managed-by:somebody", "team:voice"]
            theirs[name][other_id] = unmarked
    theirs["retention_filters"]["own"] = {
        "name": "Pipecat sessions",
        "filter": {"query": "operation_name:pipecat.session"},
        "filter_type": "spans-sampling-processor",
        "enabled": True,
        "rate": 1.0,
    }
    for name in ("line_metrics", "span_metrics"):
        theirs[name]["pipecat_dd.mine"] = {
            "compute": {"aggregation_type": "count"},
            "filter": {"query": "managed-by:pipecat-dd service:a"},
            "group_by": [],
        }
    theirs["tag_configurations"]["pipecat.mine"] = {
        "metric_type": "distribution",
        "tags": ["service"],
        "include_percentiles": True,
    }
    for name, bodies in theirs.items():
        getattr(organisation, name).update(copy.deepcopy(bodies))
    return theirs


def test_a_name_that_is_taken_by_something_of_the_users_is_left_to_them(setup, organisation):
    theirs = {
        "compute": {"aggregation_type": "count"},
        "filter": {"query": "service:a"},
        "group_by": [],
    }
    organisation.line_metrics["pipecat_dd.lines"] = copy.deepcopy(theirs)
    configured = {
        "metric_type": "distribution",
        "tags": ["host"],
        "exclude_tags_mode": True,
        "include_percentiles": False,
    }
    organisation.tag_configurations["pipecat.llm.ttfat_seconds"] = copy.deepcopy(configured)
    said = setup().output
    assert "pipecat_dd.lines: is left unchanged: a metric of yours has this name" in said
    assert "configured this metric yourself, without percentiles" in said
    setup("--remove", "--yes")
    assert organisation.line_metrics == {"pipecat_dd.lines": theirs}
    assert organisation.tag_configurations == {"pipecat.llm.ttfat_seconds": configured}


def test_only_what_differs_is_changed_and_what_differs_is_said(setup, organisation):
    setup()
    asked = len(organisation.changes())
    said = setup("--failed-turns-percent", "20", "--notify", "@slack-voice").output
    changed = organisation.changes()[asked:]
    assert len(changed) == COUNTS["monitors"]
    assert {method for method, _ in changed} == {"PUT"}
    assert "Failed turns: changed (query, message, options.thresholds" in said
    (monitor,) = (
        one
        for one in organisation.monitors.values()
        if "turn.errors" in one["query"] and one["query"].endswith("> 20")
    )
    assert monitor["options"]["thresholds"]["critical"] == 20


def test_what_somebody_changed_is_put_right_and_their_tags_stay(setup, organisation):
    setup("--retention")
    right = organisation.everything()
    (board,) = organisation.dashboards.values()
    board["widgets"].pop()
    (pipeline,) = organisation.pipelines.values()
    pipeline["is_enabled"] = False
    organisation.line_metrics["pipecat_dd.lines"]["group_by"].pop()
    organisation.span_metrics["pipecat_dd.spans.user_bot_latency_seconds"]["compute"]["path"] = "@x"
    next(iter(organisation.retention_filters.values()))["rate"] = 0.5
    next(iter(organisation.tag_configurations.values()))["include_percentiles"] = False
    monitor = next(iter(organisation.monitors.values()))
    monitor["query"] = monitor["query"].replace("> 10", "> 11")
    monitor["tags"].append("team:voice")
    organisation.descriptions["pipecat.turns"]["unit"] = "byte"
    said = setup("--retention").output
    assert "8 changed" in said
    after = organisation.everything()
    tags = next(iter(after["monitors"].values()))["tags"]
    assert "team:voice" in tags
    tags.remove("team:voice")
    for name in KINDS:
        for one in (*after[name].values(), *right[name].values()):
            for widget in _all_widgets(one):
                widget.pop("id")
    assert after == right


def _all_widgets(body):
    for widget in body.get("widgets", []):
        yield widget
        yield from _all_widgets(widget["definition"])


def test_a_dry_run_says_what_would_be_done_and_does_nothing(setup, organisation):
    said = setup("--dry-run").output
    assert said.count("would be created") == TOTAL
    assert organisation.changes() == []
    assert "bills" in said
    setup()
    asked = len(organisation.changes())
    assert setup("--dry-run", "--remove").output.count("would be removed") == TOTAL - 3
    assert organisation.changes()[asked:] == []


def test_monitors_of_one_service_do_not_disturb_those_of_another(setup, organisation):
    setup("--service", "a")
    setup("--service", "b", "--env", "prod")
    assert len(organisation.monitors) == 2 * COUNTS["monitors"]
    setup("--service", "a", "--remove", "--yes")
    assert len(organisation.monitors) == COUNTS["monitors"]
    assert all("service:b" in one["tags"] for one in organisation.monitors.values())
    assert len(organisation.dashboards) == 1
    setup("--remove", "--yes")
    assert counts(organisation) == dict.fromkeys(KINDS, 0)


class TestRetention:
    def test_is_proposed_with_its_cost_and_not_made_where_nobody_can_be_asked(
        self, setup, organisation
    ):
        said = setup().output
        assert "billed" in said
        assert "operation_name:pipecat.session" in said
        assert organisation.retention_filters == {}

    @pytest.mark.parametrize(("answer", "made"), [("y\n", 3), ("n\n", 0), ("\n", 0)])
    def test_is_made_if_the_user_agrees(self, setup, organisation, monkeypatch, answer, made):
        monkeypatch.setattr(command, "_is_interactive", lambda: True)
        setup(input=answer)
        assert len(organisation.retention_filters) == made

    def test_is_not_asked_about_where_the_user_has_said(self, setup, organisation):
        assert "billed" not in setup("--no-retention").output
        assert organisation.retention_filters == {}
        setup("--retention")
        assert len(organisation.retention_filters) == 3

    def test_is_kept_up_to_date_and_not_asked_about_again(self, setup, organisation):
        setup("--retention")
        next(iter(organisation.retention_filters.values()))["enabled"] = False
        assert "billed" not in setup().output
        assert all(one["enabled"] for one in organisation.retention_filters.values())


class TestRemoving:
    def test_needs_a_yes_where_nobody_can_be_asked(self, setup, organisation):
        setup()
        before = organisation.everything()
        assert "--yes" in setup("--remove", exit_code=1).output
        assert organisation.everything() == before

    @pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
    def test_asks(self, setup, organisation, monkeypatch, answer, left):
        setup()
        monkeypatch.setattr(command, "_is_interactive", lambda: True)
        setup("--remove", input=answer, exit_code=left)
        assert len(organisation.dashboards) == left

    def test_takes_what_a_run_that_was_cut_short_has_made(self, setup, organisation):
        organisation.refuse(READS + 10, 401)
        setup("--retention", exit_code=3)
        assert 0 < sum(counts(organisation).values()) < TOTAL
        setup("--remove", "--yes")
        assert counts(organisation) == dict.fromkeys(KINDS, 0)


def test_percentiles_of_what_was_never_sent_are_for_later(setup, organisation):
    organisation.unknown_metrics.add("pipecat.llm.ttfat_seconds")
    said = setup().output
    assert "run the command again after the first conversation" in said
    assert "2 to be created later" in said  # its percentiles, and its description
    organisation.unknown_metrics.clear()
    setup()
    assert "pipecat.llm.ttfat_seconds" in organisation.tag_configurations


def test_exported_definitions_are_those_that_are_sent(setup, organisation, tmp_path):
    setup("--export", str(tmp_path / "out"))
    assert organisation.requests == []
    requests = json.loads((tmp_path / "out" / "requests.json").read_text("utf8"))
    assert len(requests) == TOTAL
    setup("--retention")
    for request in requests.values():
        assert tuple(request.split()) in organisation.requests


def test_what_is_made_of_exported_definitions_is_the_users(setup, organisation, tmp_path):
    setup("--export", str(tmp_path))
    for path, request in json.loads((tmp_path / "requests.json").read_text("utf8")).items():
        body = (tmp_path / path).read_bytes()
        method, address = request.split()
        headers = {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APP_KEY}
        answer = urllib3.request(method, organisation.url + address, body=body, headers=headers)
        assert answer.status < 300, answer.data
    theirs = organisation.everything()
    assert counts(organisation) == COUNTS
    assert organisation.wrong == []
    assert setup("--remove", "--yes").output.endswith("this command had created nothing here.\n")
    assert organisation.everything() == theirs


def test_what_an_older_version_made_and_this_one_does_not_is_left_until_removed(
    setup, organisation
):
    setup()
    old = next(iter(organisation.monitors.values()))
    old["tags"] = [tag.replace("failed-turns", "retired") for tag in old["tags"]]
    assert "no longer creates it; --remove removes it" in setup().output
    assert str(old["id"]) in organisation.monitors
    setup("--remove", "--yes")
    assert organisation.monitors == {}


class TestWhatAnEarlierVersionMade:
    """Everything as version 0.1 had it, with its marks."""

    @pytest.fixture
    def before(self, setup, organisation):
        setup("--retention")
        (pipeline,) = organisation.pipelines.values()
        pipeline["filter"] = {"query": "@levelname:* @session_id:*"}
        for kind, field in (
            ("trace-id-remapper", "dd.trace_id"),
            ("span-id-remapper", "dd.span_id"),
        ):
            remapper = {"type": kind, "name": field, "is_enabled": True, "sources": [field]}
            pipeline["processors"].insert(2, remapper)
        (monitor,) = (
            one
            for one in organisation.monitors.values()
            if "pipecat-dd:traced-errors" in one["tags"]
        )
        monitor["type"] = "log alert"
        monitor["query"] = (
            'logs("@levelname:ERROR @dd.trace_id:*").index("*").rollup("count").by("service")'
            '.last("1h") > 10'
        )
        monitor["tags"].append("team:voice")
        lines = organisation.line_metrics["pipecat_dd.lines.out_of_context"]
        lines["filter"] = {"query": "-@dd.trace_id:* @session_id:* -managed-by:pipecat-dd"}
        organisation.span_metrics["pipecat_dd.spans.tool.duration"] = {
            "compute": {"aggregation_type": "distribution", "path": "@duration"},
            "filter": {"query": "operation_name:pipecat.tool -managed-by:pipecat-dd"},
            "group_by": [],
        }
        organisation.tag_configurations["pipecat.tool.duration_seconds"] = {
            "metric_type": "distribution",
            "include_percentiles": True,
            "exclude_tags_mode": True,
            "tags": ["managed_by_pipecat_dd"],
        }
        organisation.descriptions.clear()
        return str(monitor["id"])

    def test_is_replaced_and_not_doubled(self, setup, organisation, before):
        setup("--retention")
        assert counts(organisation) == COUNTS
        assert "dd.trace_id" not in json.dumps(organisation.everything())
        assert before not in organisation.monitors
        (anew,) = (
            one
            for one in organisation.monitors.values()
            if "pipecat-dd:traced-errors" in one["tags"]
        )
        assert anew["type"] == "query alert"
        assert f"pipecat-dd-id:{anew['id']}" in anew["tags"]
        assert "team:voice" in anew["tags"]
        asked = len(organisation.changes())
        setup("--retention")
        assert organisation.changes()[asked:] == []

    def test_is_all_removed(self, setup, organisation, before):
        setup("--remove", "--yes")
        assert counts(organisation) == dict.fromkeys(KINDS, 0)

    def test_and_somebody_else_configured_is_theirs(self, setup, organisation, before):
        theirs = {"metric_type": "distribution", "tags": ["a"], "include_percentiles": True}
        organisation.tag_configurations["pipecat.tool.duration_seconds"] = copy.deepcopy(theirs)
        setup("--retention")
        setup("--remove", "--yes")
        assert organisation.tag_configurations == {"pipecat.tool.duration_seconds": theirs}


class TestDescriptions:
    def test_say_what_each_metric_is_and_its_unit(self, setup, organisation):
        setup()
        said = organisation.descriptions["pipecat.turn.user_bot_latency_seconds"]
        assert said["unit"] == "second"
        assert said["description"].startswith("From the end of the user's speech")

    def test_that_somebody_wrote_are_left(self, setup, organisation):
        theirs = {"description": "Our word for it", "unit": "turn"}
        organisation.descriptions["pipecat.turns"] = dict(theirs)
        assert "you have described this metric yourself" in setup().output
        setup("--remove", "--yes")
        assert organisation.descriptions == {"pipecat.turns": theirs}

    def test_of_what_was_never_sent_are_for_later(self, setup, organisation):
        organisation.unknown_metrics.add("pipecat.failovers")
        assert "1 to be created later" in setup().output
        organisation.unknown_metrics.clear()
        setup()
        assert "pipecat.failovers" in organisation.descriptions


def test_exporting_needs_no_keys_and_says_where_it_cannot_write(setup, tmp_path, monkeypatch):
    monkeypatch.delenv("DD_API_KEY")
    monkeypatch.delenv("DD_APP_KEY")
    setup("--export", str(tmp_path / "out"))
    (tmp_path / "file").touch()
    said = setup("--export", str(tmp_path / "file" / "out"), exit_code=1).output
    assert "file" in said
    setup("--export", str(tmp_path), "--remove", exit_code=2)


@pytest.mark.parametrize("site", ["datadoghq.eu", "us5.datadoghq.com"])
def test_the_site_is_that_of_dd_site(setup, monkeypatch, site):
    monkeypatch.setenv("DD_SITE", site)
    assert f"Datadog organisation at {site}" in setup("--dry-run").output
