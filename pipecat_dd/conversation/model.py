"""The model: a session, its processors, its participants, and its stages.

They know one another, and so stand in one file. What happens to them is the business of the
other files of this package.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind as Kind

AttributeValue = str | int | float | bool
"""A value of a stage: text and truth values are tags, numbers are metrics."""


MAX_CONTENT_CHARS = 4_000
"""How much content is kept: some more than is sent, since redaction may shorten it."""


@dataclass(slots=True, eq=False)
class Stage:
    """One stage of a conversation.

    Attributes:
        kind: What it is.
        session: The session it belongs to.
        parent: The stage it is part of; None for the session itself and for a stage whose
            place is not known yet.
        resource: What it was about, in few distinct values (a class and a model, never an id).
        start_ns: When it began, in nanoseconds since the epoch.
        end_ns: When it ended; None while it is open.
        processor: The processor that does the work, where there is one.
        output_ns: When its output came: the first of a model or a synthesis, the last
            transcription of a stretch of speech.
        facts: What is known of it; becomes the tags and metrics of its span.
        content: What was said, written or asked in it. Sent only where the user asked for it.
        peer: The provider that it calls over the network, where it is one call.
        participant_id: Whom it is of, where there is exactly one participant it can mean.
        is_named: Whether that is because somebody was named, rather than alone.
        failure: What went wrong in it, if anything did. The first failure stands: later ones
            usually follow from it.
        handle: Belongs to whoever tells spans.
    """

    kind: Kind
    session: "Session"
    parent: "Stage | None"
    resource: str
    start_ns: int
    end_ns: int | None = None
    processor: "Processor | None" = None
    output_ns: int | None = None
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    peer: str | None = None
    participant_id: str | None = None
    is_named: bool = False
    failure: Failure | None = None
    handle: Any = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.end_ns is None

    def add(self, name: str, amount: float) -> None:
        """Add to a number, counting from zero."""
        before = self.attributes.get(name, 0)
        self.attributes[name] = (before if isinstance(before, (int, float)) else 0) + amount

    def set(self, name: str, value: AttributeValue | None) -> None:
        """Note what is known; None is left out.

        Args:
            name: The attribute's name, of ``pipecat_dd.names.tags``.
            value: Its value.
        """
        if value is not None:
            self.attributes[name] = value

    def assign_participant(self, participant_id: str | None) -> None:
        """Somebody was named as the one it is of; where others were too, it is of no one.

        Args:
            participant_id: Who; None for somebody we do not know.
        """
        if not self.is_named:
            self.is_named = True
            self.participant_id = participant_id
        elif self.participant_id != participant_id:
            self.participant_id = None

    def add_content(self, name: str, text: str) -> None:
        """Note content, if the session may send it; what is added is appended.

        Args:
            name: The tag's name.
            text: The content. Cut: a tag holds no more.
        """
        if self.session.capture_content:
            before = self.content.get(name, "")
            if len(before) < MAX_CONTENT_CHARS:
                self.content[name] = before + text[:MAX_CONTENT_CHARS]

    def fail(self, failure: Failure) -> None:
        """Note what went wrong; the first failure stands."""
        if self.failure is None:
            self.failure = failure

    def settle_first_byte(self) -> None:
        """Report a time to the first byte if there was one, and else none.

        Where no byte came Pipecat reports the time until the interruption. Where metrics are
        turned off it reports nothing, and the first output tells.
        """
        if self.output_ns is None:
            for name in (tags.METRICS_TTFB, tags.METRICS_TTFA, tags.METRICS_TTFAT):
                self.attributes.pop(name, None)
        else:
            self.attributes.setdefault(tags.METRICS_TTFB, (self.output_ns - self.start_ns) / 1e9)


class WorkerPipeline(Protocol):
    """The pipeline of one worker: :class:`~pipecat_dd.conversation.pipelines.Pipeline`."""

    worker: str

    def enter(
        self, processor: "Processor", purpose: str, frame: Any, direction: Any, at_ns: int
    ) -> None:
        """A frame that starts or ends the pipeline has reached a processor."""

    def pass_on(self, processor: "Processor", purpose: str) -> None:
        """A processor has pushed such a frame on."""

    def leave(self, processor: "Processor", purpose: str, stage: Stage | None, at_ns: int) -> None:
        """A processor has done its work on such a frame."""


class People(Protocol):
    """The participants: :class:`~pipecat_dd.conversation.participants.Participants`."""

    @property
    def present(self) -> "tuple[Participant, ...]":
        """Those who are there now, in the order they came."""

    @property
    def only(self) -> "Participant | None":
        """The one who is there, if there is exactly one."""

    def known(self, participant_id: str) -> "Participant | None":
        """Return a participant by id, or by what the transport calls them."""


class ModelCalls(Protocol):
    """Calls of ``run_inference``: :class:`~pipecat_dd.conversation.inferences.Inferences`."""

    def begin(self, processor: "Processor", at_ns: int, within: Stage | None = None) -> Stage:
        """A model is asked."""

    def use(self, stage: Stage, tokens: Mapping[str, AttributeValue]) -> None:
        """The tokens of an answer are known."""

    def end(
        self,
        stage: Stage,
        at_ns: int,
        *,
        failure: Failure | None = None,
        interrupted: bool = False,
    ) -> None:
        """An answer came, or none."""


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
    pipeline: WorkerPipeline | None = field(default=None, repr=False)
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


@dataclass(slots=True, eq=False)
class Participant:
    """Somebody in the conversation who is not the bot.

    Attributes:
        id: The participant's id, as on spans and lines.
        name: The name that is shown; None where there is none, where it is a telephone number,
            and with ``participant_names=False``.
        role: What the transport says of the participant's part in it (``owner``, ``guest``).
        transport: The class of the transport.
        is_there: Whether the participant is there at this moment.
    """

    id: str
    name: str | None = None
    role: str | None = None
    transport: str = ""
    is_there: bool = False
    # Kept for the code of this package:
    stage: Stage | None = field(default=None, repr=False)


SILENCE_NS = 50_000_000
"""How long after the bot fell silent the work that goes on is no longer part of its turn."""


class Phase(StrEnum):
    """How far a session has come."""

    MADE = "made"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(eq=False)
class Session:
    """One conversation of one bot.

    It is mutable, and the same object for as long as the conversation lasts, so that a task
    that inherited it an hour ago still finds the turn of now.

    Attributes:
        id: The session's id, on every span and line of it.
        name: The bot's name; the resource of the session's span.
        tags: The user's own tags, on every span of it.
        capture_content: Whether transcripts, prompts, replies and the like may be sent.
        phase: Whether it has been set up, and whether it is over.
        is_void: Whether it names nothing: it never ran and never will, or belongs to the process
            that this one was forked from.
    """

    id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    capture_content: bool = False
    phase: Phase = Phase.MADE
    is_void: bool = False
    # Kept for the code of this package:
    root: Stage = field(init=False, repr=False)
    turn: Stage | None = field(default=None, init=False, repr=False)
    quiet_ns: int | None = field(default=None, init=False, repr=False)
    processors: "dict[str, Processor]" = field(default_factory=dict, init=False, repr=False)
    people: "People | None" = field(default=None, init=False, repr=False)
    inferences: "ModelCalls | None" = field(default=None, init=False, repr=False)
    # What follows and tells it. Here and in no registry, whose entry would hold what holds it.
    runtime: Any = field(default=None, init=False, repr=False)
    exporter: "Callable[[int | None], dict[str, str] | None] | None" = field(
        default=None, init=False, repr=False
    )
    binder: "Callable[[Session, str], AbstractContextManager[None]] | None" = field(
        default=None, init=False, repr=False
    )

    def __post_init__(self) -> None:
        self.root = Stage(Kind.SESSION, self, None, self.name, start_ns=0)

    @property
    def participants(self) -> "tuple[Participant, ...]":
        """Who is there at this moment, in the order they came; never the bot itself."""
        people = self.people
        return () if people is None else people.present

    def export_turn(self, number: int | None = None) -> dict[str, str] | None:
        """Return the ids of a turn's span, to submit an evaluation of it to LLM Observability.

        It can be asked for while the turn goes on, afterwards, and after the session's end.

        Example::

            LLMObs.submit_evaluation(
                span=current_session().export_turn(),
                label="helpful",
                metric_type="boolean",
                value=True,
            )

        Args:
            number: The turn's number, from 1; of the latest 1,000. The turn that goes on, or
                went on last, if not given.

        Returns:
            ``span_id`` and ``trace_id``, as ``LLMObs.export_span`` gives them; None where there
            is no such turn (yet), or the session is not shown in LLM Observability.
        """
        return None if self.exporter is None else self.exporter(number)

    @contextmanager
    def bind_participant(self, participant_id: str) -> Iterator[None]:
        """Have lines written in a block carry a participant's id.

        For code of your own that works for somebody and that nothing else says of: a queue
        that several participants share, a callback of a library. What tasks are started in the
        block keep it.

        Example::

            with current_session().bind_participant(request.participant_id):
                logger.info("looking up the account")

        Args:
            participant_id: The participant's id as on lines and spans, or as the transport
                calls the participant. One that the transport has never told of is taken as it
                is.

        Raises:
            TypeError: It is not a string.
            ValueError: It is empty.
        """
        if not isinstance(participant_id, str):
            raise TypeError(f"participant_id={participant_id!r}: must be a string")
        if not participant_id.strip():
            raise ValueError(f"participant_id={participant_id!r}: must not be empty")
        if self.binder is None:
            yield
        else:
            with self.binder(self, participant_id):
                yield

    @property
    def stage(self) -> Stage:
        """What work that belongs to no stage of its own is part of: the turn, else the session."""
        turn = self.turn
        if turn is None:
            return self.root
        quiet_ns = self.quiet_ns
        if quiet_ns is not None and time.time_ns() > quiet_ns + SILENCE_NS:
            # The turn is waited for, but most likely over since the bot fell silent: that is
            # where it will end.
            return self.root
        return turn
