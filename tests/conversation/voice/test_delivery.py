"""What the kernel knows of a socket tells a network that stands still from one that is slow."""

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipecat_dd.conversation.delivery import LATE_NS, Delivery, Late

MS = 1_000_000
CALMLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECE_MS, PIECE_BYTES = 40, 640
COUNT = 60


@dataclass
class Acknowledged:
    byte_count: int
    last_ns: int
    round_trip_ns: int


def watch(
    came_ms: list[int], trip_ms: int, at_ms: list[int] | None = None, *, talks: bool = False
) -> list[Late]:
    """Write pieces, and look before each what was acknowledged by then.

    Args:
        came_ms: When each piece is acknowledged.
        trip_ms: The shortest round trip.
        at_ms: When each piece is written; None for one each 40 ms.
        talks: Whether the caller sends audio, each piece of which acknowledges what has come.
    """
    delivery, found = Delivery(), []
    for index in range(COUNT):
        now = index * PIECE_MS if at_ms is None else at_ms[index]
        acknowledged = sum(came <= now for came in came_ms[:index])
        last = max((came for came in came_ms[:index] if came <= now), default=0)
        last = now if talks else last
        known = Acknowledged(acknowledged * PIECE_BYTES, (now - last) * MS, trip_ms * MS)
        late = delivery.look(
            now * MS, (index - acknowledged) * PIECE_BYTES, lambda known=known: known
        )
        if late is not None:
            found.append(late)
        delivery.send(now * MS, PIECE_MS * MS, "speech", is_first=index == 0)
    return found


TRIPS = st.integers(0, 400)
JITTER = st.lists(st.integers(0, 200), min_size=COUNT, max_size=COUNT)


def in_order(came_ms: list[int]) -> list[int]:
    return [max(came_ms[: index + 1]) for index in range(len(came_ms))]


PAUSES = st.lists(
    st.one_of(st.just(0), st.just(0), st.just(0), st.integers(0, 2_000)),
    min_size=COUNT,
    max_size=COUNT,
)


@CALMLY
@given(TRIPS, JITTER, PAUSES, st.booleans())
def test_a_slow_network_delayed_acknowledgements_and_pauses_are_not_late(
    trip_ms: int, jitter_ms: list[int], pauses_ms: list[int], talks: bool
) -> None:
    at = [i * PIECE_MS + sum(pauses_ms[: i + 1]) for i in range(COUNT)]
    came = [written + trip_ms + late for written, late in zip(at, jitter_ms, strict=True)]
    assert watch(in_order(came), trip_ms, at, talks=talks) == []


@CALMLY
@given(TRIPS, st.integers(10, 20), st.integers(LATE_NS // MS + 2 * PIECE_MS, 900))
def test_a_network_that_stands_still_is_late_by_as_long(
    trip_ms: int, begins: int, stall_ms: int
) -> None:
    until = begins * PIECE_MS + stall_ms  # on the clock of the writes
    came = [max(i * PIECE_MS, until if i >= begins else 0) + trip_ms for i in range(COUNT)]
    first, *_ = watch(came, trip_ms)
    # The acknowledgement that came last before we looked may be that of the next piece.
    assert until * MS <= first.at_ns <= (until + PIECE_MS) * MS
    assert not first.is_first
