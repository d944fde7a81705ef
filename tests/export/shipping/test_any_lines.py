"""Whatever is written and however the intake answers: within its limits, in order, all counted."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipecat_dd.export.shipping import Reason, Shipping, batches
from pipecat_dd.export.shipping.counting import Counters
from pipecat_dd.export.shipping.settings import Settings
from pipecat_dd.export.shipping.shipper import Shipper
from tests.export.shipping.conftest import check_sum
from tests.support.intake import (
    KEY,
    MAX_LINE_BYTES,
    MAX_LINES,
    MAX_REQUEST_BYTES,
    Intake,
    Reply,
    running_intake,
)

SIZES = st.sampled_from([0, 10, 500, 25_000, 400_000, 999_000, 1_100_000])
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
BURSTS = st.lists(st.tuples(TEXTS, SIZES, st.sampled_from([1, 1, 3, 700, 1_500])), max_size=5)
STATUSES = st.lists(st.sampled_from([202, 413, 429, 500, 403, 400, None]), max_size=6)


@pytest.fixture(scope="module")
def one_intake() -> Iterator[Intake]:
    with running_intake() as intake:
        yield intake


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bursts=BURSTS, statuses=STATUSES, pieces=st.integers(1, 3))
def test_any_lines_and_any_answers(
    one_intake: Intake, bursts: list[tuple[str, int, int]], statuses: list[Any], pieces: int
) -> None:
    begun = len(one_intake.requests)
    one_intake.script = lambda number, lines: Reply(
        statuses[number - begun] if number - begun < len(statuses) else 202
    )
    counters = Counters()
    shipper = Shipper(
        Settings.of(Shipping(url=one_intake.url, api_key=KEY, max_memory_bytes=2**27)), counters
    )
    written: list[dict[str, Any]] = []
    for text, size, times in bursts:
        for _ in range(times if size <= 500 else min(times, 3)):
            line = {"message": text, "n": len(written), "pad": "x" * size}
            written.append(line)
            shipper.put(json.dumps(line, ensure_ascii=False))
        if pieces > 1:
            shipper.finish(0.5, drop=False)
    shipper.close(20)

    requests = one_intake.requests[begun:]
    for request in requests:
        assert request.size <= MAX_REQUEST_BYTES
        assert len(request.lines) <= MAX_LINES
        assert all(len(json.dumps(line).encode()) <= MAX_LINE_BYTES for line in request.lines)
    taken = [line for request in requests if request.status == 202 for line in request.lines]
    numbers = [line["n"] for line in taken]
    assert numbers == sorted(set(numbers)), "in order, none twice"
    for line in taken:
        sent = {key: line[key] for key in ("message", "n", "pad")}
        assert sent == written[line["n"]]
    counted = check_sum(counters.snapshot())
    assert counted.written == len(written)
    assert counted.shipped == len(taken)
    assert counted.waiting == 0
    too_long = sum(len(line["pad"]) > MAX_LINE_BYTES for line in written)
    if 413 not in statuses:
        assert counted.dropped.get(Reason.TOO_LARGE, 0) == too_long
    if not {400, 403, 413} & set(statuses):
        assert counted.shipped == len(written) - too_long


@given(lines=st.lists(st.integers(0, 9).map(lambda n: b"x" * n), max_size=60))
def test_requests_hold_all_lines_in_order_within_their_bounds(lines: list[bytes]) -> None:
    # The bounds made small, so that they are met often.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "MAX_LINES", 7)
        patch.setattr(batches, "BATCH_BYTES", 30)
        found = list(batches.batched(lines))
    assert [line for batch in found for line in batch.lines] == lines
    for batch in found:
        assert 1 <= len(batch) <= 7
        assert batches.size_of(batch.lines) <= 30
        assert len(gzip.decompress(batch.body)) <= batches.size_of(batch.lines)
