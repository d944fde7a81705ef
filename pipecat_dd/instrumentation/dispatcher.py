"""Hears each frame once, wherever it is first seen.

A frame is pushed again by each processor that passes it on, and one that is broadcast is two
frames tied together. What it means is said once, by the first sight of either.
"""

import time
from collections import deque
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Phase, Processor
from pipecat_dd.instrumentation.frame_event import FrameEvent, FrameHandler

REMEMBERED = 2_048
"""How many frames are remembered as heard: some minutes' worth of those that mean something,
far longer than a frame takes to travel through a pipeline."""


class FrameDispatcher:
    """Tells a conversation what happens, each thing once.

    Attributes:
        heard: The ids of the frames that were heard lately.
    """

    def __init__(self, conversation: Conversation) -> None:
        """Listen for a conversation.

        Args:
            conversation: Who is told.
        """
        self._conversation = conversation
        self.seen_ids: set[int] = set()
        self._order: deque[int] = deque()

    def dispatch(
        self,
        handler: FrameHandler,
        frame: Any,
        source: Processor | None,
        instance: Any,
        at_ns: int | None = None,
        *,
        once: bool = True,
    ) -> None:
        """A frame that means something was seen.

        Args:
            handler: What it means.
            frame: The frame.
            source: The processor that pushed it, where that is known.
            instance: That processor's instance.
            at_ns: When; now, where not given.
            once: Whether a frame seen before is passed over.
        """
        if _guard.conversation.off or self._conversation.session.phase is Phase.ENDED:
            return
        try:
            if once:
                if frame.id in self.seen_ids:
                    return
                self._remember(frame.id)
                sibling = getattr(frame, "broadcast_sibling_id", None)
                if sibling is not None:
                    self._remember(sibling)
            if at_ns is None:
                at_ns = time.time_ns()
            handler(FrameEvent(self._conversation, frame, source, instance, at_ns))
        except Exception as error:
            _guard.conversation.failed(error)

    def _remember(self, frame_id: int) -> None:
        self.seen_ids.add(frame_id)
        self._order.append(frame_id)
        if len(self._order) > REMEMBERED:
            self.seen_ids.discard(self._order.popleft())
