"""What is told of an exception, whatever it makes of being asked."""

from typing import Any

import pytest

from pipecat_dd.conversation.failure import Failure


class DelegatingError(Exception):
    """As of an SDK that passes on what it does not know, here to what it has not."""

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["details"][name]


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _syntax_error() -> SyntaxError:
    error = SyntaxError("bad")
    error.filename, error.lineno, error.text = "file", 1, 5  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "type_", "message"),
    [
        (DelegatingError("no answer"), f"{__name__}.DelegatingError", "no answer"),
        (SpeechlessError(), f"{__name__}.SpeechlessError", "SpeechlessError"),
        (_syntax_error(), "SyntaxError", "bad (file, line 1)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_exception_that_python_cannot_format_is_told_as_far_as_it_can_be(
    error: Exception, type_: str, message: str
) -> None:
    def raises() -> None:
        raise error

    raised = None
    try:
        raises()
    except Exception as caught:
        raised = caught  # not described in here: pytest cannot format it either
    assert raised is not None
    failure = Failure.of(raised)
    assert (failure.type, failure.message) == (type_, message)
    assert "in raises" in failure.stack
