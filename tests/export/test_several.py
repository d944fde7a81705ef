"""Each place that a stage is told of is told by itself."""

import pytest

from pipecat_dd import _guard
from pipecat_dd._guard import Part
from pipecat_dd.conversation.model import Session, Stage
from pipecat_dd.export.fan_out import FanOut


class Broken:
    """Spans that cannot be told."""

    def on_open(self, stage: Stage) -> None:
        raise RuntimeError("not begun")

    def on_close(self, stage: Stage) -> None:
        raise RuntimeError("failed to pack span")

    def on_discard(self, stage: Stage) -> None:
        """Nothing to do."""

    def is_referred_to(self, stage: Stage) -> bool:
        return False


class Beside:
    """Somewhere else that keeps what it is told."""

    def __init__(self) -> None:
        self.part = Part("a test's")
        self.told: list[str] = []

    def on_open(self, stage: Stage) -> None:
        self.told.append("opened")

    def on_close(self, stage: Stage) -> None:
        self.told.append("closed")


def test_a_span_that_fails_is_told_elsewhere_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    part, beside = Part("the spans"), Beside()
    monkeypatch.setattr(_guard, "spans", part)
    several = FanOut(Broken(), [beside])
    several.on_open(Session("s", "bot").root)
    several.on_close(Session("s", "bot").root)
    assert beside.told == ["opened", "closed"]
    assert part.failures == 2
