"""Variables: what is set, what does nothing, what is misspelt, what turns things off."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.cli.doctor import content, env_file, intake, settings, variables
from pipecat_dd.cli.doctor.finding import Level
from pipecat_dd.cli.doctor.start import Start
from pipecat_dd.export.notices import REPLACED
from pipecat_dd.settings import Settings, table
from pipecat_dd.settings.setting import Taker
from tests.cli.doctor.running import found

UNIFIED = {"DD_SERVICE": "bot", "DD_ENV": "prod", "DD_VERSION": "1.2"}


def test_service_env_and_version_are_named() -> None:
    finding = found(variables.unified, UNIFIED)["variables.unified"]
    assert finding.level is Level.OK
    assert finding.facts == {"service": "bot", "env": "prod", "version": "1.2"}


@pytest.mark.parametrize("missing", UNIFIED)
def test_a_missing_one_of_them_is_told(missing: str) -> None:
    environ = {**UNIFIED, missing: " "}
    finding = found(variables.unified, environ)["variables.unified"]
    assert finding.level is Level.NOTE
    assert finding.says.startswith(f"{missing} is not set")
    assert ("after the program" in finding.says) == (missing == "DD_SERVICE")


@pytest.mark.parametrize("name", REPLACED)
def test_what_no_longer_does_anything_is_told_with_what_replaced_it(name: str) -> None:
    finding = found(variables.replaced, {name: "0.3"})["variables.replaced"]
    assert finding.level is Level.PROBLEM
    assert name in finding.says
    assert len(finding.do) > 20
    assert found(variables.replaced, {name: ""}) == {}


def test_a_misspelt_name_of_ddtraces_is_told() -> None:
    finding = found(variables.misspelt, {"DD_SERVCE": "bot"})["variables.misspelt"]
    assert finding.level is Level.NOTE
    assert finding.facts["likely"] == "DD_SERVICE"


@pytest.mark.parametrize(
    "name",
    [
        "DD_SERVICE",
        "DD_TRACE_OPENAI_ENABLED",
        "DD_LOGS_ENABLED",
        "DD_LOGS_CONFIG_CONTAINER_COLLECT_ALL",
        "DD_APM_NON_LOCAL_TRAFFIC",
        "DD_APP_KEY",
        "DD_DOGSTATSD_NON_LOCAL_TRAFFIC",
        "DD_APM_RECEIVER_SOCKET",
        "DD_SITE",
        *REPLACED,
    ],
)
def test_a_name_of_ddtraces_the_agents_or_the_clients_is_not_taken_for_a_slip(name: str) -> None:
    assert found(variables.misspelt, {name: "x"}) == {}


@pytest.mark.parametrize(
    ("environ", "check", "level"),
    [
        ({"DD_TRACE_ENABLED": "false"}, "variables.tracing", Level.PROBLEM),
        ({"DD_APM_TRACING_ENABLED": "false"}, "variables.tracing", Level.PROBLEM),
        ({"DD_LOGS_INJECTION": "False"}, "variables.log_ids", Level.NOTE),
        ({"DD_TRACE_PARTIAL_FLUSH_ENABLED": "0"}, "variables.partial_flush", Level.NOTE),
        ({"DD_TRACE_PARTIAL_FLUSH_MIN_SPANS": "5000"}, "variables.partial_flush", Level.NOTE),
        ({"DD_TRACE_SAMPLING_RULES": "0.5"}, "variables.sampling_rules", Level.PROBLEM),
        ({"DD_TRACE_SAMPLING_RULES": "[{sample_rate: 1}]"}, "variables.sampling_rules", "problem"),
    ],
)
def test_what_turns_off_or_holds_back_is_told(
    environ: dict[str, str], check: str, level: Level
) -> None:
    finding = found(variables.tracing, environ)[check]
    assert finding.level is Level(level)
    assert finding.do


def test_what_is_as_it_should_be_is_not_talked_about() -> None:
    environ = {
        "DD_TRACE_ENABLED": "true",
        "DD_LOGS_INJECTION": "true",
        "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS": "100",
        "DD_TRACE_SAMPLING_RULES": '[{"sample_rate": 0.5}]',
    }
    assert found(variables.tracing, environ) == {}
    assert found(variables.tracing) == {}


def test_ddtraces_own_lines_are_told_unless_they_are_turned_off() -> None:
    name = "DD_TRACE_LOG_STREAM_HANDLER"
    assert found(variables.own_lines)["variables.ddtrace_lines"].level is Level.NOTE
    assert found(variables.own_lines, {name: "false"}) == {}


@pytest.mark.parametrize("key", ['"0123456789abcdef"', "0123456789abcdef\n", "0" * 40])
def test_a_key_that_cannot_be_one_is_told_without_it(key: str) -> None:
    findings = found(variables.destination, {"DD_API_KEY": key})
    assert findings["variables.api_key"].level is Level.PROBLEM
    assert key.strip('"\n') not in str(findings)


def test_where_things_go_is_told() -> None:
    findings = found(variables.destination, {"DD_SITE": "datadoghq.eu", "DD_API_KEY": "0" * 32})
    (finding,) = findings.values()
    assert finding.level is Level.OK
    assert finding.facts == {"set": ["DD_SITE", "DD_API_KEY"]}
    assert found(variables.destination) == {}


# Our own


def test_every_setting_with_a_variable_is_known_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    class Asked(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    monkeypatch.setattr(os, "environ", Asked(os.environ))
    Settings.read()
    of_observer = table.taken_by(Taker.OBSERVER)
    known = {setting.variable for setting in of_observer} - {None}
    assert {name for name in asked if name.startswith("PIPECAT_DD_")} == known
    arguments = [setting.argument for setting in of_observer]
    assert list(inspect.signature(Settings.read).parameters) == arguments


@pytest.mark.parametrize(
    ("name", "do"),
    [
        ("PIPECAT_DD_CAPTURE_CONTENTS", "Set PIPECAT_DD_CAPTURE_CONTENT instead."),
        ("PIPECAT_DD_XYZZY", "Choose from PIPECAT_DD_API_URL, "),
    ],
)
def test_a_variable_of_ours_that_does_not_exist_is_told(name: str, do: str) -> None:
    finding = found(settings.ours, {name: "1"})["settings.unknown"]
    assert finding.level is Level.PROBLEM
    assert finding.do.startswith(do)


def test_each_value_that_is_refused_is_told_not_only_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIPECAT_DD_SLOW_FRAME_MS", "soon")
    before = dict(os.environ)
    findings = list(
        settings.ours(
            settings.Context(
                {
                    "PIPECAT_DD_NAME": "alice",
                    "PIPECAT_DD_TAGS": "gold",
                    "PIPECAT_DD_SLOW_FRAME_MS": "soon",
                    "PIPECAT_DD_PHONE_HASH_KEY": "too-short",
                }
            )
        )
    )
    told = [one.facts["variable"] for one in findings if one.check == "settings.invalid"]
    assert told == [
        "PIPECAT_DD_PHONE_HASH_KEY",
        "PIPECAT_DD_SLOW_FRAME_MS",
        "PIPECAT_DD_TAGS",
    ]
    assert {one.level for one in findings if one.check == "settings.invalid"} == {Level.PROBLEM}
    assert findings[-1].facts == {"set": ["PIPECAT_DD_NAME"]}
    assert "too-short" not in str(findings)
    assert dict(os.environ) == before


# A file of variables


def bot(tmp_path: Path, source: str) -> Start:
    path = tmp_path / "bot.py"
    path.write_text(source)
    (tmp_path / ".env").write_text("DD_SERVICE=bot\nOPENAI_API_KEY=sk-canary-canary\n")
    return Start.read(f"python {path}")


LATE = "from pipecat_dd import DatadogObserver\nload_dotenv()"
EARLY = "load_dotenv()\nfrom pipecat_dd import DatadogObserver"


def test_variables_that_ddtrace_gets_too_late_are_told(tmp_path: Path) -> None:
    late = found(env_file.too_late, start=bot(tmp_path, LATE))["env_file.too_late"]
    assert late.level is Level.PROBLEM
    assert late.facts == {"variables": ["DD_SERVICE"]}
    unsure = found(env_file.too_late, directory=tmp_path)["env_file.too_late"]
    assert unsure.level is Level.NOTE


def test_variables_that_come_in_time_are_not(tmp_path: Path) -> None:
    start = bot(tmp_path, LATE)
    assert found(env_file.too_late, {"DD_SERVICE": "bot"}, start=start) == {}
    assert found(env_file.too_late, start=bot(tmp_path, EARLY)) == {}
    (tmp_path / ".env").unlink()
    assert found(env_file.too_late, start=start) == {}


def test_ddtrace_really_reads_its_variables_at_import() -> None:
    code = (
        "import os, ddtrace\n"
        "os.environ.update(DD_SERVICE='late', DD_TRACE_AGENT_URL='http://late:1')\n"
        "print(ddtrace.config.service, ddtrace.trace.tracer.agent_trace_url)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "late" not in done.stdout


# The site, and content


@pytest.mark.parametrize(
    ("site", "level", "do"),
    [
        ("app.datadoghq.eu", Level.PROBLEM, "Set DD_SITE=datadoghq.eu."),
        ("https://us5.datadoghq.com/", Level.PROBLEM, "Set DD_SITE=us5.datadoghq.com."),
        ("datadog.example", Level.NOTE, "The sites are datadoghq.com, "),
    ],
)
def test_a_site_that_is_none_is_told(site: str, level: Level, do: str) -> None:
    finding = found(intake.site, {"DD_SITE": site})["intake.site"]
    assert finding.level is level
    assert finding.do.startswith(do)


def test_a_site_is_not_talked_about() -> None:
    assert found(intake.site) == {}
    assert all(found(intake.site, {"DD_SITE": site}) == {} for site in intake.SITES)


def test_whether_llm_observability_gets_content_is_told() -> None:
    on = {"DD_LLMOBS_ENABLED": "1"}
    finding = found(content.llm_observability, on)["content.llm_observability"]
    assert "content is removed" in finding.says
    assert finding.facts == {"integrations": ["openai"]}  # which tests/conftest.py patches
    wanted = {**on, "PIPECAT_DD_CAPTURE_CONTENT": "yes"}
    finding = found(content.llm_observability, wanted)["content.llm_observability"]
    assert "prompts and answers are sent" in finding.says
    assert found(content.llm_observability) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DD_TRACE_ENABLED", "yes"),
        ("DD_TRACE_OPENAI_ENABLED", "on"),
        ("DD_TRACE_LOG_STREAM_HANDLER", "off"),
        ("DD_TRACE_AGENT_PORT", "eight"),
        ("DD_DOGSTATSD_PORT", "0"),
        ("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "many"),
        ("DD_TRACE_AGENT_URL", "agent:8126"),
        ("DD_TRACE_AGENT_URL", "tcp://agent:8126"),
        ("DD_DOGSTATSD_URL", "http://agent:8125"),
        ("DD_TRACE_API_VERSION", "v0.7"),
        ("DD_TAGS", "team:voice,production"),
    ],
)
def test_a_value_that_is_not_taken_is_told_with_what_is(name: str, value: str) -> None:
    finding = found(variables.values, {name: value})["variables.value"]
    assert finding.level is Level.PROBLEM
    assert finding.facts["variable"] == name
    assert name in finding.says
    assert len(finding.do) > 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DD_TRACE_ENABLED", "True"),
        ("DD_TRACE_ENABLED", "0"),
        ("DD_TRACE_ENABLED", " "),
        ("DD_LOGS_INJECTION", "structured"),
        ("DD_SOMEBODY_ELSES_ENABLED", "yes"),
        ("DD_TRACE_AGENT_PORT", "8126"),
        ("DD_TRACE_AGENT_URL", "unix:///var/run/datadog/apm.socket"),
        ("DD_DOGSTATSD_URL", "udp://agent:8125"),
        ("DD_TRACE_API_VERSION", "v0.4"),
        ("DD_TAGS", "team:voice region:eu, url:http://a:1"),
        ("MY_ENABLED", "yes"),
    ],
)
def test_a_value_that_is_taken_is_not_talked_about(name: str, value: str) -> None:
    assert found(variables.values, {name: value}) == {}


def test_what_ddtrace_takes_for_false_is_what_is_said_to_be() -> None:
    ask = "import ddtrace; print(ddtrace.tracer.enabled)"
    for value in ("yes", "on"):
        env = {**os.environ, "DD_TRACE_ENABLED": value}
        done = subprocess.run(
            [sys.executable, "-c", ask], env=env, capture_output=True, text=True, timeout=30
        )
        assert done.stdout.strip() == "False"


def test_a_name_that_datadog_writes_otherwise_is_told() -> None:
    finding = found(variables.values, {"DD_SERVICE": "My Bot"})["variables.tag_value"]
    assert finding.level is Level.NOTE
    assert finding.facts["shown_as"] == "my_bot"
    assert found(variables.values, UNIFIED) == {}
