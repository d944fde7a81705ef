"""Dispatches each frame to its handler once, where it is first seen.

Each processor that passes a frame on pushes it again, and a broadcast frame is a pair of frames.
Only the first push, of either of the pair, is dispatched.
"""

import time
from collections import deque
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Phase, Processor
from pipecat_dd.instrumentation.frame_event import FrameEvent, FrameHandler

REMEMBERED = 2_048
"""How many dispatched frames are remembered: several minutes' worth of the frames that have a
handler, far longer than a frame takes to travel through a pipeline."""


class FrameDispatcher:
    """Dispatches each frame of one conversation to its handler, once.

    Attributes:
        seen_ids: The ids of the frames dispatched lately.
    """

    def __init__(self, conversation: Conversation) -> None:
        """Dispatch for one conversation, which the handlers update."""
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
        """Call a frame's handler, unless the frame was dispatched before.

        Args:
            handler: The handler for the frame's class.
            frame: Pipecat's frame.
            source: Our record of the processor that pushed it; None if unknown.
            instance: Pipecat's processor that pushed it; None if unknown.
            at_ns: When, in nanoseconds since the epoch; None means now.
            once: Whether to skip a frame that was dispatched before.
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
