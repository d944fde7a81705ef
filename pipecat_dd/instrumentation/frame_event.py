"""The event that a frame handler receives: one frame, where it was first pushed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Processor


@dataclass(slots=True)
class FrameEvent:
    """One frame, where it was first pushed.

    Attributes:
        conversation: The conversation that the frame is part of.
        frame: Pipecat's frame.
        source: Our record of the processor that pushed it; None if unknown.
        instance: Pipecat's processor that pushed it; None if unknown.
        at_ns: When, in nanoseconds since the epoch.
    """

    conversation: Conversation
    frame: Any
    source: Processor | None
    instance: Any
    at_ns: int


FrameHandler = Callable[[FrameEvent], None]
