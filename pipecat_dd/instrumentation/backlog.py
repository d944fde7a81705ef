"""Lets go of what comes faster than it can be taken.

Pipecat queues for each observer without a bound, and a bot must not run out of memory for want of
being watched. Media go first, then what else carries data; frames that only control are kept
longest, and those that begin and end a pipeline always.
"""

from collections.abc import Callable

from loguru import logger

from pipecat_dd import _guard, _pipecat
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable

MEDIA_LIMIT = 1_000
"""How many events may wait for media to be queued too."""
DATA_LIMIT = 2_000
"""The same for text, transcriptions and other data."""
LIMIT = 4_000
"""The same for frames that only control."""

_ALWAYS = tuple(
    kind
    for name in ("StartFrame", "EndFrame", "StopFrame", "CancelFrame")
    if (kind := _pipecat.frame_class(name)) is not None
)


class Backlog:
    """Says what is still queued for an observer that is behind, of one session."""

    def __init__(self, table: FrameTraitsTable, shed: Callable[[], None]) -> None:
        """Watch a session's queue.

        Args:
            table: Says what a frame means.
            shed: Told of each event that is let go.
        """
        self._table = table
        self._shed = shed
        self._said = False

    def admits(self, kind: type, waiting: int) -> bool:
        """Whether another event is queued; what is not is counted.

        Args:
            kind: The class of the frame that it is about.
            waiting: How many events wait already.
        """
        if waiting < MEDIA_LIMIT or issubclass(kind, _ALWAYS):
            return True
        try:
            meaning = self._table.cached.get(kind) or self._table.find(kind)
            if not meaning.is_media:
                is_data = meaning.carries_data or meaning.is_streamed
                if waiting < (DATA_LIMIT if is_data else LIMIT):
                    return True
            _guard.count_dropped()
            self._shed()
            if not self._said:
                self._said = True
                logger.warning(
                    f"pipecat_dd: {waiting} events wait to be told of; from here on some are let "
                    "go, media first. The bot is not affected"
                )
        except Exception as error:
            _guard.instrumentation.failed(error)
        return False
