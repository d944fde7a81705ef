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


def _kinds(*names: str) -> tuple[type, ...]:
    """Return the frame classes of these names, as far as this version of Pipecat has them."""
    return tuple(kind for name in names if (kind := _pipecat.frame_class(name)) is not None)


_HANDLERS = {kind: handler for name, handler in HANDLERS.items() for kind in _kinds(name)}
_STARTS_OR_ENDS = {kind: purpose for name, purpose in _PURPOSES.items() for kind in _kinds(name)}
_MEDIA_CLASSES = _kinds(*_MEDIA)
_STREAMED_CLASSES = _kinds(*_STREAMED)
_DATA_CLASSES = _kinds(*_DATA)
_CONTEXTS = _kinds("LLMContextFrame", "OpenAILLMContextFrame")

_of_pipecat: dict[type, FrameTraits] = {}
"""The traits of Pipecat's own classes, which are the same for all sessions."""


class FrameTraitsTable:
    """Finds the traits of a class of frames; a subclass has those of its base.

    Attributes:
        cached: The traits found so far. Look here first: the class is nearly always known.
    """

    def __init__(self) -> None:
        self.cached = dict(_of_pipecat)

    def find(self, kind: type) -> FrameTraits:
        """Return the traits of a class of frames, and cache them."""
        traits = self.cached[kind] = _traits_of(kind)
        if kind.__module__.startswith("pipecat."):
            # A user's class is forgotten with the session, since it may belong to it alone.
            _of_pipecat[kind] = traits
        return traits


def _handler_of(kind: type) -> FrameHandler | None:
    found = _HANDLERS.get(kind)
    if found is None and kind.__module__.startswith("pipecat.transports."):
        # A transport's own frames are defined beside it, and it needs packages to be imported.
        found = HANDLERS.get(kind.__name__)
    return found


def _traits_of(kind: type) -> FrameTraits:
    is_media = issubclass(kind, _MEDIA_CLASSES)
    return FrameTraits(
        handler=next((found for k in kind.__mro__ if (found := _handler_of(k)) is not None), None),
        is_media=is_media,
        is_streamed=is_media or issubclass(kind, _STREAMED_CLASSES),
        carries_data=issubclass(kind, _DATA_CLASSES),
        opens_response=issubclass(kind, _CONTEXTS),
        names=_pipecat.naming_attribute(kind),
        purpose=next((_STARTS_OR_ENDS[k] for k in kind.__mro__ if k in _STARTS_OR_ENDS), None),
    )
