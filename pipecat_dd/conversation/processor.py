"""What is known of a processor of the pipeline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipecat_dd.conversation.pipelines import Pipeline
from pipecat_dd.conversation.stage import AttributeValue, Stage


class Role(StrEnum):
    """What a processor does for the conversation."""

    INPUT = "input"
    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    OUTPUT = "output"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Service:
    """The provider behind a processor, as it is set up at one moment.

    Attributes:
        provider: The provider's name by OpenTelemetry's GenAI conventions (``openai``).
        model: The model in use, where the service names one.
        is_remote: Whether it is reached over the network, as far as that is known.
        facts: Further settings that belong on a span (``tts.voice``, ``gen_ai.request.*``).
    """

    provider: str
    model: str | None = None
    facts: dict[str, AttributeValue] = field(default_factory=dict)
    is_remote: bool = False

    @property
    def peer(self) -> str | None:
        """The provider, where it is called over the network."""
        return self.provider if self.is_remote and self.provider else None


@dataclass(slots=True, eq=False)
class Processor:
    """A processor of the pipeline, for as long as the session lasts.

    Attributes:
        name: Pipecat's name for the instance (``OpenAILLMService#3``), which counts up for
            ever: a value, never a key.
        class_name: Its class.
        key: Its class and, where the pipeline has several of it, its place among them
            (``OpenAILLMService.0``): the same in every session.
        role: What it does for the conversation.
        is_users: Whether its class is the user's own rather than Pipecat's.
        service: Reads the provider and model it uses at this moment; None where it is no
            service.
        kinds: What its work on frames of a class is, where it says so itself (``retrieval``).
        has_answered: Whether it has answered as a model does, though it is no service of
            Pipecat's: LangChain's, say, or the user's own.
        asked_ns: When it last began on a context that it has not answered; 0 where there is none.
        has_voice_behind: Whether what it answers passes a service that speaks it; None where that
            is not known.
        is_usable: Whether it can still do its job, as far as it has reported.
        pipeline: The worker's pipeline that it is part of, where that is known.
        open: Its open stages, the latest last.
        frames: Frames it has worked on since that was last noted on a turn.
        busy_ns: How long that took it, media aside, whose time is not taken.
        longest_ns: How long the longest took.
    """

    name: str
    class_name: str
    key: str
    role: Role
    is_users: bool = False
    service: Callable[[], Service] | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    has_answered: bool = False
    asked_ns: int = 0
    has_voice_behind: bool | None = None
    is_usable: bool = True
    pipeline: Pipeline | None = field(default=None, repr=False)
    open: list[Stage] = field(default_factory=list)
    frames: int = 0
    busy_ns: int = 0
    longest_ns: int = 0

    @property
    def is_answerer(self) -> bool:
        """Whether it answers the user, as a model does."""
        return self.has_answered or self.role is Role.LLM

    @property
    def stage(self) -> Stage | None:
        """The stage it is at work on, if any: the one begun last."""
        return self.open[-1] if self.open else None
