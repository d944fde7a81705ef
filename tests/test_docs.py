"""What the pages show gives what they say."""

import json
import re
from pathlib import Path
from textwrap import indent
from typing import Any

from tests.support.programs import run_python

DOCS = Path(__file__).parent.parent / "docs"


def run(code: str, cwd: Path) -> list[dict[str, Any]]:
    variables = {"DD_SERVICE": "pipecat-chatbot", "DD_ENV": "prod"}
    done = run_python("-c", code, cwd=cwd, variables=variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_line_in_the_document_has_the_fields_of_a_real_one(tmp_path: Path) -> None:
    text = (DOCS / "logs.md").read_text("utf8")
    shown = json.loads(re.findall(r"```json\n(.*?)```", text, re.S)[0])
    code = re.findall(r"```python\n(.*?)```", text, re.S)[0]
    call = "from pipecat_dd import DatadogObserver\nobserver = DatadogObserver()\n" + code.replace(
        "logger.bind(", "logger.bind(participant={'id': 'p-1', 'name': 'Maria'}, "
    ).replace("participant=", "participant_id='p-1', participant=")
    (line,) = run(f"def call():\n{indent(call, '    ')}\ncall()\n", tmp_path)
    assert set(line) | {"dd.version"} == set(shown)
    assert list(line)[:7] == list(shown)[:7]
    assert {key: type(value) for key, value in line.items()}.items() <= {
        key: type(value) for key, value in shown.items()
    }.items()


def test_every_field_that_lines_can_have_is_in_the_table() -> None:
    from pipecat_dd.export.logs.field_roles import UNCUT

    text = (DOCS / "logs.md").read_text("utf8")
    for field in UNCUT:
        assert f"`{field}`" in text or f"`{field}." in text, field


def test_rules_of_ones_own_do_what_the_document_says(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "security.md").read_text("utf8"), re.S)
    (line,) = run(code, tmp_path)
    assert line["message"] == "Order [redacted] of [email]"
    assert line["dob"] == "[redacted]"


def test_every_tag_that_holds_content_is_in_the_inventory() -> None:
    from pipecat_dd.names.tags import TAGS

    text = (DOCS / "security.md").read_text("utf8")
    for tag in TAGS:
        if "Only with `capture_content`" in tag.meaning:
            assert f"`{tag.name}`" in text, tag.name


def test_every_setting_of_configure_logging_is_named() -> None:
    import inspect

    from pipecat_dd import configure_logging

    text = (DOCS / "logs.md").read_text("utf8")
    for name in inspect.signature(configure_logging).parameters:
        assert name == "sink" or f"`{name}" in text, name
