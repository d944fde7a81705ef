"""Looks up how frames of a class are handled.

A frame whose class has no entry in :data:`~pipecat_dd.instrumentation.frame_handlers.HANDLERS`
costs one dictionary look-up.
"""

from dataclasses import dataclass

from pipecat_dd import _pipecat
from pipecat_dd.conversation.pipelines import CANCELLED, ENDED, STARTS, STOPPED
from pipecat_dd.instrumentation.frame_event import FrameHandler
from pipecat_dd.instrumentation.frame_handlers import HANDLERS

_STREAMED = ("LLMTextFrame", "LLMThoughtTextFrame", "TTSTextFrame", "AggregatedTextProgressFrame")
_PURPOSES = {
    "StartFrame": STARTS,
    "EndFrame": ENDED,
    "StopFrame": STOPPED,
    "CancelFrame": CANCELLED,
}
_DATA = ("DataFrame", "LLMContextFrame", "AudioRawFrame", "ImageRawFrame")
_MEDIA = (
    "AudioRawFrame",
    "ImageRawFrame",
    "SpriteFrame",
    "UserSpeakingFrame",
    "BotSpeakingFrame",
    "HeartbeatFrame",
)


@dataclass(frozen=True, slots=True)
class FrameTraits:
    """How frames of one class are handled.

    Attributes:
        handler: Updates the conversation; None if such frames have no meaning for it.
        is_media: They come many times a second, all the time, and are only counted.
        is_streamed: They come many times a second while the user or the bot speaks.
        carries_data: They carry speech, text or images rather than control.
        opens_response: A model that processes one responds to it.
        names: The attribute that names a participant; None if they name none.
        purpose: Whether they start or end the pipeline, and how; None if they do neither. Frames
            with a purpose are followed from processor to processor.
    """

    handler: FrameHandler | None
    is_media: bool
    is_streamed: bool
    carries_data: bool
    opens_response: bool
    names: str | None = None
    purpose: str | None = None


class FrameTraitsTable:
    """Finds the traits of a class of frames; a subclass has those of its base.

    Attributes:
        cached: The traits found so far. Look here first: the class is nearly always known.
    """

    def __init__(self) -> None:
        self._handlers: dict[type, FrameHandler] = {}
        for name, handler in HANDLERS.items():
            for kind in _kinds(name):
                self._handlers[kind] = handler
        self._media = _kinds(*_MEDIA)
        self._streamed = _kinds(*_STREAMED)
        self._data = _kinds(*_DATA)
        self._purposes = {
            kind: purpose for name, purpose in _PURPOSES.items() for kind in _kinds(name)
        }
        self.cached: dict[type, FrameTraits] = {}

    def find(self, kind: type) -> FrameTraits:
        """Return the traits of a class of frames, and cache them."""
        is_media = issubclass(kind, self._media)
        meaning = FrameTraits(
            handler=next((self._handlers[k] for k in kind.__mro__ if k in self._handlers), None),
            is_media=is_media,
            is_streamed=is_media or issubclass(kind, self._streamed),
            carries_data=issubclass(kind, self._data),
            opens_response=issubclass(kind, _CONTEXTS),
            names=_pipecat.naming_attribute(kind),
            purpose=next((self._purposes[k] for k in kind.__mro__ if k in self._purposes), None),
        )
        self.cached[kind] = meaning
        return meaning


def _kinds(*names: str) -> tuple[type, ...]:
    """Return the frame classes of these names, as far as this version of Pipecat has them."""
    return tuple(kind for name in names if (kind := _pipecat.frame_class(name)) is not None)


_CONTEXTS = _kinds("LLMContextFrame", "OpenAILLMContextFrame")
