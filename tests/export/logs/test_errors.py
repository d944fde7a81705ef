"""An exception gives error.kind, error.message and error.stack, whatever it is."""

import sys
from typing import Any

import pytest
from loguru import logger

from tests.export.logs.conftest import Lines


def test_a_caught_exception_is_told_with_its_cause(lines: Lines) -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError:
        logger.exception("it failed")
    line = lines.one
    assert line["message"] == "it failed"
    assert line["levelname"] == "ERROR"
    assert line["error"]["kind"] == "ValueError"
    assert line["error"]["message"] == "second"
    stack = line["error"]["stack"]
    assert "KeyError: 'first'" in stack
    assert "direct cause" in stack
    assert stack.endswith("ValueError: second")
    assert lines.text.count("direct cause") == 1, "Loguru appended its own rendering"


def test_a_group_is_told_with_its_members(lines: Lines) -> None:
    try:
        raise ExceptionGroup("both", [ValueError("a"), KeyError("b")])
    except ExceptionGroup:
        logger.exception("it failed")
    error = lines.one["error"]
    assert error["kind"] == "ExceptionGroup"
    assert "ValueError: a" in error["stack"]
    assert "KeyError: 'b'" in error["stack"]


def raised() -> ValueError:
    try:
        raise ValueError("bad")
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "given",
    [raised(), (ValueError, raised(), raised().__traceback__)],
)
def test_an_exception_may_be_given(lines: Lines, given: Any) -> None:
    logger.opt(exception=given).info("it failed")
    error = lines.one["error"]
    assert (error["kind"], error["message"]) == ("ValueError", "bad")
    assert "Traceback" in error["stack"]


def test_an_exception_that_was_never_raised_has_no_traceback(lines: Lines) -> None:
    logger.opt(exception=ValueError("bad")).info("it failed")
    assert lines.one["error"] == {
        "kind": "ValueError",
        "message": "bad",
        "stack": "ValueError: bad",
    }


@pytest.mark.parametrize("nothing", [True, (None, None, None)])
def test_no_exception_gives_no_error(lines: Lines, nothing: Any) -> None:
    logger.opt(exception=nothing).info("fine")
    assert "error" not in lines.one


def test_only_a_type_is_told(lines: Lines) -> None:
    logger.opt(exception=(ValueError, None, None)).info("it failed")
    assert lines.one["error"] == {"kind": "ValueError"}


def test_an_exception_that_cannot_be_read_says_so(lines: Lines) -> None:
    class UnreadableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    try:
        raise UnreadableError
    except UnreadableError:
        logger.exception("it failed")
    error = lines.one["error"]
    assert error["kind"].endswith("UnreadableError")
    assert error["message"] == "<unreadable UnreadableError>"
    assert "Traceback" in error["stack"]


def test_an_exception_bound_as_error_is_told(lines: Lines) -> None:
    logger.bind(error=raised()).warning("it failed")
    error = lines.one["error"]
    assert (error["kind"], error["message"]) == ("ValueError", "bad")
    assert "Traceback" in error["stack"]


def test_an_object_bound_as_error_is_completed_by_the_exception(lines: Lines) -> None:
    logger.bind(error={"kind": "RateLimit", "code": 429}).opt(exception=raised()).error("it failed")
    error = lines.one["error"]
    assert (error["kind"], error["message"], error["code"]) == ("RateLimit", "bad", 429)
    assert "Traceback" in error["stack"]


def test_text_bound_as_error_moves_under_extra(lines: Lines) -> None:
    logger.bind(error="boom").error("it failed")
    assert "error" not in lines.one
    assert lines.one["extra"] == {"error": "boom"}


def test_a_type_bound_as_error_type_gives_its_name(lines: Lines) -> None:
    logger.bind(error_type=ValueError, error_details=None).error("it failed")
    assert lines.one["error"] == {"kind": "ValueError"}


def test_a_stack_names_no_values_of_variables_and_no_secrets(lines: Lines) -> None:
    canary = "the-caller-said-this"
    try:
        assert canary
        raise ValueError("refused: api_key=abcdef0123456789")
    except ValueError:
        logger.exception("it failed")
    assert "abcdef0123456789" not in lines.text
    assert lines.text.count(canary) == 0


def test_the_exception_of_a_catch_decorator_is_told(lines: Lines) -> None:
    @logger.catch
    def fail() -> None:
        raise ValueError("bad")

    fail()
    assert lines.one["error"]["kind"] == "ValueError"


def test_very_deep_tracebacks_fit(lines: Lines) -> None:
    def odd(n: int) -> None:
        even(n - 1)

    def even(n: int) -> None:
        if n <= 0:
            raise ValueError("at the bottom")
        odd(n - 1)

    try:
        even(sys.getrecursionlimit() // 2)
    except ValueError:
        logger.exception("it failed")
    line = lines.one
    assert len(lines.text.encode()) <= 25_001
    assert line["truncated"] is True
    assert line["error"]["stack"].endswith("ValueError: at the bottom")
