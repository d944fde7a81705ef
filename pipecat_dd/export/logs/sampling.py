"""Keeps a share of the lines of a level, for whole sessions.

The hash that decides for a session is the one by which ddtrace samples its trace
(``ddtrace._trace.sampler.RateSampler``). At the same rate, lines are kept for exactly the sessions
whose traces are kept; at a higher rate, for those and others. A filter drops the lines, since a
format function of Loguru's cannot.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pipecat_dd.export import correlation
from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.settings.checks import shown
from pipecat_dd.settings.choices import SampledBy

if TYPE_CHECKING:
    from loguru import Record

# ddtrace's SAMPLING_KNUTH_FACTOR, SAMPLING_HASH_MODULO and MAX_UINT_64BITS. They are private, but
# the same in all of Datadog's tracers, so that services agree. A test compares them.
_KNUTH_FACTOR: Final = 1111111111111111111
_MODULO: Final = 2**64
_MAX_UINT64: Final = 2**64 - 1


class Sampler:
    """Decides which records of sampled levels are kept.

    Args:
        rates: The share kept of each level, 0 to 1, by the level's name or number.
        by: By session all of its lines are kept or none; what belongs to no session is decided
            for itself. By record each line is.

    Raises:
        TypeError: An argument, a level or a share is of the wrong type.
        ValueError: There is no such level, or a share is not within 0 and 1.
    """

    __slots__ = ("_by_session", "_rates")

    def __init__(self, rates: Mapping[str | int, float], by: SampledBy = SampledBy.SESSION) -> None:
        if not isinstance(rates, Mapping):
            raise TypeError(
                f"sample={shown(rates)}: must map levels to the share to keep, such as "
                '{"DEBUG": 0.1}'
            )
        self._by_session = by is SampledBy.SESSION
        self._rates: dict[int, float] = {}
        for level, rate in rates.items():
            number = level_number(level, "sample")
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise TypeError(
                    f"sample[{shown(level)}]={shown(rate)}: must be the share to keep, a number "
                    "from 0 to 1"
                )
            if not 0 <= rate <= 1:
                raise ValueError(
                    f"sample[{shown(level)}]={shown(rate)}: must be the share to keep, a number "
                    "from 0 to 1"
                )
            self._rates[number] = float(rate)

    def rate_of(self, record: "Record") -> float | None:
        """Return the share of a record's level that is kept, 0 to 1; None if all of it is."""
        return self._rates.get(record["level"].no)

    def keeps(self, record: "Record") -> bool:
        """Whether a record is kept. Never raises."""
        rate = self._rates.get(record["level"].no)
        if rate is None:
            return True
        if self._by_session:
            trace_id = correlation.correlate().session_trace_id
            if trace_id is not None:
                return keeps_trace(trace_id, rate)
        return random.random() < rate


def keeps_trace(trace_id: int, rate: float) -> bool:
    """Whether ddtrace keeps a trace at a sample rate.

    Args:
        trace_id: An id of 128 bits, of which the lower 64 count.
        rate: The share that is kept, 0 to 1.
    """
    return (trace_id % _MODULO) * _KNUTH_FACTOR % _MODULO <= rate * _MAX_UINT64
