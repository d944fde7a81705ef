"""Finds what a frame means by its class.

A frame without an entry in :data:`~pipecat_dd.instrumentation.frame_handlers.HANDLERS` means
nothing to us and costs one dictionary look-up.
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
    """What frames of a class mean, and how they are treated on their way.

    Attributes:
        handler: What they say about the conversation, if anything.
        is_media: They come many a second, all the time: counted, and nothing else.
        is_streamed: They come many a second while something is said.
        carries_data: They carry what was said, written or seen, rather than control.
        opens_response: A model that works on one responds to it.
        names: The attribute by which they name a participant, if they do.
        purpose: What becomes of the pipeline by them, where that is what they are for: they are
            followed from processor to processor.
    """

    handler: FrameHandler | None
    is_media: bool
    is_streamed: bool
    carries_data: bool
    opens_response: bool
    names: str | None = None
    purpose: str | None = None


class FrameTraitsTable:
    """Finds what a frame means by its class; a subclass means what its base does.

    Attributes:
        known: What has been found so far. Look here first: it is the common case by far.
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
        """Return what frames of a class mean.

        Args:
            kind: The frame's class.
        """
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
    """Return the classes of those names that this version of Pipecat has."""
    return tuple(kind for name in names if (kind := _pipecat.frame_class(name)) is not None)


_CONTEXTS = _kinds("LLMContextFrame", "OpenAILLMContextFrame")
