"""A line has the names that people's saved queries hold, and what they bound."""

import dataclasses
import json
import re
import sys
from importlib.metadata import version
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import DatadogObserver, _guard
from pipecat_dd.export import correlation
from pipecat_dd.export.correlation import NOTHING, Correlation
from pipecat_dd.export.logs import datadog_format
from tests.export.logs.conftest import KNOWN, Lines


def test_a_line_has_the_fields_of_the_contract(lines: Lines, known: Any) -> None:
    logger.info("Participant joined the room")
    line = lines.one
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert isinstance(line.pop("line"), int)
    assert line == {
        "status": "info",
        "levelname": "INFO",
        "name": __name__,
        "function": "test_a_line_has_the_fields_of_the_contract",
        "message": "Participant joined the room",
        "session_id": "abc123",
        "participant_id": "p-1",
        "participant": {"id": "p-1", "name": "manager"},
        "dd.trace_id": "68c1a2b300000000a1b2c3d4e5f60718",
        "dd.span_id": "9876543210987654321",
        "pipecat.trace_id": "68c1a2b300000000a1b2c3d4e5f60718",
        "pipecat.span_id": "9876543210987654321",
        "pipecat.version": version("pipecat-ai"),
        "service": "pipecat-chatbot",
        "dd.service": "pipecat-chatbot",
        "dd.env": "prod",
        "dd.version": "1.2.0",
    }


def test_what_is_not_known_is_left_out(lines: Lines, known: Any) -> None:
    known(NOTHING)
    logger.info("hello")
    assert set(lines.one) == {
        "timestamp", "status", "levelname", "name", "function", "line", "message",
        "pipecat.version",
    }  # fmt: skip


def test_ids_of_zero_are_no_ids(lines: Lines, known: Any) -> None:
    known(Correlation(trace_id="0", span_id="0"))
    logger.bind(**{"dd.trace_id": "0", "dd.span_id": "0"}).info("hello")
    assert not [name for name in lines.one if name.startswith("dd.") or name.endswith("_id")]


def test_what_is_bound_under_our_names_overwrites_none(lines: Lines, known: Any) -> None:
    logger.bind(**{"pipecat.version": "9", "pipecat.trace_id": "f", "pipecat": {"a": 1}}).info("hi")
    line = lines.one
    assert line["pipecat.version"] == version("pipecat-ai")
    assert line["pipecat.trace_id"] == KNOWN.trace_id
    assert line["extra"] == {"pipecat.version": "9", "pipecat.trace_id": "f", "pipecat": {"a": 1}}


def test_ids_that_ddtraces_patch_has_added_stand_under_both_names(lines: Lines, known: Any) -> None:
    known(NOTHING)
    logger.bind(**{"dd.trace_id": "68c1", "dd.span_id": "7"}).info("hello")
    line = lines.one
    assert (line["dd.trace_id"], line["pipecat.trace_id"]) == ("68c1", "68c1")
    assert (line["dd.span_id"], line["pipecat.span_id"]) == ("7", "7")


def test_the_lines_of_two_sessions_do_not_mix(lines: Lines, known: Any) -> None:
    for session_id in ("one", "two", "one"):
        known(Correlation(session_id=session_id, trace_id=session_id * 2))
        logger.info("hello")
    assert [line["session_id"] for line in lines.all] == ["one", "two", "one"]
    assert [line["dd.trace_id"] for line in lines.all] == ["oneone", "twotwo", "oneone"]


@pytest.mark.parametrize(
    "message",
    [
        "{} {0} {name} {{x}}",
        "<red>x</red> </red> <level>",
        "a\nb\r\n\tc\x00\x1b[31m",
        'quote " and \\ backslash',
        "é 漢字 🎉 \u2028",
        "half a pair \ud83d",
        "",
    ],
)
@pytest.mark.parametrize("colorize", [True, False])
def test_any_message_is_one_line_and_comes_through(
    message: str, colorize: bool, known: Any
) -> None:
    sink = Lines()
    logger.add(sink, format=datadog_format, colorize=colorize, catch=False)
    logger.info(message)
    assert sink.text.count("\n") == 1
    sink.text.encode()
    assert json.loads(sink.text)["message"] == message.replace("\ud83d", "\ufffd")


@pytest.mark.parametrize(
    ("level", "status"),
    [
        ("TRACE", "debug"),
        ("DEBUG", "debug"),
        ("INFO", "info"),
        ("SUCCESS", "ok"),
        ("WARNING", "warning"),
        ("ERROR", "error"),
        ("CRITICAL", "critical"),
        (3, "debug"),
        (22, "info"),
        (27, "notice"),
        (35, "warning"),
        (45, "error"),
        (99, "critical"),
    ],
)
def test_each_level_has_a_status_of_datadogs(lines: Lines, level: str | int, status: str) -> None:
    logger.log(level, "hello")
    assert lines.one["status"] == status
    assert lines.one["levelname"] == (level if isinstance(level, str) else f"Level {level}")


def test_bound_values_stand_at_the_top_and_numbers_stay_numbers(lines: Lines) -> None:
    logger.bind(operation="llm_generation", duration_ms=812.4, model="gpt-4o", n=3, ok=True).info(
        "done {tokens}", tokens=7
    )
    line = lines.one
    assert line["operation"] == "llm_generation"
    assert line["duration_ms"] == 812.4
    assert line["model"] == "gpt-4o"
    assert (line["n"], line["ok"], line["tokens"]) == (3, True, 7)


@pytest.mark.parametrize(
    "name",
    [
        "timestamp", "status", "levelname", "name", "function", "line", "service",
        "truncated", "sample_rate", "host", "source", "ddsource", "ddtags", "level", "severity",
        "date", "trace_id", "span_id", "dd", "dd.anything", "participant.name", "error.kind",
    ],
)  # fmt: skip
def test_a_bound_value_of_another_meaning_moves_under_extra(
    lines: Lines, known: Any, name: str
) -> None:
    logger.info("hello")
    logger.bind(**{name: "mine"}).info("hello")
    before, after = lines.all
    assert after.pop("extra") == {name: "mine"}
    assert after | {"timestamp": 0, "line": 0} == before | {"timestamp": 0, "line": 0}


def test_a_bound_message_does_not_replace_the_message(lines: Lines) -> None:
    logger.bind(message="mine").info("the line's")
    assert lines.one["message"] == "the line's"
    assert lines.one["extra"] == {"message": "mine"}


def test_a_session_that_was_bound_wins(lines: Lines, known: Any) -> None:
    with logger.contextualize(session_id="cloud-7"):
        logger.info("hello")
    assert lines.one["session_id"] == "cloud-7"


def test_a_bound_session_id_is_written_as_the_session_takes_it(lines: Lines) -> None:
    with logger.contextualize(session_id=" cloud-7\n"):
        observer = DatadogObserver()
        logger.info("hello")
    assert lines.one["session_id"] == observer.session_id == "cloud-7"


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}, 1.5, "x" * 500, ""])
def test_a_bound_session_id_that_is_no_id_moves_under_extra(
    lines: Lines, known: Any, value: Any
) -> None:
    logger.bind(session_id=value).info("hello")
    assert lines.one["session_id"] == "abc123"
    assert lines.one["extra"] == {"session_id": value}


def test_ids_that_were_bound_as_numbers_are_strings(lines: Lines, known: Any) -> None:
    logger.bind(session_id=42, participant_id=7).info("hello")
    assert (lines.one["session_id"], lines.one["participant_id"]) == ("42", "7")


def test_another_participants_name_never_stands_beside_a_bound_id(lines: Lines, known: Any) -> None:
    logger.bind(participant_id="p-2").info("hello")
    assert lines.one["participant"] == {"id": "p-2"}


def test_a_bound_participant_is_completed_by_its_id(lines: Lines, known: Any) -> None:
    logger.bind(participant={"id": "p-2", "name": "maria", "role": "agent"}).info("hello")
    assert lines.one["participant_id"] == "p-2"
    assert lines.one["participant"] == {"id": "p-2", "name": "maria", "role": "agent"}


def test_a_bound_participant_that_is_no_object_moves(lines: Lines, known: Any) -> None:
    logger.bind(participant="maria").info("hello")
    assert lines.one["participant"] == {"id": "p-1", "name": "manager"}
    assert lines.one["extra"] == {"participant": "maria"}


def test_our_ids_and_service_win_over_what_ddtraces_patch_adds(lines: Lines, known: Any) -> None:
    theirs = {
        "dd.trace_id": "f" * 32, "dd.span_id": "1", "dd.service": "inferred",
        "dd.env": "theirs", "dd.version": "0",
    }  # fmt: skip
    logger.bind(**theirs).info("hello")
    line = lines.one
    assert line["dd.trace_id"] == KNOWN.trace_id
    assert line["dd.span_id"] == KNOWN.span_id
    assert line["service"] == line["dd.service"] == "pipecat-chatbot"
    assert (line["dd.env"], line["dd.version"]) == ("prod", "1.2.0")
    assert "extra" not in line


def test_ddtraces_ids_count_where_ours_are_not_known_but_never_its_service(
    lines: Lines, known: Any
) -> None:
    known(NOTHING)
    theirs = {"dd.trace_id": "f" * 32, "dd.span_id": "12", "dd.service": "inferred"}
    logger.bind(**theirs).info("hello")
    assert lines.one["dd.trace_id"] == "f" * 32
    assert lines.one["dd.span_id"] == "12"
    assert "service" not in lines.one
    assert "dd.service" not in lines.one


def test_error_type_and_details_also_fill_error(lines: Lines) -> None:
    logger.bind(error_type="RateLimit", error_details={"after": 3}).error("slow down")
    line = lines.one
    assert (line["error_type"], line["error_details"]) == ("RateLimit", {"after": 3})
    assert line["error"] == {"kind": "RateLimit", "message": '{"after": 3}'}


def test_extra_given_as_in_the_standard_library_is_taken_apart(lines: Lines) -> None:
    logger.info("hello", extra={"a": 1}, status=5)
    assert lines.one["extra"] == {"a": 1, "status": 5}
    logger.bind(extra="mine").info("hello")
    assert lines.all[1]["extra"] == {"extra": "mine"}


def test_other_sinks_see_nothing_of_the_line(known: Any) -> None:
    serialized, dumped, first, second = Lines(), [], Lines(), Lines()
    logger.add(first, format=datadog_format)
    logger.add(serialized, serialize=True)
    logger.add(lambda message: dumped.append(dict(message.record)))
    logger.add(second, format=datadog_format)
    logger.bind(a=1).info("hello")
    assert first.text == second.text
    assert serialized.one["record"]["extra"] == {"a": 1}
    assert not [key for key in dumped[0] if "pipecat" in key]


def test_the_ids_are_the_callers_also_when_a_thread_writes(known: Any) -> None:
    sink = Lines()
    handler = logger.add(sink, format=datadog_format, enqueue=True)
    logger.info("hello")
    known(NOTHING)
    logger.remove(handler)
    assert sink.one["session_id"] == "abc123"


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@dataclasses.dataclass
class Hostile:
    a: int = 1
    hidden: str = dataclasses.field(default="x", repr=False)

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no")


def test_values_that_json_does_not_know_are_sensible(lines: Lines) -> None:
    import datetime
    import decimal
    import enum
    import pathlib
    import uuid

    import numpy
    import pydantic

    class Color(enum.Enum):
        RED = "red"

    class Model(pydantic.BaseModel):
        a: int = 1
        secret_word: pydantic.SecretStr = pydantic.SecretStr("x")

    @dataclasses.dataclass
    class Data:
        a: int = 1
        hidden: str = dataclasses.field(default="x", repr=False)

    cycle: list[Any] = [1]
    cycle.append(cycle)
    values = {
        "nan": float("nan"),
        "inf": float("-inf"),
        "huge": 10**30,
        "unwritable": 10**5000,
        "raw": b"\x00\xff" * 320,
        "short": b"abc",
        "when": datetime.datetime(2025, 1, 2, 3, tzinfo=datetime.UTC),
        "took": datetime.timedelta(seconds=1.5),
        "color": Color.RED,
        "model": Model(),
        "data": Data(),
        "some": {3},
        "path": pathlib.PurePosixPath("/x"),
        "uuid": uuid.UUID(int=1),
        "price": decimal.Decimal("1.5"),
        "np_float": numpy.float32(0.5),
        "np_int": numpy.int64(3),
        "cycle": cycle,
        "keys": {1: "a", None: "b"},
        "unreadable": Unreadable(),
        "nothing": None,
    }
    logger.bind(**values).info("hello")
    line = lines.one
    assert line["nan"] == "NaN"
    assert line["inf"] == "-Infinity"
    assert line["huge"] == str(10**30)
    assert line["unwritable"] == "<integer of 16610 bits>"
    assert line["raw"] == "<640 bytes>"
    assert line["short"] == "abc"
    assert line["when"] == "2025-01-02T03:00:00+00:00"
    assert line["took"] == 1.5
    assert line["color"] == "red"
    assert line["model"] == {"a": 1, "secret_word": "[redacted]"}
    assert line["data"] == {"a": 1}
    assert line["some"] == [3]
    assert line["path"] == "/x"
    assert line["uuid"] == "00000000-0000-0000-0000-000000000001"
    assert (line["price"], line["np_float"], line["np_int"]) == (1.5, 0.5, 3)
    assert line["cycle"] == [1, "<list that holds itself>"]
    assert line["keys"] == {"1": "a", "None": "b"}
    assert line["unreadable"] == "<unreadable Unreadable>"
    assert line["nothing"] is None


def test_nothing_that_goes_wrong_reaches_the_bot(
    lines: Lines, known: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Correlation:
        raise RuntimeError("no")

    logger.bind(hostile=Hostile()).info("one")
    monkeypatch.setattr(_guard, "lines", _guard.Part("a test's"))
    monkeypatch.setattr(correlation, "_correlate", fail)
    logger.info("two")
    logger.patch(lambda record: record.update(extra=None)).info("three")
    logger.patch(lambda record: record.update(time="now")).info("four sk-abcdefghijk")
    assert [line["message"] for line in lines.all] == ["one", "two", "three", "four [redacted]"]
    assert lines.all[2]["logging_error"] == "TypeError while this line was made"


def test_the_smaller_line_keeps_its_ids(lines: Lines, known: Any) -> None:
    logger.patch(lambda record: record.update(extra=None)).info("hello")
    line = lines.one
    assert line["session_id"] == "abc123"
    assert (line["dd.trace_id"], line["dd.span_id"]) == (KNOWN.trace_id, KNOWN.span_id)


def test_logging_while_a_line_is_made_ends(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    class Talkative:
        def __str__(self) -> str:
            logger.bind(again=self).info("from a value")
            return "talkative"

    def talkative() -> Correlation:
        logger.info("from correlate")
        return KNOWN

    monkeypatch.setattr(correlation, "_correlate", talkative)
    logger.bind(value=Talkative()).info("the line")
    assert lines.all[-1]["message"] == "the line"
    assert lines.all[-1]["value"] == "talkative"
    assert lines.all[-1]["session_id"] == "abc123"
    assert 3 <= len(lines.all) <= 8


def test_logging_near_the_end_of_the_stack_does_not_raise(lines: Lines, known: Any) -> None:
    def deeper() -> None:
        try:
            deeper()
        except RecursionError:
            logger.info("deep")
            raise

    limit = sys.getrecursionlimit()
    with pytest.raises(RecursionError):
        deeper()
    assert sys.getrecursionlimit() == limit
    assert lines.all[-1]["message"] == "deep"
