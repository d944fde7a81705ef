"""``examples/compose``: what its files say agrees. No container runs here: that needs Docker."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from pipecat_dd.settings.table import VARIABLES

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
COMPOSE = EXAMPLES / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text("utf8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
BOT = (EXAMPLES / "twilio_server.py").read_text("utf8")
PAGE = ROOT / "docs" / "deploy" / "docker.md"
AGENT_PORTS = {"DD_TRACE_AGENT_URL": 8126, "DD_DOGSTATSD_URL": 8125}


def in_env_example() -> dict[str, str]:
    lines = (COMPOSE / ".env.example").read_text("utf8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_the_bot_reaches_the_agent_by_its_name() -> None:
    assert SERVICES.keys() == {"bot", "datadog-agent"}
    for variable, port in AGENT_PORTS.items():
        url = urlsplit(SERVICES["bot"]["environment"][variable])
        assert (url.hostname, url.port) == ("datadog-agent", port)


def test_lines_and_spans_have_the_same_service() -> None:
    (logs,) = json.loads(SERVICES["bot"]["labels"]["com.datadoghq.ad.logs"])
    assert logs == {"source": "python", "service": SERVICES["bot"]["environment"]["DD_SERVICE"]}


def test_the_file_for_the_keys_has_each_variable_and_no_other() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    assert used == in_env_example().keys()
    assert not {name for name, value in in_env_example().items() if "KEY" in name and value}


def test_the_bot_gets_each_variable_that_it_needs_and_not_the_agents_key() -> None:
    given = SERVICES["bot"]["environment"]
    needed = set(re.findall(r'os\.environ\["(\w+)"\]', BOT))
    assert needed <= given.keys()
    assert "DD_API_KEY" not in given
    ours = {name for name in given if name.startswith("PIPECAT_DD_")}
    assert ours <= VARIABLES.keys()


def test_the_image_has_what_the_bot_imports() -> None:
    dockerfile = (COMPOSE / "Dockerfile").read_text("utf8")
    for source in re.findall(r"^COPY (\S+) \.$", dockerfile, re.M):
        assert (EXAMPLES / source).exists()
    assert re.search(r'^CMD \["python", "twilio_server.py"\]$', dockerfile, re.M)
    requirements = (COMPOSE / "requirements.txt").read_text("utf8").splitlines()
    (pipecat,) = re.findall(r'pip install pipecat-dd "(.+)"', BOT)
    assert requirements == ["pipecat-dd[metrics]", pipecat]


def test_the_page_about_docker_says_the_same() -> None:
    (block,) = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf8"), re.S)
        if "services:" in block
    ]
    page = yaml.safe_load(block)["services"]
    assert page.keys() == SERVICES.keys()
    ours, theirs = (each["datadog-agent"] for each in (SERVICES, page))
    assert ours["image"] == theirs["image"]
    assert ours["volumes"] == theirs["volumes"]
    for service in SERVICES:
        mine, others = SERVICES[service]["environment"], page[service]["environment"]
        shared = (mine.keys() & others.keys()) - {"DD_SERVICE", "DD_ENV", "DD_VERSION"}
        assert {k: mine[k] for k in shared - {"DD_API_KEY"}} == {
            k: others[k] for k in shared - {"DD_API_KEY"}
        }


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs Docker Compose")
def test_compose_takes_the_file(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "examples" / "compose"
    command = ["docker-compose", "config"]
    (folder / ".env").write_text((COMPOSE / ".env.example").read_text("utf8"))
    refused = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "set it in .env" in refused.stderr
    keys = {name: value or "a-key" for name, value in in_env_example().items()}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    taken = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert taken.returncode == 0, taken.stderr
    services = yaml.safe_load(taken.stdout)["services"]
    assert services["bot"]["environment"]["DEEPGRAM_API_KEY"] == "a-key"
    assert services["datadog-agent"]["environment"]["DD_API_KEY"] == "a-key"
