"""Keys that are refused, a Datadog that fails, and what of the work stands then."""

import pytest

from pipecat_dd.cli.setup import _datadog_api
from tests.cli.setup.counting import COUNTS, READS, TOTAL, counts
from tests.support.datadog_organisation import API_KEY, APP_KEY


class TestKeys:
    @pytest.mark.parametrize("name", ["DD_API_KEY", "DD_APP_KEY"])
    def test_that_are_missing_are_named(self, setup, monkeypatch, name):
        monkeypatch.setenv(name, " ")
        said = setup(exit_code=3).output
        assert said.startswith(f"pipecat-dd setup: {name} must be set")

    def test_an_api_key_that_is_refused_is_named(self, setup, organisation, monkeypatch):
        monkeypatch.setenv("DD_API_KEY", "c" * 32)
        assert "rejects DD_API_KEY" in setup(exit_code=3).output
        assert len(organisation.requests) == 1

    def test_an_application_key_that_is_refused_is_named(self, setup, monkeypatch):
        monkeypatch.setenv("DD_APP_KEY", "c" * 40)
        assert "DD_APP_KEY" in setup(exit_code=3).output

    def test_an_application_key_that_may_do_nothing_is_named(self, setup, organisation):
        organisation.forbidden = ("/api/",)
        assert "has no permission to read anything" in setup(exit_code=3).output

    def test_a_site_that_is_none_is_named_with_those_there_are(self, setup, monkeypatch):
        monkeypatch.setenv("DD_SITE", "https://app.datadoghq.eu")
        said = setup(exit_code=2).output
        assert "DD_SITE" in said
        assert "us5.datadoghq.com" in said

    def test_are_never_sent_unencrypted_to_another_machine(self, setup, monkeypatch):
        monkeypatch.setenv("PIPECAT_DD_API_URL", "http://datadog.example.com")
        assert "https" in setup(exit_code=3).output

    @pytest.mark.parametrize("key", ["a\nb" * 9, "schlüssel" * 4, "with space", "{}"])
    def test_that_cannot_be_sent_are_not_shown_in_an_error(self, setup, monkeypatch, key):
        monkeypatch.setenv("DD_APP_KEY", key)
        said = setup(exit_code=3).output
        assert "DD_APP_KEY contains characters" in said
        assert key not in said

    def test_that_datadog_repeats_are_not_shown(self, setup, organisation):
        organisation.forbidden = ("/api/v1/dashboard",)
        organisation.bad_words = f"the key {API_KEY} with {APP_KEY} may not"
        assert "[key] with [key]" in setup(exit_code=1).output


class TestFailures:
    def test_what_may_not_be_made_is_said_with_the_permission_and_the_rest_is_made(
        self, setup, organisation
    ):
        organisation.forbidden = ("/api/v2/apm/config/metrics",)
        said = setup(exit_code=1).output
        assert "apm_generate_metrics" in said
        assert "span-based metric cannot be read" in said
        assert counts(organisation) == {**COUNTS, "span_metrics": 0, "retention_filters": 0}
        organisation.forbidden = ()
        assert f"{COUNTS['span_metrics']} created" in setup().output

    def test_what_may_be_read_and_not_made_is_tried_once_and_the_rest_is_made(
        self, setup, organisation
    ):
        organisation.read_only = ("/api/v1/monitor",)
        said = setup(exit_code=1).output
        assert said.count("NOT created") == 1
        assert "monitors_write" in said
        assert f"{COUNTS['monitors'] - 1} not tried" in said
        assert counts(organisation) == {**COUNTS, "monitors": 0, "retention_filters": 0}

    def test_one_thing_that_fails_keeps_no_other_from_being_made(self, setup, organisation):
        setup("--dry-run")
        reads = len(organisation.requests)
        organisation.refuse(reads + 1, 500)
        said = setup(exit_code=1).output
        assert "log pipeline      Pipecat bots' lines: NOT created: Datadog answered 500" in said
        assert f"{TOTAL - 4} created" in said
        assert "1 failed" in said
        assert "1 created" in setup().output
        assert counts(organisation) == {**COUNTS, "retention_filters": 0}

    def test_what_was_made_although_datadog_failed_is_not_made_twice(self, setup, organisation):
        setup("--dry-run")
        organisation.refuse(len(organisation.requests) + 1, 502, after=True)
        setup(exit_code=1)
        setup()
        assert counts(organisation) == {**COUNTS, "retention_filters": 0}

    def test_what_was_made_and_not_completed_is_completed_by_the_next_run(
        self, setup, organisation
    ):
        setup("--dry-run")
        for again in (2, 3, 4):
            organisation.refuse(len(organisation.requests) + again, 503)
        assert "created, but the next run must complete it" in setup(exit_code=1).output
        assert "1 changed" in setup().output
        asked = len(organisation.changes())
        setup()
        assert organisation.changes()[asked:] == []

    def test_reading_is_tried_again(self, setup, organisation):
        for nth in (1, 2, 5):
            organisation.refuse(nth, 503)
        said = setup("--dry-run").output
        assert "retrying" in said
        assert said.count("would be created") == TOTAL

    def test_the_rate_limit_is_waited_for(self, setup, organisation):
        organisation.refuse(3, 429, X_RateLimit_Reset="0.2")
        organisation.refuse(READS + 10, 429, X_RateLimit_Reset="0.2")
        assert setup().output.count("rate limit is reached; continuing in 0.2 s") == 2
        assert counts(organisation) == {**COUNTS, "retention_filters": 0}

    def test_a_long_rate_limit_ends_the_run_and_what_was_made_stays_listed(
        self, setup, organisation
    ):
        organisation.refuse(READS + 10, 429, X_RateLimit_Reset="3600")
        said = setup(exit_code=1).output
        assert "resets in 3600 s" in said
        made = sum(counts(organisation).values())
        assert said.count(": created") == made
        assert "not tried" in said
        assert f"{made} created" in said
        setup()
        assert counts(organisation) == {**COUNTS, "retention_filters": 0}

    def test_waiting_for_the_rate_limit_has_an_end(self, setup, organisation, monkeypatch):
        monkeypatch.setattr(_datadog_api, "MAX_WAIT_SECS", 0.5)
        for nth in range(1, 9):
            organisation.refuse(nth, 429, X_RateLimit_Reset="0.2")
        assert "waits at most" in setup(exit_code=1).output

    def test_keys_that_are_revoked_in_mid_run_end_it(self, setup, organisation):
        organisation.refuse(READS + 10, 401)
        said = setup(exit_code=3).output
        assert "rejects the keys" in said
        assert "not tried" in said

    def test_an_answer_that_is_not_datadogs_is_said(self, setup, organisation):
        organisation.answers["/api/v1/logs/config/pipelines"] = "<html>Please log in</html>"
        organisation.answers["/api/v2/logs/config/metrics"] = '{"metrics": []}'
        said = setup(exit_code=1).output
        assert "Is there a proxy in between?" in said
        assert "answer is invalid (KeyError('data'))" in said
        there = {**COUNTS, "pipelines": 0, "line_metrics": 0, "retention_filters": 0}
        assert counts(organisation) == there

    def test_datadog_that_cannot_be_reached_is_said(self, setup, monkeypatch):
        monkeypatch.setenv("PIPECAT_DD_API_URL", "http://127.0.0.1:9")
        said = setup(exit_code=1).output
        assert "cannot be reached" in said


def test_an_interrupted_run_leaves_what_it_listed(setup, organisation, monkeypatch):
    setup("--dry-run")
    ask = _datadog_api.Api.create
    made = []

    def create(self, *args, **kwargs):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(args)
        return ask(self, *args, **kwargs)

    monkeypatch.setattr(_datadog_api.Api, "create", create)
    said = setup(exit_code=1).output
    assert "Interrupted" in said
    assert said.count(": created") == sum(counts(organisation).values()) == 3
