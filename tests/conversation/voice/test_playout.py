"""The caller's playout clock agrees with a listener who plays millisecond by millisecond."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipecat_dd.conversation.playout import PlayoutClock

MS = 1_000_000
CALMLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WRITES = st.lists(
    st.tuples(
        st.integers(0, 120).map(lambda ms: ms),  # how long after the write before
        st.integers(1, 80),  # how long it plays
        st.booleans(),  # whether it is the bot's voice
    ),
    max_size=25,
)


def listen(writes: list[tuple[int, int, bool]]) -> tuple[list[int], int]:
    """Return the silence of the voice before each piece of it, and when all has been played."""
    waiting = list(writes)
    queue: list[tuple[int, bool]] = []  # pieces that are there: which one, and whether it is voice
    left = [length for _, length, _ in writes]
    silent: dict[int, int] = {}
    begun, since, now = False, 0, 0
    while waiting or queue:
        while waiting and waiting[0][0] <= now:
            index = len(writes) - len(waiting)
            queue.append((index, waiting.pop(0)[2]))
        if queue:
            index, is_voice = queue[0]
            if is_voice:
                silent.setdefault(index, since if begun else 0)
                begun, since = True, 0
            else:
                since += 1
            left[index] -= 1
            if not left[index]:
                queue.pop(0)
        else:
            since += 1
        now += 1
    return [silent[index] for index in sorted(silent)], now


@CALMLY
@given(WRITES)
def test_the_clock_hears_what_a_listener_hears(pieces: list[tuple[int, int, bool]]) -> None:
    writes, at = [], 1
    for after, length, is_voice in pieces:
        at += after
        writes.append((at, length, is_voice))
    clock, gaps = PlayoutClock(), []
    for at, length, is_voice in writes:
        if is_voice:
            gaps.append(clock.write(at * MS, length * MS) // MS)
        else:
            clock.fill(at * MS, length * MS)
    heard, end = listen(writes)
    assert gaps == heard
    if writes and writes[-1][2]:
        assert clock.unplayed_ns(writes[-1][0] * MS) == (end - writes[-1][0]) * MS


@CALMLY
@given(WRITES, st.integers(0, 500))
def test_the_silence_before_a_speech_is_no_gap(
    pieces: list[tuple[int, int, bool]], later: int
) -> None:
    clock, at = PlayoutClock(), 1
    for after, length, is_voice in pieces:
        at += after
        (clock.write if is_voice else clock.fill)(at * MS, length * MS)
    clock.begin_speech()
    assert clock.write((at + later) * MS, MS) == 0
