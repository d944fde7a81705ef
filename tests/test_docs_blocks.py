"""Each block of code on each page is held against a rule for its language.

The commands of shell blocks are in test_docs_commands.py.
"""

import ast
import configparser
import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from packaging.requirements import Requirement

from pipecat_dd.cli.doctor._ddtrace import variables as of_ddtrace
from pipecat_dd.settings.table import VARIABLES
from tests.support.docs import PAGES, Block, all_blocks, blocks, name_of
from tests.support.programs import run_python

CHECKED = {"python", "sh", "yaml", "ini", "json", "toml", "dotenv", "dockerfile", "text", "py", ""}
"""The languages that have a rule, here or in test_docs_commands.py."""

OF_THE_AGENT = {
    "DD_API_KEY",
    "DD_APM_NON_LOCAL_TRAFFIC",
    "DD_DOGSTATSD_NON_LOCAL_TRAFFIC",
    "DD_HOSTNAME",
    "DD_LOGS_ENABLED",
    "DD_SITE",
}
"""Variables of Datadog's Agent, by its documentation."""

OF_THE_COMMAND = {"DD_APP_KEY", "PIPECAT_SETUP_FILES"}
"""What `pipecat-dd setup` and Pipecat read."""

BEFORE = {
    "docs/llm-observability.md": "from ddtrace.llmobs import LLMObs\nLLMObs.enable()\n",
    "docs/index.md": (
        "from pipecat.pipeline.pipeline import Pipeline\n"
        "from pipecat.pipeline.worker import PipelineWorker\n"
        "pipeline = Pipeline([])\n"
    ),
    "README.md": (
        "from pipecat.pipeline.pipeline import Pipeline\n"
        "from pipecat.pipeline.worker import PipelineWorker\n"
        "PipelineTask = PipelineWorker\n"
        "pipeline = Pipeline([])\n"
    ),
}
"""What a page takes for granted where it shows a part of a program."""

RUN = """
import ast, asyncio, inspect, json, sys
namespace = {"__name__": "__main__"}
for name, text in json.load(sys.stdin):
    code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, namespace))
    else:
        exec(code, namespace)
"""


def known_variables() -> set[str]:
    return {*of_ddtrace(), *VARIABLES, *OF_THE_AGENT, *OF_THE_COMMAND}


def assert_known(names: Any) -> None:
    """Assert that variables whose names begin as Datadog's and ours do are read by somebody."""
    ours = {name for name in names if name.startswith(("DD_", "PIPECAT_DD_"))}
    assert ours <= known_variables()


@pytest.mark.parametrize("block", all_blocks(), ids=lambda block: block.name)
def test_a_block_is_in_a_language_that_is_checked(block: Block) -> None:
    assert block.language in CHECKED


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(one.language == "python" for one in blocks(page))],
    ids=name_of,
)
def test_a_page_s_python_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    """The blocks of one page are one program: a later one may use what an earlier one made."""
    shown = [one for one in blocks(page) if one.language == "python"]
    program = [("taken for granted", BEFORE.get(name_of(page), ""))]
    # What is written below /var/log is written in the test's directory.
    program += [(one.name, one.text.replace("/var/log/", f"{tmp_path}/")) for one in shown]
    if any("pipecat.pipeline.worker" in text for _, text in program):
        pytest.importorskip("pipecat.pipeline.worker", reason="Pipecat's name since 1.3")
    done = run_python(
        *("-c", RUN),
        given=json.dumps(program),
        cwd=tmp_path,
        variables={
            "DD_API_KEY": "0123456789abcdef0123456789abcdef",
            "DD_LLMOBS_ML_APP": "bot",
            # Nothing listens there; what is sent is given up at the process's end.
            "PIPECAT_DD_SHIP_URL": "http://127.0.0.1:9/api/v2/logs",
        },
        timeout_secs=90,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", all_blocks("py"), ids=lambda block: block.name)
def test_only_the_reference_shows_signatures_and_parts_of_programs(block: Block) -> None:
    """It is written from the code's signatures and docstrings, and is no program."""
    assert block.page.parent.name == "reference"
    try:
        ast.parse(block.text)
    except SyntaxError:
        ast.parse(f"def {block.text.strip()}: ...")


@pytest.mark.parametrize("block", all_blocks("json"), ids=lambda block: block.name)
def test_json_is_valid(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=lambda block: block.name)
def test_yaml_is_what_its_reader_takes(block: Block) -> None:
    found = yaml.safe_load(block.text)
    assert isinstance(found, dict)
    rules = [check for key, check in YAML.items() if key in found]
    assert len(rules) == 1, f"no rule knows {sorted(found)}"
    rules[0](found)


def _agents_logs(found: dict[str, Any]) -> None:
    for source in found["logs"]:
        assert source["type"] == "file"
        assert source["path"].startswith("/")
        assert {"service", "source"} <= set(source)


def _agents_settings(found: dict[str, Any]) -> None:
    assert found == {"logs_enabled": True}


def _compose(found: dict[str, Any]) -> None:
    services = found["services"]
    for service in services.values():
        assert {"image", "build"} & set(service)
        assert set(service) <= {
            *("build", "command", "depends_on", "env_file", "environment", "image", "init"),
            *("labels", "pid", "ports", "stop_grace_period", "volumes"),
        }
        assert set(service.get("depends_on", ())) <= set(services)
        assert_known(service.get("environment", ()))
        for value in service.get("environment", {}).values():
            assert isinstance(value, str), f"Compose takes text, not {value!r}"
        for name, value in service.get("labels", {}).items():
            assert name == "com.datadoghq.ad.logs"
            (source,) = json.loads(value)
            assert source["service"] == service["environment"]["DD_SERVICE"]
    for address in re.findall(r"http://([\w-]+):8126", json.dumps(found)):
        assert address in services


def _manifest(found: dict[str, Any]) -> None:
    if found["kind"] == "DatadogAgent":
        assert found["apiVersion"] == "datadoghq.com/v2alpha1"
        assert set(found["spec"]) == {"global", "features"}
        return
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
    template = found["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert found["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ((name, value),) = template["metadata"]["annotations"].items()
    (container,) = template["spec"]["containers"]
    assert name == f"ad.datadoghq.com/{container['name']}.logs"
    (source,) = json.loads(value)
    assert source == {"source": "python", "service": labels["tags.datadoghq.com/service"]}
    _container_env(container)
    for variable in container["env"]:
        if (field := variable.get("valueFrom", {}).get("fieldRef")) is not None:
            label = re.findall(r"'(.*)'", field["fieldPath"])[0]
            assert label in labels
            assert label.endswith(variable["name"].removeprefix("DD_").lower())
    assert {one["name"] for one in container["volumeMounts"]} == {
        one["name"] for one in template["spec"]["volumes"]
    }


def _container_env(found: dict[str, Any]) -> None:
    assert_known(variable["name"] for variable in found["env"])
    for variable in found["env"]:
        assert isinstance(variable.get("value", ""), str)


def _chart(found: dict[str, Any]) -> None:
    assert set(found["datadog"]) <= {"apiKeyExistingSecret", "site", "logs", "apm"}


YAML = {
    "logs": _agents_logs,
    "logs_enabled": _agents_settings,
    "services": _compose,
    "apiVersion": _manifest,
    "env": _container_env,
    "datadog": _chart,
}
"""The rule for a document that has a key."""


@pytest.mark.parametrize("block", all_blocks("ini"), ids=lambda block: block.name)
def test_a_unit_is_what_systemd_takes(block: Block, tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    assert unit.sections() == ["Unit", "Service", "Install"]
    assert_known(re.findall(r"\b([A-Z_]+)=", "".join(re.findall("Environment=.*", block.text))))
    if shutil.which("systemd-analyze") is None:
        return
    path = tmp_path / "bot.service"
    # The programs and the user are not on this machine.
    text = re.sub(r"ExecStart=.*", f"ExecStart={sys.executable} bot.py", block.text)
    path.write_text(text.replace("User=bot", "User=root"), "utf8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "bot.service" not in done.stderr


@pytest.mark.parametrize("block", all_blocks("toml"), ids=lambda block: block.name)
def test_toml_is_what_pipecat_cloud_takes(block: Block) -> None:
    found = tomllib.loads(block.text)
    assert set(found) <= {"agent_name", "image", "secret_set", "region", "scaling"}
    assert set(found.get("scaling", ())) <= {"min_agents", "max_agents"}


@pytest.mark.parametrize("block", all_blocks("dotenv"), ids=lambda block: block.name)
def test_a_file_of_variables_names_what_is_read(block: Block) -> None:
    found = dotenv_values(stream=io.StringIO(block.text))
    assert len(found) == len(block.text.splitlines())
    assert all(found.values())
    assert_known(found)


@pytest.mark.parametrize("block", all_blocks("dockerfile"), ids=lambda block: block.name)
def test_an_image_copies_what_the_page_shows_and_starts_as_it_says(block: Block) -> None:
    lines = re.sub(r"\\\n", " ", block.text).splitlines()
    instructions = [line.partition(" ")[::2] for line in lines]
    assert instructions[0][0] == "FROM"
    assert {name for name, _ in instructions} <= {"FROM", "WORKDIR", "ENV", "COPY", "RUN", "CMD"}
    page = block.page.read_text("utf8")
    for name, rest in instructions:
        if name == "COPY":
            *files, _ = rest.split()
            assert all(f"`{file.removeprefix('./')}`" in page for file in files)
        if name == "CMD":
            assert json.loads(rest) == ["ddtrace-run", "python", "bot.py"]


@pytest.mark.parametrize("block", all_blocks("text", ""), ids=lambda block: block.name)
def test_what_is_no_code_is_no_code(block: Block) -> None:
    if re.search(r"^[\w-]+(\[[\w,]+\])?$", block.text.partition("\n")[0]):
        if block.text.startswith("pipecat.session\n"):
            return  # a tree of spans
        assert any(Requirement(line).name == "pipecat-dd" for line in block.text.splitlines())
        return
    for line in block.text.splitlines():
        assert not re.match(
            r"\s*(\$|pip |uv |python |pipecat-dd |ddtrace-run |export |import )", line
        )


def test_the_paths_of_the_host_s_recipe_agree() -> None:
    (page,) = (page for page in PAGES if page.name == "host.md")
    shown = {one.language: one.text for one in blocks(page)}
    text = page.read_text("utf8")
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read_string(shown["ini"])
    service = unit["Service"]
    (log,) = re.findall(r'configure_logging\("([^"]+)"', shown["python"])
    (source,) = yaml.safe_load(shown["yaml"])["logs"]
    assert source["path"] == log
    assert str(Path(log).parent) == f"/var/log/{service['LogsDirectory']}"
    programs = service["ExecStart"].split()[:2]
    assert all(one.startswith(f"{service['WorkingDirectory']}/venv/bin/") for one in programs)
    assert f"DD_SERVICE={source['service']} " in shown["ini"]
    for path in (log, service["EnvironmentFile"], service["WorkingDirectory"]):
        assert f"`{path}" in text.partition("**1.")[0], "the table at the top"
