"""Drops events that come faster than the observer can process them.

Pipecat's queue for each observer is unbounded, and a bot must not run out of memory because it is
observed. Events about media are dropped first, then those about other data, and those about
control frames last. Events about frames that start or end a pipeline are never dropped.
"""

from collections.abc import Callable

from loguru import logger

from pipecat_dd import _guard, _pipecat
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable

MEDIA_LIMIT = 1_000
"""Media are queued only while fewer events than this wait."""
DATA_LIMIT = 2_000
"""The same for text, transcriptions and other data."""
LIMIT = 4_000
"""The same for control frames."""

_ALWAYS = tuple(
    kind
    for name in ("StartFrame", "EndFrame", "StopFrame", "CancelFrame")
    if (kind := _pipecat.frame_class(name)) is not None
)


class Backlog:
    """Decides which events are still queued when one session's observer falls behind."""

    def __init__(self, table: FrameTraitsTable, shed: Callable[[], None]) -> None:
        """Limit one session's queue.

        Args:
            table: Knows what each class of frame means.
            shed: Called for each dropped event.
        """
        self._table = table
        self._shed = shed
        self._said = False

    def admits(self, kind: type, waiting: int) -> bool:
        """Whether to queue another event; if not, count it as dropped.

        Args:
            kind: The class of the frame that the event is about.
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
                    f"pipecat_dd: {waiting} events wait to be processed; from here on some are "
                    "dropped, media first. The bot is not affected"
                )
        except Exception as error:
            _guard.instrumentation.failed(error)
        return False
