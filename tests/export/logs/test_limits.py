"""A line stays within Datadog's limits; what was cut is marked, and its ids never are."""

import io
import json
import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger

from pipecat_dd.export.logs import Redactor, configure_logging, containers, unconfigure_logging
from pipecat_dd.export.logs.sanitize import (
    LEAST_CHARS,
    MAX_ATTRIBUTES,
    MAX_BOUND_CHARS,
    MAX_TEXT_CHARS,
    Sanitizer,
)
from pipecat_dd.settings.table import LEAST_LINE_BYTES, MAX_LINE_BYTES
from tests.export.logs.conftest import KNOWN, Lines

IDS = ("session_id", "participant_id", "dd.trace_id", "dd.span_id", "service")


def attributes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + attributes(member) for member in value.values())
    if isinstance(value, list):
        return sum(attributes(member) for member in value)
    return 0


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [k for key, member in value.items() for k in (key, *keys(member))]
    if isinstance(value, list):
        return [k for member in value for k in keys(member)]
    return []


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"end": 1}
    for _ in range(levels):
        value = {"in": value, "list": [value] if levels < 12 else []}
    return value


def write(message: str = "hello", **bound: Any) -> None:
    logger.bind(**bound).info(message)


@pytest.mark.parametrize(
    "bound",
    [
        {"text": "x" * 200_000},
        {"text": "é漢🎉" * 50_000},
        {"text": "\x00" * 30_000},
        {f"text_{i}": "x" * 3000 for i in range(200)},
        {f"key_{i}": i for i in range(1000)},
        {"mapping": {f"key_{i}": {"a": i} for i in range(1000)}},
        {"items": list(range(100_000))},
        {"grid": [[0] * 1000 for _ in range(1000)]},
        {"objects": [{"a": 1, "b": 2} for _ in range(1000)]},
        {"k" * 300: 1},
        {"deep": nested(100)},
        {"deep": nested(10)},
        {"bind" * 30: "x", "status": nested(9)},
        {"session_id": "s" * 150, "text": "x" * 100_000},
    ],
    ids=lambda bound: next(iter(bound))[:12],
)
def test_whatever_is_bound_the_line_fits_and_says_it_was_cut(
    lines: Lines, known: Any, bound: dict[str, Any]
) -> None:
    write(**bound)
    line = lines.one
    assert len(lines.text.encode()) <= MAX_LINE_BYTES
    assert attributes(line) < 256
    assert depth(line) < 10
    assert max(map(len, keys(line))) < 50
    assert line["truncated"] is True
    for name in IDS:
        assert line[name]
    assert line["dd.trace_id"] == KNOWN.trace_id
    assert line["message"] == "hello"


def test_a_line_that_fits_is_not_marked(lines: Lines, known: Any) -> None:
    write("x" * 20_000)
    assert "truncated" not in lines.one
    assert len(lines.one["message"]) == 20_000


def test_a_long_message_keeps_its_start_and_its_ids(lines: Lines, known: Any) -> None:
    write("start " + "x" * 500_000)
    line = lines.one
    assert line["message"].startswith("start xxx")
    assert line["truncated"] is True
    assert len(lines.text) <= MAX_LINE_BYTES


def test_a_secret_at_the_place_of_the_cut_does_not_show_its_half(lines: Lines) -> None:
    for padding in range(49_950, 50_010, 7):
        write("x " * (padding // 2) + "sk-" + "a1" * 40)
    assert "a1a1" not in lines.text


def test_many_secrets_that_shrink_do_not_bring_the_cut_into_view(lines: Lines) -> None:
    secret = "Bearer " + "a1b2" * 12
    write((secret + " ") * 2000)
    assert "a1b2" not in lines.text


def test_max_message_chars_cuts_messages(configured: Any) -> None:
    lines = configured(max_message_chars=10)
    logger.info("0123456789")
    logger.info("0123456789abc")
    short, long = lines.all
    assert short["message"] == "0123456789"
    assert "truncated" not in short
    assert long["message"] == "0123456789…"
    assert long["truncated"] is True


DOCUMENT = "The quick brown fox. " * 2500


@pytest.mark.parametrize(
    "bound",
    [
        {"list": [DOCUMENT] * 500},
        {"lists": [[DOCUMENT] * 500 for _ in range(10)]},
        {"mapping": {f"key_{i}": DOCUMENT for i in range(200)}},
        {"objects": [{"a": DOCUMENT, "b": [DOCUMENT]} for _ in range(200)]},
        {"errors": [ValueError(DOCUMENT)] * 500},
        {"keys": {DOCUMENT + str(i): i for i in range(200)}},
        {f"key_{i}": DOCUMENT for i in range(200)},
    ],
    ids=lambda bound: next(iter(bound)),
)
def test_only_so_much_of_what_is_bound_is_looked_at(configured: Any, bound: dict[str, Any]) -> None:
    looked_at = 0

    def count(name: str | None, text: str) -> str:
        nonlocal looked_at
        looked_at += len(text)
        return text

    lines = configured(redact=Redactor(callback=count))
    write(**bound)
    assert looked_at < MAX_BOUND_CHARS + MAX_TEXT_CHARS + MAX_ATTRIBUTES * LEAST_CHARS * 2
    assert lines.one["truncated"] is True


def test_a_long_value_does_not_empty_those_bound_after_it(lines: Lines) -> None:
    write(documents=[DOCUMENT] * 10, user="maria", state={"step": "paying", "text": DOCUMENT})
    line = lines.one
    assert line["user"] == "maria"
    assert line["state"]["step"] == "paying"
    assert line["state"]["text"].startswith("The quick")
    assert line["state"]["text"].endswith("…")


def test_what_fits_on_a_line_is_not_cut(lines: Lines) -> None:
    bound = {"list": ["word " * 40] * 50, "mapping": {"text": "x" * 10_000}}
    write(**bound)
    assert {name: lines.one[name] for name in bound} == bound
    assert "truncated" not in lines.one


@pytest.mark.parametrize(
    ("secret", "half"),
    [
        ("https://maria:hunter2hunter2@example.com/", "hunter"),
        ("+1 415 555 0123", "415"),
        ("+1 (415) 555-0123", "415"),
        ("sk-" + "a1" * 40, "a1a1"),
    ],
)
def test_no_half_of_a_secret_shows_where_bound_values_are_cut(secret: str, half: str) -> None:
    whole = ["x " * 24_000] * 2
    left = MAX_BOUND_CHARS - sum(map(len, whole))
    for before in range(left - len(secret) - 1, left + 2):
        plain = Sanitizer(Redactor())
        *_, last = plain.value([*whole, "x " + "y" * (before - 3) + " " + secret + " z" * 50])
        assert plain.cut
        assert half not in last


def test_a_stream_that_is_not_utf8_gets_escapes(configured: Any) -> None:
    from pipecat_dd.export.logs import configure_logging

    class Latin(Lines):
        encoding = "latin-1"

    sink = Latin()
    configure_logging(sink)
    logger.info("漢")
    assert sink.text.isascii()
    assert json.loads(sink.text)["message"] == "漢"


# A limit of one's own


def whole(text: str) -> list[bytes]:
    return text.encode().splitlines(keepends=True)


KEPT = ("session_id", "participant_id", "dd.trace_id", "dd.span_id", "timestamp", "status")
BOUND = st.dictionaries(
    st.text(max_size=30) | st.sampled_from(["participant", "error", "status", "error_details"]),
    st.recursive(
        st.text(max_size=3000) | st.integers() | st.binary(max_size=200),
        lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=20), inner),
        max_leaves=20,
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    limit=st.integers(LEAST_LINE_BYTES, MAX_LINE_BYTES),
    message=st.text(max_size=200) | st.text('aé漢🎉\x00"', min_size=5000, max_size=30_000),
    bound=BOUND,
    fails=st.booleans(),
)
def test_any_line_stays_within_any_limit_and_keeps_its_ids(
    configured: Any, known: Any, limit: int, message: str, bound: dict[str, Any], fails: bool
) -> None:
    lines = configured(max_line_bytes=limit)
    log = logger.bind(**bound)
    try:
        raise ValueError(message) if fails else StopIteration
    except ValueError:
        log.exception("{}", message)
    except StopIteration:
        log.info("{}", message)
    line = json.loads(lines.text)
    assert len(lines.text.encode()) <= limit
    assert lines.text.endswith("}\n")
    for name in KEPT:
        assert line[name]
    assert line["session_id"] == KNOWN.session_id
    assert line["dd.trace_id"] == KNOWN.trace_id
    if len(lines.text.encode()) < len(message):
        assert line["truncated"] is True


def test_the_longest_ids_fit_into_the_shortest_line(configured: Any, known: Any) -> None:
    ids = {"session_id": "漢" * 200, "participant_id": "é" * 200}
    known(KNOWN._replace(**ids, participant_name="n" * 5000, service="s" * 100))
    lines = configured(max_line_bytes=LEAST_LINE_BYTES)
    logger.bind(error={f"key_{i}": "x" * 50 for i in range(100)}).error("x" * 5000)
    line = lines.one
    assert len(lines.text.encode()) <= LEAST_LINE_BYTES
    assert {name: line[name] for name in ids} == ids
    assert line["dd.span_id"] == KNOWN.span_id
    assert line["truncated"] is True


def test_a_line_of_just_the_limit_is_whole(configured: Any) -> None:
    lines = configured(max_line_bytes=4096)
    logger.info("")
    room = 4096 - len(lines.text)
    logger.info("x" * room)
    logger.info("x" * (room + 1))
    _, fits, cut = whole(lines.text)
    assert len(fits) == 4096
    assert b"truncated" not in fits
    assert b"truncated" in cut


def test_a_handler_puts_its_own_end_to_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    configure_logging(logging.FileHandler(path), max_line_bytes=4096)
    logger.info("x" * 10_000)
    unconfigure_logging()
    assert len(path.read_bytes()) <= 4096


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (2047, ValueError),
        (25_001, ValueError),
        (0, ValueError),
        (-1, ValueError),
        ("16000", TypeError),
        (True, TypeError),
        (16_000.5, ValueError),
        (math.nan, ValueError),
    ],
)
def test_a_limit_that_is_not_allowed_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"max_line_bytes=.*whole number of bytes, 2048 to 25000"):
        configure_logging(Lines(), max_line_bytes=value)


def longest(sink: Any = None, **options: Any) -> int:
    """Return how long a line is that has too much in it."""
    sink = Lines() if sink is None else sink
    configure_logging(sink, **options)
    logger.info("x " * 20_000)
    unconfigure_logging()
    return len(sink.text.encode())


def test_the_environment_sets_a_limit_which_an_argument_wins_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIPECAT_DD_MAX_LINE_BYTES", "8192")
    assert 4096 < longest() <= 8192
    assert 8192 < longest(max_line_bytes=16_000) <= 16_000


# Containers, whose runtime splits lines


class Console(Lines):
    """What writes to standard output by its descriptor."""

    def fileno(self) -> int:
        return 1


@pytest.fixture
def in_container(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    def say(is_in_one: bool) -> None:
        monkeypatch.setattr(containers, "is_in_container", lambda: is_in_one)

    return say


def test_in_a_container_lines_of_the_console_are_not_split(in_container: Any) -> None:
    in_container(True)
    assert 12_000 < longest(Console()) <= containers.SPLIT_BYTES
    assert containers.SPLIT_BYTES < longest(Lines()) <= MAX_LINE_BYTES
    assert longest(Console(), max_line_bytes=MAX_LINE_BYTES) > containers.SPLIT_BYTES
    in_container(False)
    assert longest(Console()) > containers.SPLIT_BYTES


@pytest.mark.parametrize(
    ("sink", "is_console"),
    [
        (lambda: sys.stdout, True),
        (lambda: sys.__stderr__, True),
        (lambda: logging.StreamHandler(sys.stderr), True),
        (lambda: "/dev/stdout", True),
        (lambda: Path("/proc/1/fd/2"), True),
        (lambda: io.StringIO(), False),
        (lambda: "bot.log", False),
        (lambda: print, False),
        (lambda: logging.NullHandler(), False),
    ],
)
def test_only_the_console_goes_by_the_runtime(
    sink: Any, is_console: bool, in_container: Any
) -> None:
    in_container(True)
    expected = containers.SPLIT_BYTES if is_console else MAX_LINE_BYTES
    assert containers.default_line_bytes(sink()) == expected


@pytest.mark.parametrize(
    ("environ", "files"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}),
        ({"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}, {}),
        ({"container": "podman"}, {}),
        ({}, {".dockerenv": ""}),
        ({}, {"run/.containerenv": ""}),
        ({}, {"proc/self/cgroup": "1:name=systemd:/docker/0123\n"}),
        ({}, {"proc/self/cgroup": "0::/kubepods/besteffort/pod1/2\n"}),
        (
            {},
            {
                "proc/self/cgroup": "0::/\n",
                "proc/self/mountinfo": "1 2 254:1 /var/lib/x/hostname /etc/hostname rw - ext4 d\n",
            },
        ),
    ],
)
def test_a_container_is_known(
    tmp_path: Path, environ: dict[str, str], files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert containers.is_in_container(tmp_path, environ)


def test_a_machine_is_no_container(tmp_path: Path) -> None:
    assert not containers.is_in_container(tmp_path, {"HOME": "/root"})
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/user.slice/user-1000.slice/session-2.scope\n")
    (tmp_path / "proc/self/mountinfo").write_text("1 2 0:1 / /proc rw - proc proc rw\n")
    assert not containers.is_in_container(tmp_path, {})
