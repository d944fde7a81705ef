"""A service's own work on a stretch of speech, whatever becomes of ours beside it."""

from typing import Any

import pytest

from pipecat_dd import _guard
from pipecat_dd.instrumentation.segments import reporting_completion


class User:
    """Counts what it is asked and told, and fails where it is to."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.calls: list[str] = []

    def answer_count(self, processor: Any) -> int:
        return self._called("answer_count", 3)

    def end_segment(self, processor: Any, answers_before: int, at_ns: int) -> int:
        return self._called(f"end_segment {answers_before}", 0)

    def _called(self, name: str, answer: int) -> int:
        self.calls.append(name)
        if name.split()[0] in self.failing:
            raise RuntimeError(name)
        return answer


async def transcribe(text: str) -> str:
    return text.upper()


def told(user: Any, *, on: bool = True) -> Any:
    processor: Any = None
    return reporting_completion(transcribe, processor, user, lambda: on)


async def test_what_a_stretch_had_before_is_told_with_its_end() -> None:
    user = User()
    assert await told(user)("hello") == "HELLO"
    assert user.calls == ["answer_count", "end_segment 3"]


@pytest.mark.parametrize("failing", ["answer_count", "end_segment"])
async def test_a_failure_of_ours_does_not_reach_the_service(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(_guard, "conversation", part := _guard.Part("following"))
    assert await told(User(failing))("hello") == "HELLO"
    assert part.failures == 1


async def test_after_the_end_nothing_is_asked_or_told() -> None:
    user = User()
    assert await told(user, on=False)("hello") == "HELLO"
    assert user.calls == []
