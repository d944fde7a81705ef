"""One frame, where it was first pushed: what frames' handlers are given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Processor


@dataclass(slots=True)
class FrameEvent:
    """One frame, heard where it was first pushed.

    Attributes:
        conversation: The conversation it is part of.
        frame: The frame.
        source: The processor that pushed it, where that is known.
        instance: That processor's instance.
        at_ns: When, in nanoseconds since the epoch.
    """

    conversation: Conversation
    frame: Any
    source: Processor | None
    instance: Any
    at_ns: int


FrameHandler = Callable[[FrameEvent], None]
