"""The whole command, in processes of its own: with ddtrace-run and without, well and unwell."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipecat_dd.cli.doctor.checks import GROUPS
from pipecat_dd.cli.doctor.finding import Level
from pipecat_dd.cli.doctor.secret_filter import SecretFilter
from pipecat_dd.cli.main import main
from tests.cli.doctor.running import ROOT, Ran, doctor
from tests.cli.doctor.servers import VALID, Server, answering, answering_on_a_socket
from tests.support.ports import free_port

CANARIES = {
    "DD_API_KEY": "canaryapikey00000000000000000000",
    "DD_APP_KEY": "canaryappkey0000000000000000000000000000",
    "OPENAI_API_KEY": "sk-canaryopenai0000000000000000",
    "PIPECAT_DD_PHONE_HASH_KEY": "canary-hash",
    "MY_PASSWORD": "canary-password",
}
GROUP_NAMES = {"clock", *(group.name for group in GROUPS)}
UNIFIED = {"DD_SERVICE": "bot", "DD_ENV": "prod", "DD_VERSION": "1.2"}
BOT = """
import ddtrace.auto
from dotenv import load_dotenv
from pipecat.transports.websocket.fastapi import FastAPIWebsocketTransport

load_dotenv()
raise SystemExit("it was run")
"""


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All is as it should be: under ddtrace-run, an Agent on a Unix socket."""
    here = tmp_path_factory.mktemp("well")
    with answering_on_a_socket(here / "apm.socket", Server()) as server:
        return doctor(
            "--json",
            cwd=here,
            ddtrace_run=True,
            environ={
                **UNIFIED,
                "DD_TRACE_AGENT_URL": server.url,
                "DD_TRACE_WEBSOCKET_MESSAGES_ENABLED": "false",
                "DD_TRACE_LOG_STREAM_HANDLER": "false",
                "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
                "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            },
        )


@pytest.fixture(scope="module")
def unwell(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Nothing is patched, nobody answers, and secrets are wherever they can be."""
    url = f"http://me:canary-userinfo@127.0.0.1:{free_port()}"
    return doctor(
        "--json",
        f"--api-url={url}",
        "--send",
        cwd=tmp_path_factory.mktemp("unwell"),
        environ={
            **CANARIES,
            "DD_TRACE_AGENT_URL": url,
            "DD_TRACE_SAMPLE_RATE": "0.5",
            "DD_SERVCE": "bot",
            "PIPECAT_DD_NAMES": "canary-password",
        },
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """How the bot starts is told; one of the libraries that ddtrace patches is not that one."""
    here = tmp_path_factory.mktemp("told")
    (here / "bot.py").write_text(BOT)
    (here / ".env").write_text("DD_ENV=prod\n")
    (here / "anthropic.py").write_text("")
    with answering(Server()) as agent, answering(Server(status=403, body=VALID)) as intake:
        yield doctor(
            "--json",
            f"--api-url={intake.url}",
            "--start",
            f"DD_SERVICE=told DD_LLMOBS_ENABLED=1 DD_TRACE_AGENT_URL={agent.url} "
            "DD_API_KEY=canaryapikey00000000000000000000 python bot.py",
            cwd=here,
            path=[here],
            environ={"DD_TRACE_SAMPLING_RULES": '[{"sample_rate": 0}]'},
        )


def test_where_all_is_well_nothing_is_a_problem_and_the_exit_code_is_0(well: Ran) -> None:
    assert set(well.levels().values()) == {"ok"}, well.out
    assert well.code == 0, well.err
    assert well.report["level"] == "ok"


def test_under_ddtrace_run_what_is_patched_is_seen(well: Ran) -> None:
    patched = well.of("integrations.patched")["facts"]["patched"]
    assert {"openai", "httpx", "aiohttp", "loguru", "logging", "asyncio", "futures"} <= set(patched)
    assert well.of("integrations.websocket_messages")["facts"] == {"traced": False}


def test_an_agent_on_a_unix_socket_is_found_where_ddtrace_finds_it(well: Ran) -> None:
    assert well.of("agent.answers")["facts"]["url"].startswith("unix://")


def test_lines_lead_to_their_span_with_ddtraces_patches_and_without(well: Ran, told: Ran) -> None:
    for ran in (well, told):
        assert ran.of("sample.lines")["level"] == "ok"
        assert ran.of("sample.stdlib_lines")["level"] == "ok"


def test_where_something_is_wrong_the_exit_code_is_1(unwell: Ran) -> None:
    assert unwell.code == 1
    assert unwell.report["level"] == "problem"
    assert {check for check, level in unwell.levels().items() if level == "problem"} == {
        "agent.answers",
        "sample.session",
        "sending.accepted",
        "settings.invalid",
        "settings.unknown",
        "variables.replaced",
    }


def test_what_could_not_be_sent_says_which_check_says_why(unwell: Ran) -> None:
    because = unwell.of("sending.accepted")["facts"]["because"]
    assert because[0] == "agent.answers"


def test_without_ddtrace_run_it_says_how_to_look_again(unwell: Ran) -> None:
    finding = unwell.of("integrations.patched")
    assert finding["level"] == "note"
    assert finding["facts"]["patched"] == []
    assert "ddtrace-run pipecat-dd doctor" in finding["do"]


def test_no_secret_is_printed(unwell: Ran, told: Ran) -> None:
    for ran in (unwell, told):
        for printed in (ran.out, ran.err):
            assert "canary" not in printed
    assert "DD_API_KEY" in unwell.out


def test_nothing_but_the_report_is_printed(well: Ran, unwell: Ran) -> None:
    assert (well.err, unwell.err) == ("", "")


def test_the_bots_start_is_told_and_not_run(told: Ran) -> None:
    assert told.report["start"] == {
        "by": "ddtrace-run or ddtrace.auto",
        "source": "bot.py",
        "variables": ["DD_API_KEY", "DD_LLMOBS_ENABLED", "DD_SERVICE", "DD_TRACE_AGENT_URL"],
    }
    assert "it was run" not in told.out + told.err
    assert told.of("agent.answers")["level"] == "ok"
    assert "openai" in told.of("integrations.patched")["facts"]["patched"]


def test_what_ddtrace_cannot_patch_is_told(told: Ran) -> None:
    finding = told.of("integrations.failed")
    assert finding["level"] == "problem"
    assert finding["facts"] == {"integration": "anthropic"}


def test_messages_of_websockets_are_a_problem_for_a_bot_behind_fastapi(told: Ran) -> None:
    finding = told.of("integrations.websocket_messages")
    assert finding["level"] == "problem"
    assert finding["do"] == "Set DD_TRACE_WEBSOCKET_MESSAGES_ENABLED=false."


def test_what_the_environment_brings_about_is_seen(told: Ran) -> None:
    levels = told.levels()
    assert levels["env_file.too_late"] == "problem"
    assert "content.llm_observability" in levels
    assert levels["sample.kept"] == "note"
    assert levels["intake.key"] == "problem"


def test_variables_from_a_file_count_as_set_and_ddtrace_calls_nobody(tmp_path: Path) -> None:
    with answering(Server()) as agent:
        (tmp_path / "bot.env").write_text(f"DD_SERVICE=filed\nDD_TRACE_AGENT_URL={agent.url}\n")
        ran = doctor("--json", "--env-file", "bot.env", cwd=tmp_path)
    assert ran.of("variables.unified")["facts"]["service"] == "filed"
    assert ran.of("agent.answers")["facts"]["url"] == agent.url
    assert {path for path, _ in agent.asked} == {"/info"}


# The report for programs


def test_the_report_is_what_the_document_says(well: Ran, unwell: Ran, told: Ran) -> None:
    for ran in (well, unwell, told):
        report = ran.report
        assert list(report) == [
            "schema",
            "checked_at",
            "level",
            "counts",
            "start",
            "findings",
            "cannot_see",
        ]
        assert report["schema"] == 1
        assert sum(report["counts"].values()) == len(report["findings"])
        for finding in report["findings"]:
            assert list(finding) == ["check", "level", "says", "do", "facts"]
            assert finding["level"] in set(Level)
            assert finding["check"].partition(".")[0] in GROUP_NAMES
            assert finding["says"]
            assert bool(finding["do"]) or finding["level"] == "ok", finding
            assert all(_is_flat(fact) for fact in finding["facts"].values())


def _is_flat(fact: Any) -> bool:
    if isinstance(fact, list):
        return all(isinstance(one, str) for one in fact)
    return fact is None or isinstance(fact, str | int | float | bool)


def test_every_check_is_in_the_document(well: Ran, unwell: Ran, told: Ran) -> None:
    text = (ROOT / "docs" / "doctor.md").read_text("utf8")
    named = set(re.findall(r"^\| `([a-z_]+\.[a-z_.-]+)`", text, re.M))
    sources = (ROOT / "pipecat_dd" / "cli" / "doctor").glob("*.py")
    groups = "|".join(GROUP_NAMES)
    written = {
        name
        for source in sources
        for name in re.findall(rf'"((?:{groups})\.[a-z_.-]+)"', source.read_text("utf8"))
    }
    for package in ("pipecat-ai", "ddtrace", "loguru"):  # whose names the code puts together
        written |= {f"installed.{package}", f"installed.{package}.import"}
    assert named == written
    seen = {check for ran in (well, unwell, told) for check in ran.levels()}
    assert seen <= named


# People, and what goes wrong


def test_people_see_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    ran = doctor("--plain", "--send", cwd=tmp_path, environ={"PIPECAT_DD_XYZZY": "1"})
    assert ran.code == 1
    assert "✗ PIPECAT_DD_XYZZY is not a variable" in ran.out
    assert "→ Choose from" in ran.out
    assert "What the doctor cannot check" in ran.out
    assert re.search(r"^\d problems?, \d notes?\.$", ran.out.splitlines()[-1])
    assert ran.err == ""
    assert "\x1b" not in ran.out


@pytest.mark.parametrize(
    ("before", "environ", "told"),
    [
        ("import sys; sys.modules['pipecat'] = None", {}, "installed.pipecat-ai.import"),
        ("", {"DD_AGENTLESS_ENABLED": "true"}, "installed.ddtrace.import"),
    ],
)
def test_with_a_package_that_cannot_be_imported_the_rest_is_still_checked(
    tmp_path: Path, before: str, environ: dict[str, str], told: str
) -> None:
    ran = doctor(
        "--json", "--send", cwd=tmp_path, before=before, environ={**environ, "DD_SERVCE": "1"}
    )
    assert ran.code == 1
    assert ran.of(told)["level"] == "problem"
    assert "variables.unified" in ran.levels()
    assert "sample.lines" not in ran.levels()
    assert not [check for check in ran.levels() if check.endswith(".failed")]


@pytest.mark.parametrize("module", ["click", "rich", "packaging.requirements", "dotenv"])
def test_without_a_package_one_sentence_says_what_to_install(tmp_path: Path, module: str) -> None:
    ran = doctor(
        cwd=tmp_path, before=f"import sys; sys.modules[{module!r}] = None; sys.argv[0] = 'x'"
    )
    assert ran.code == 2
    assert ran.out == ""
    (sentence,) = ran.err.splitlines()
    assert module in sentence
    assert "pip install 'pipecat-dd'" in sentence


@pytest.mark.parametrize(
    "arguments",
    [["--start", ""], ["--timeout", "0"], ["--env-file", "no-such-file"], ["--nonsense"]],
)
def test_what_is_asked_wrongly_is_refused_with_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["doctor", *arguments])
    assert done.exit_code == 2
    assert arguments[0] in done.output


def test_a_check_that_fails_itself_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipecat_dd.cli.doctor import checks, content

    def broken(_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(content, "CHECKS", (broken,))
    monkeypatch.setattr(checks, "GROUPS", [group for group in GROUPS if group.name == "content"])
    done = CliRunner().invoke(main, ["doctor", "--json"])
    assert done.exit_code == 1
    (finding,) = json.loads(done.output)["findings"]
    assert finding["check"] == "content.failed"
    assert "broken on purpose" in finding["says"]


def test_what_is_no_secret_is_not_taken_for_one() -> None:
    secret_filter = SecretFilter(
        {"GIT_AUTHOR_NAME": "Organization", "DD_X_KEY": "true", "DD_API_KEY": " 'abcdefgh' "}
    )
    assert secret_filter.text("Organization true") == "Organization true"
    assert secret_filter.text("it is abcdefgh") == "it is [redacted]"


def test_a_key_in_the_wrong_variable_is_not_printed_and_a_commit_is() -> None:
    key, commit = "0123456789abcdef" * 2, "89abcdef01" * 4
    secret_filter = SecretFilter(
        {"DD_SITE": key, "DD_API_KEY": "datadoghq.eu", "DD_VERSION": commit}
    )
    assert secret_filter.text(f"DD_SITE={key} is no site") == "DD_SITE=[redacted] is no site"
    assert secret_filter.text(f"version {commit}") == f"version {commit}"
