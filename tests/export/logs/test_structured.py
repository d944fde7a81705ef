"""What logs in a structured way keeps its structure: members are fields of the line."""

import io
import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from pipecat_dd import configure_logging, unconfigure_logging
from pipecat_dd.export.logs.stdlib import InterceptHandler
from tests.export.logs.conftest import KNOWN, Lines
from tests.export.logs.test_any_line import PATTERNS, names, values

structlog = pytest.importorskip("structlog")


@pytest.fixture
def shop() -> Iterator[logging.Logger]:
    one = logging.getLogger("shop")
    yield one
    one.handlers.clear()


@pytest.fixture
def structured() -> Iterator[Any]:
    """Sets structlog up with the processors given last, and returns a logger of it."""

    def configure(*last: Any) -> Any:
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.PositionalArgumentsFormatter(),
                structlog.processors.TimeStamper(fmt="iso"),
                *last,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        return structlog.get_logger("shop")

    yield configure
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    logging.setLoggerClass(logging.Logger)


WRAPPED = (structlog.stdlib.ProcessorFormatter.wrap_for_formatter,)
RENDERED = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
KWARGS = (structlog.stdlib.render_to_log_kwargs,)
WAYS = pytest.mark.parametrize(
    "way", [WRAPPED, RENDERED, KWARGS], ids=["for a formatter", "as JSON", "as arguments"]
)


@WAYS
def test_an_event_of_structlogs_is_a_line_with_its_fields(
    way: Any, structured: Any, configured: Any, known: Any
) -> None:
    lines = configured()
    log = structured(*way).bind(customer="c-1")
    structlog.contextvars.bind_contextvars(region="eu")
    log.warning("order %s placed", 7, order_id=4711, duration_ms=12.5, cart={"a": [1, {"b": 2}]})
    line = lines.one
    assert line["message"] == "order 7 placed"
    assert (line["levelname"], line["name"]) == ("WARNING", "shop")
    assert (line["order_id"], line["duration_ms"]) == (4711, 12.5)
    assert (line["customer"], line["region"]) == ("c-1", "eu")
    assert line["cart"] == {"a": [1, {"b": 2}]}
    assert line["session_id"] == KNOWN.session_id
    assert not [name for name in line if name.startswith("_")]


@WAYS
def test_what_structlog_binds_is_redacted_by_its_name(
    way: Any, structured: Any, configured: Any
) -> None:
    lines = configured()
    structured(*way).info(
        "in as hunter2x", password="hunter2x", card={"api_key": "kkkkkkkk", "n": 1}
    )
    assert lines.one["password"] == "[redacted]"
    assert lines.one["card"] == {"api_key": "[redacted]", "n": 1}
    assert "hunter2x" not in lines.text
    assert "kkkkkkkk" not in lines.text


@WAYS
def test_what_structlog_binds_under_our_names_overwrites_none(
    way: Any, structured: Any, configured: Any, known: Any
) -> None:
    lines = configured()
    structured(*way).info("hello", status=404, host="db1")
    assert lines.one["status"] == "info"
    assert {"status": 404, "host": "db1", "level": "info"}.items() <= lines.one["extra"].items()


@pytest.mark.parametrize(
    "way",
    [
        WRAPPED,
        KWARGS,
        RENDERED,
        (structlog.processors.format_exc_info, *WRAPPED),
        (structlog.processors.dict_tracebacks, *WRAPPED),
        (structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()),
    ],
)
def test_structlogs_exception_is_the_lines(way: Any, structured: Any, configured: Any) -> None:
    lines = configured()
    log = structured(*way)

    def fail() -> None:
        said = "my card is 4711"  # a local variable
        raise LookupError("no " + said[:2])

    try:
        fail()
    except LookupError:
        log.exception("it failed", order_id=1)
    line = lines.one
    assert line["message"] == "it failed"
    assert (line["error"]["kind"], line["error"]["message"]) == ("LookupError", "no my")
    assert "in fail" in line["error"]["stack"]
    assert line["order_id"] == 1
    assert "exception" not in line
    assert line["error"]["stack"].count("4711") <= 1, "as source, not as a value"


def test_an_exception_as_the_event_is_the_text(structured: Any, configured: Any) -> None:
    lines = configured()
    structured(*WRAPPED).error(ValueError("bad"), order_id=1)
    assert (lines.one["message"], lines.one["order_id"]) == ("bad", 1)


def test_json_that_structlog_did_not_make_stays_text(configured: Any, shop: Any) -> None:
    lines = configured()
    shop.info('{"order_id": 4711}')
    assert lines.one["message"] == '{"order_id": 4711}'
    assert "order_id" not in lines.one


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
@pytest.mark.parametrize("logs", ["logging", "Loguru"])
def test_a_dict_as_message_is_its_fields(
    kind: Any, logs: str, configured: Any, shop: logging.Logger, known: Any
) -> None:
    lines = configured()
    given = {
        "message": "order placed",
        "order_id": 4711,
        "cart": {"n": [1]},
        "password": "hunter2x",
    }
    (shop if logs == "logging" else logger).info(kind(given))
    line = lines.one
    assert line["message"] == "order placed"
    assert (line["order_id"], line["cart"]) == (4711, {"n": [1]})
    assert line["password"] == "[redacted]"
    assert line["session_id"] == KNOWN.session_id
    assert given["message"] == "order placed", "the user's own is untouched"


@pytest.mark.parametrize("logs", ["logging", "Loguru"])
@pytest.mark.parametrize(
    ("given", "message", "left"),
    [
        ({"msg": "placed", "a": 1}, "placed", {"a": 1}),
        ({"event": "placed", "a": 1}, "placed", {"event": "placed", "a": 1}),
        ({"message": "placed", "event": "checkout"}, "placed", {"event": "checkout"}),
        ({"a": 1, "token": "abcdefgh", "b": "two"}, "a=1 token=[redacted] b=two", {"b": "two"}),
        ({"message": {"a": 1}, "b": 2}, "b=2", {"b": 2, "extra": {"message": {"a": 1}}}),
        ({1: "one", None: "none"}, "1=one None=none", {"1": "one", "None": "none"}),
        ({"level": "x", "session_id": "mine"}, "", {"session_id": "mine"}),
        ({}, "", {}),
    ],
)
def test_one_member_of_a_dict_is_the_text(
    logs: str, given: Any, message: str, left: dict[str, Any], configured: Any, shop: logging.Logger
) -> None:
    lines = configured()
    (shop if logs == "logging" else logger).info(given)
    assert lines.one["message"] == message
    assert left.items() <= lines.one.items()
    assert "{" not in lines.one["message"]


def test_an_exception_in_a_dict_is_the_lines(configured: Any, shop: logging.Logger) -> None:
    lines = configured()
    try:
        raise ValueError("bad")
    except ValueError as error:
        shop.error({"message": "one", "exc_info": True})
        shop.error({"message": "two", "exc_info": error})
    shop.error({"message": "three"}, exc_info=ValueError("bad"))
    shop.error({"message": "four", "exc_info": "text"})
    *with_errors, without = lines.all
    assert [line["error"]["message"] for line in with_errors] == ["bad"] * 3
    assert without["exc_info"] == "text"


def test_extra_beside_a_dict_counts_too(configured: Any, shop: logging.Logger) -> None:
    lines = configured()
    shop.info({"message": "hello", "a": 1, "b": 1}, extra={"b": 2, "c": 3})
    with logger.contextualize(a=9, d=4):
        logger.bind(b=9).info({"message": "hello", "a": 1, "b": 1})
    of_logging, of_loguru = lines.all
    assert (of_logging["a"], of_logging["b"], of_logging["c"]) == (1, 2, 3)
    assert (of_loguru["a"], of_loguru["b"], of_loguru["d"]) == (1, 1, 4)


def test_values_that_a_message_names_are_fields(configured: Any, shop: logging.Logger) -> None:
    lines = configured()
    shop.info(
        "%(a)s of %(b)05.1f, %(password)s", {"a": 1, "b": 2.5, "password": "hunter2x", "c": 3}
    )
    line = lines.one
    assert line["message"] == "1 of 002.5, [redacted]"
    assert (line["a"], line["b"], line["password"]) == (1, 2.5, "[redacted]")
    assert "c" not in line, "what it does not name is not written without us either"


def test_a_mapping_that_cannot_be_read_is_text(configured: Any, shop: logging.Logger) -> None:
    class Odd(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise RuntimeError

        def __iter__(self) -> Iterator[str]:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

        def __str__(self) -> str:
            return "an odd one"

    lines = configured()
    shop.info(Odd())
    logger.info(Odd())
    assert [line["message"] for line in lines.all] == ["an odd one"] * 2


def test_the_limits_of_a_line_hold_for_a_dict(configured: Any, shop: logging.Logger) -> None:
    lines = configured()
    shop.info({"message": "many"} | {f"key{n}": "x" * 100 for n in range(1000)})
    logger.info({"message": "deep", "a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}})
    many, deep = lines.all
    assert many["truncated"] is deep["truncated"] is True
    assert len(many) < 256
    assert max(len(line) for line in lines.text.splitlines()) <= 25_000


def test_a_patchers_word_for_the_message_stands(configured: Any) -> None:
    lines = configured()
    logger.patch(lambda record: record.update(message="{hidden}")).info({"secret_story": "told"})
    assert lines.one["message"] == "{hidden}"
    assert "told" not in lines.text


def test_what_pipecat_logs_as_a_dict_stays_masked_text(configured: Any) -> None:
    lines = configured()
    logging.getLogger("pipecat.services.x").info({"type": "a", "transcript": "text: I am ill"})
    name = {"__name__": "pipecat.services.x", "logger": logger}
    exec('logger.info({"type": "a", "transcript": "text: I am ill"})', name)
    assert "ill" not in lines.text
    assert not any("transcript" in line for line in lines.all)


def test_the_console_shows_members_after_the_text(configured: Any, shop: logging.Logger) -> None:
    lines = configured(format="console")
    shop.info({"message": "placed", "order_id": 4711})
    logger.info({"order_id": 4712})
    first, second = lines.text.splitlines()
    assert first.endswith("placed order_id=4711")
    assert second.endswith(" order_id=4712")
    assert second.count("4712") == 1


def test_the_users_own_sinks_see_text_and_values(configured: Any, shop: logging.Logger) -> None:
    configured()
    seen: list[Any] = []
    text = io.StringIO()
    logger.add(lambda message: seen.append(message.record))
    logger.add(text, serialize=True, enqueue=True)
    shop.info({"message": "placed", "order_id": 1})
    shop.info({"order_id": 2})
    logger.info({"order_id": 3})
    logger.complete()
    assert [record["message"] for record in seen] == [
        "placed", "{'order_id': 2}", "{'order_id': 3}"
    ]  # fmt: skip
    assert seen[0]["extra"]["order_id"] == 1
    assert len(text.getvalue().splitlines()) == 3


def test_python_json_logger_beside_us_keeps_its_lines(shop: logging.Logger) -> None:
    formatter = pytest.importorskip("pythonjsonlogger.json").JsonFormatter()
    theirs = logging.StreamHandler(io.StringIO())
    theirs.setFormatter(formatter)
    shop.addHandler(theirs)
    ours = Lines()
    configure_logging(ours)
    shop.warning({"message": "placed", "order_id": 1}, extra={"b": 2})
    unconfigure_logging()
    assert json.loads(theirs.stream.getvalue()) == {"message": "placed", "order_id": 1, "b": 2}
    assert (ours.one["message"], ours.one["order_id"], ours.one["b"]) == ("placed", 1, 2)


def test_any_dict_makes_a_whole_line(configured: Any, known: Any) -> None:
    lines = configured(level=0)
    shop = logging.getLogger("shop")
    hand_over = next(h for h in logging.getLogger().handlers if isinstance(h, InterceptHandler))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(names | st.sampled_from(["event", "exc_info"]), values)).map(dict))
    def check(said: dict[Any, Any]) -> None:
        lines.written.clear()
        hand_over.handle(shop.makeRecord("shop", 20, "shop.py", 1, said, (), None))
        logger.info(said)
        assert len(lines.written) == 2
        for line in map(json.loads, lines.written):
            assert "logging_error" not in line
            assert line["session_id"]
        assert PATTERNS.search(lines.text) is None

    check()
