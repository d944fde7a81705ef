"""What can be set of shipping, and what is refused at the start, in clear words."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import Shipping, configure_logging
from pipecat_dd.export.shipping import shipping_counts
from pipecat_dd.export.shipping.settings import Settings, settings_of
from pipecat_dd.settings import notes
from tests.support.intake import KEY, Intake


def of(**options: Any) -> Settings:
    return Settings.of(Shipping(**{"api_key": KEY} | options))


def added(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = json.loads(b"{" + settings.fields + b'"":""}')
    return found


def test_a_key_and_a_site_are_all_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_API_KEY", KEY)
    monkeypatch.setenv("DD_SITE", "us5.datadoghq.com")
    settings = settings_of(True)
    assert settings is not None
    assert settings.url == "https://http-intake.logs.us5.datadoghq.com/api/v2/logs"
    assert settings.api_key == KEY


def test_the_site_is_datadogs_first_one_by_default() -> None:
    assert of().url == "https://http-intake.logs.datadoghq.com/api/v2/logs"


@pytest.mark.parametrize("key", [None, "", "  \n"])
def test_a_missing_key_is_said_where_logging_is_configured(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key is not None:
        monkeypatch.setenv("DD_API_KEY", key)
    with pytest.raises(ValueError, match=r"DD_API_KEY is not set: .*Organization Settings"):
        configure_logging(lambda message: None, ship=True)


@pytest.mark.parametrize("key", ["abc\r\nX-Header: 1", "käse", "two words"])
def test_a_key_that_is_none_is_refused_without_being_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for give in (lambda: Shipping(api_key=key), lambda: settings_of(True)):
        monkeypatch.setenv("DD_API_KEY", key)
        with pytest.raises(ValueError, match="must be an API key") as refused:
            give()
        assert key not in str(refused.value)


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(Shipping(api_key=KEY))
    assert KEY not in repr(of())


@pytest.mark.parametrize(
    ("word", "ships"),
    [("true", True), ("1", True), ("on", True), ("false", False), ("", False), ("0", False)],
)
def test_an_operator_can_turn_it_on(
    word: str, ships: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DD_API_KEY", KEY)
    monkeypatch.setenv("PIPECAT_DD_SHIP", word)
    assert (settings_of(None) is not None) is ships
    assert settings_of(False) is None


def test_an_operator_can_set_all_but_the_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "URL": "http://proxy:8282",
        "SOURCE": "pipecat",
        "TAGS": "team:voice, tier:gold",
        "FLUSH_INTERVAL_SECS": "0.5",
        "TIMEOUT_SECS": "3",
        "MAX_MEMORY_BYTES": "2097152",
        "SPOOL_DIR": "/var/spool/bot",
        "MAX_SPOOL_BYTES": "5000000",
    }.items():
        monkeypatch.setenv(f"PIPECAT_DD_SHIP_{name}", text)
    monkeypatch.setenv("DD_HOSTNAME", "pod-7")
    settings = of()
    assert settings.url == "http://proxy:8282/api/v2/logs"
    assert settings.flush_interval_secs == 0.5
    assert settings.timeout_secs == 3
    assert settings.max_memory_bytes == 2_097_152
    assert settings.spool_dir == Path("/var/spool/bot")
    assert settings.max_spool_bytes == 5_000_000
    fields = added(settings)
    assert fields["ddsource"] == "pipecat"
    assert fields["hostname"] == "pod-7"
    assert {"team:voice", "tier:gold"} <= set(fields["ddtags"].split(","))
    assert of(flush_interval_secs=1).flush_interval_secs == 1
    assert added(of(hostname="other"))["hostname"] == "other"


def test_tags_are_those_of_the_spans_and_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_ENV", "prod")
    monkeypatch.setenv("DD_VERSION", "1.2.0")
    monkeypatch.setenv("DD_TAGS", "region:eu on-call env:other")
    tags = added(of(tags={"region": "us", "n": 3}))["ddtags"].split(",")
    assert set(tags) == {"region:us", "on-call", "env:prod", "version:1.2.0", "n:3"}


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"api_key": 3}, TypeError, "api_key: must be a string, not int"),
        ({"site": "https://app.datadoghq.com"}, ValueError, "site='https.*without"),
        ({"site": "app.datadoghq.eu"}, ValueError, "site='app.datadoghq.eu'"),
        ({"site": "eu"}, ValueError, "site='eu'"),
        ({"url": "logs.internal"}, ValueError, "url: must be a URL"),
        ({"url": "ftp://logs.internal"}, ValueError, "url: must be a URL"),
        (
            {"url": "https://user:secret@logs.internal"},
            ValueError,
            "url: must be a URL without user",
        ),
        ({"source": " "}, ValueError, "source=' '"),
        ({"tags": "a:b"}, TypeError, "tags='a:b'"),
        ({"tags": {"a b": "c"}}, ValueError, "tags: the tag 'a b'"),
        ({"tags": {"a": "b,c"}}, ValueError, "tags: the tag 'a' has the value 'b,c'"),
        ({"tags": {"a": None}}, TypeError, "tags: the tag 'a' has the value None"),
        ({"hostname": 3}, TypeError, "hostname=3"),
        ({"flush_interval_secs": 0}, ValueError, "flush_interval_secs=0: .*at most 60"),
        ({"flush_interval_secs": "1"}, TypeError, "flush_interval_secs='1'"),
        ({"flush_interval_secs": float("nan")}, ValueError, "flush_interval_secs=nan"),
        ({"timeout_secs": 61}, ValueError, "timeout_secs=61"),
        ({"timeout_secs": True}, TypeError, "timeout_secs=True"),
        ({"max_memory_bytes": 1000}, ValueError, "max_memory_bytes=1000: .*1048576 or more"),
        ({"max_spool_bytes": 1000}, ValueError, "max_spool_bytes=1000: .*4194304 or more"),
        ({"spool_dir": 3}, TypeError, "spool_dir=3"),
        ({"spool_dir": ""}, ValueError, "spool_dir=''"),
    ],
)
def test_a_bad_argument_is_refused_by_name_and_value(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as refused:
        of(**options)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "is_shipped"),
    [
        ("PIPECAT_DD_SHIP", "perhaps", False),
        ("PIPECAT_DD_SHIP_TIMEOUT_SECS", "soon", True),
        ("PIPECAT_DD_SHIP_MAX_MEMORY_BYTES", "1", True),
        ("PIPECAT_DD_SHIP_TAGS", "team", True),
        ("PIPECAT_DD_SHIP_SPOOL_DIR", "/dev/null/spool", True),
        # Where lines go has no default that could be meant.
        ("PIPECAT_DD_SHIP_URL", "nowhere", False),
        ("PIPECAT_DD_SHIP_URL", "https://user:hunter2@logs.internal", False),
        ("DD_SITE", "https://datadoghq.eu", False),
        ("DD_API_KEY", "two words", False),
        ("DD_API_KEY", " ", False),
    ],
)
def test_a_bad_variable_is_said_by_its_name_and_the_bot_answers(
    name: str, text: str, is_shipped: bool, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "_reported", set())
    monkeypatch.setenv("DD_API_KEY", KEY)
    monkeypatch.setenv("PIPECAT_DD_SHIP", "true")
    monkeypatch.setenv("PIPECAT_DD_SHIP_URL", intake.url)
    monkeypatch.setenv(name, text)
    if name == "DD_SITE":
        monkeypatch.delenv("PIPECAT_DD_SHIP_URL")
    lines: list[str] = []
    for _ in range(2):
        configure_logging(lambda message: lines.append(str(message)))
    said = [json.loads(line) for line in lines if "pipecat_dd: " in line and name in line]
    assert len(said) == 1
    assert said[0]["levelname"] == "WARNING"
    assert "hunter2" not in str(lines)
    logger.info("hello")
    if is_shipped:
        assert "hello" in [line["message"] for line in intake.wait_for_lines(1)]
    else:
        assert shipping_counts().written == 0


def test_an_argument_wins_over_a_bad_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_SITE", "https://datadoghq.eu")
    monkeypatch.setenv("PIPECAT_DD_SHIP_TIMEOUT_SECS", "soon")
    settings = of(site="datadoghq.eu", timeout_secs=3)
    assert settings.url == "https://http-intake.logs.datadoghq.eu/api/v2/logs"
    assert settings.timeout_secs == 3


@pytest.mark.parametrize("ship", ["yes", 1, {}])
def test_ship_is_true_false_or_a_shipping(ship: Any) -> None:
    with pytest.raises(TypeError, match="ship="):
        configure_logging(lambda message: None, ship=ship)


def test_every_argument_is_documented() -> None:
    text = Shipping.__doc__ or ""
    for argument in fields(Shipping):
        assert f"{argument.name}:" in text
