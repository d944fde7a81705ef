"""What the package says of itself: what has been added since it was last said, and no more."""

from types import SimpleNamespace

import pytest

from pipecat_dd import _guard
from pipecat_dd.export import shipping
from pipecat_dd.export.metrics import own
from pipecat_dd.names.metrics import METRICS


def said(told: own.OwnMetrics) -> dict[tuple[str, str], float]:
    return {
        (sample.metric, "".join(map(str, sample.tags.values()))): sample.value
        for sample in told.poll()
    }


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Counts of all kinds, as those who count would have them."""
    counted = SimpleNamespace(shed=0, shipped=0, dropped={})
    monkeypatch.setattr(_guard, "dropped_count", lambda: counted.shed)
    monkeypatch.setattr(shipping, "shipping_counts", lambda: counted)
    for part in _guard.parts().values():
        monkeypatch.setattr(part, "failures", 0)
        monkeypatch.setattr(part, "off", False)
        monkeypatch.setattr(part, "_kinds", set())
    return counted


def test_every_count_is_said_once(counts: SimpleNamespace) -> None:
    told = own.OwnMetrics()
    assert said(told) == {("pipecat.observer.parts_off", ""): 0}
    counts.shed, counts.shipped, counts.dropped = 3, 10, {"too_large": 1, "exit": 2}
    _guard.spans.failed(ValueError("of ours"))
    assert said(told) == {
        ("pipecat.observer.shed", ""): 3,
        ("pipecat.observer.failures", "spans"): 1,
        ("pipecat.logs.shipped", ""): 10,
        ("pipecat.logs.dropped", "too_large"): 1,
        ("pipecat.logs.dropped", "exit"): 2,
        ("pipecat.observer.parts_off", ""): 0,
    }
    counts.shipped = 14
    assert said(told) == {
        ("pipecat.logs.shipped", ""): 4,
        ("pipecat.observer.parts_off", ""): 0,
    }


def test_a_part_that_has_turned_itself_off_is_counted(counts: SimpleNamespace) -> None:
    _guard.lines.off = True
    assert said(own.OwnMetrics())["pipecat.observer.parts_off", ""] == 1


def test_a_count_that_has_begun_anew_is_said_from_there(counts: SimpleNamespace) -> None:
    told = own.OwnMetrics()
    counts.shipped = 10
    said(told)
    counts.shipped = 2
    assert said(told)["pipecat.logs.shipped", ""] == 2


def test_a_fork_does_not_say_what_its_parent_counted(counts: SimpleNamespace) -> None:
    told = own.OwnMetrics()
    counts.shed = 5
    told.after_fork()
    assert ("pipecat.observer.shed", "") not in said(told)
    counts.shed = 6
    assert said(told)["pipecat.observer.shed", ""] == 1


def test_what_is_counted_is_in_the_contract_with_its_tag() -> None:
    contract = {metric.name: metric.tags for metric in METRICS}
    for metric, tag, _ in own.SOURCES:
        assert contract[metric] == ((tag,) if tag else ())
