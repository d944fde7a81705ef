"""The model of a conversation: a session, its processors, its participants and its stages.

These classes refer to one another and so share one file. The other modules of this package
decide when they change.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pipecat_dd import _guard
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.own_word import (
    MAX_TAGS,
    TOO_MANY,
    outcome_of,
    participant_id_problem,
    tag_of,
    turn_number_problem,
)
from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind as Kind

AttributeValue = str | int | float | bool
"""The value of an attribute: strings and booleans become tags, numbers become metrics."""


MAX_CONTENT_CHARS = 4_000
"""How much content a stage keeps: more than is sent, since redaction may shorten it."""


@dataclass(slots=True, eq=False)
class Stage:
    """One stage of a conversation, exported as one span.

    Attributes:
        kind: What kind of work it is.
        session: The session it belongs to.
        parent: The stage it is part of; None for the session's own stage, and while the parent
            is not known yet.
        resource: What it works on, in few distinct values (a class and a model, never an id).
        start_ns: When it began, in nanoseconds since the epoch.
        end_ns: When it ended, in nanoseconds since the epoch; None while it is open.
        processor: The processor that does the work; None if no processor does.
        output_ns: When its output came: the first output of a model or a synthesis, or the last
            transcription of a segment of speech.
        attributes: What is known about it; these become the tags and metrics of its span.
        content: The text that was spoken, written or asked. Sent only with ``capture_content``.
        peer: The provider it calls, if it is one call over the network.
        participant_id: The participant it belongs to, if exactly one is possible.
        is_named: Whether a frame or an event named that participant; otherwise the participant
            was the only one present.
        failure: What went wrong, if anything. The first failure stands: later ones usually
            follow from it.
        own_tags: The tags that the bot's own code has set on a session or a turn. Threads may
            write them at any time: copy them before reading.
        handle: Reserved for the exporter.
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
    own_tags: "dict[str, AttributeValue] | None" = None
    handle: Any = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.end_ns is None

    def add(self, name: str, amount: float) -> None:
        """Add to a numeric attribute, which starts at zero."""
        before = self.attributes.get(name, 0)
        self.attributes[name] = (before if isinstance(before, (int, float)) else 0) + amount

    def set(self, name: str, value: AttributeValue | None) -> None:
        """Set an attribute; None is ignored.

        Args:
            name: One of ``pipecat_dd.names.tags``.
            value: The value, or None if it is not known.
        """
        if value is not None:
            self.attributes[name] = value

    def assign_participant(self, participant_id: str | None) -> None:
        """Assign the participant that was named; if another one was named before, assign none.

        Args:
            participant_id: The id; None if a participant was named whom we do not know.
        """
        if not self.is_named:
            self.is_named = True
            self.participant_id = participant_id
        elif self.participant_id != participant_id:
            self.participant_id = None

    def add_content(self, name: str, text: str) -> None:
        """Append content, if the session may send it.

        Args:
            name: The tag's name.
            text: The content. It is cut to what a tag can hold.
        """
        if self.session.capture_content:
            before = self.content.get(name, "")
            if len(before) < MAX_CONTENT_CHARS:
                self.content[name] = before + text[:MAX_CONTENT_CHARS]

    def fail(self, failure: Failure) -> None:
        """Record what went wrong; the first failure stands."""
        if self.failure is None:
            self.failure = failure

    def settle_first_byte(self) -> None:
        """Keep a time to first byte only if a first byte came; compute it if none was reported.

        If no byte came, Pipecat reports the time until the interruption. With metrics turned
        off Pipecat reports nothing, and the time of the first output is used instead.
        """
        if self.output_ns is None:
            for name in (tags.METRICS_TTFB, tags.METRICS_TTFA, tags.METRICS_TTFAT):
                self.attributes.pop(name, None)
        else:
            self.attributes.setdefault(tags.METRICS_TTFB, (self.output_ns - self.start_ns) / 1e9)


class WorkerPipeline(Protocol):
    """One worker's pipeline, see :class:`~pipecat_dd.conversation.pipelines.Pipeline`."""

    worker: str
    has_transport: bool

    def enter(
        self, processor: "Processor", purpose: str, frame: Any, direction: Any, at_ns: int
    ) -> None:
        """Record that a frame that starts or ends the pipeline has reached a processor."""

    def pass_on(self, processor: "Processor", purpose: str) -> None:
        """Record that a processor has pushed such a frame on."""

    def leave(self, processor: "Processor", purpose: str, stage: Stage | None, at_ns: int) -> None:
        """Record that a processor has finished its work on such a frame."""


class People(Protocol):
    """The participants, see :class:`~pipecat_dd.conversation.participants.Participants`."""

    @property
    def present(self) -> "tuple[Participant, ...]":
        """The participants who are present, in the order in which they joined."""

    @property
    def only(self) -> "Participant | None":
        """The participant who is present, if there is exactly one."""

    def known(self, participant_id: str) -> "Participant | None":
        """Return a participant by id, or by the transport's name for them."""


class ModelCalls(Protocol):
    """Calls of ``run_inference``, see :class:`~pipecat_dd.conversation.inferences.Inferences`."""

    def begin(self, processor: "Processor", at_ns: int, within: Stage | None = None) -> Stage:
        """Begin a call to a model."""

    def use(self, stage: Stage, tokens: Mapping[str, AttributeValue]) -> None:
        """Record the tokens that a call used."""

    def end(
        self,
        stage: Stage,
        at_ns: int,
        *,
        failure: Failure | None = None,
        interrupted: bool = False,
    ) -> None:
        """End a call, with or without an answer."""


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
    """The provider behind a processor, as configured at one moment.

    Attributes:
        provider: The provider's name by OpenTelemetry's GenAI conventions (``openai``).
        model: The model in use, if the service names one.
        is_remote: Whether it is known to be reached over the network.
        attributes: Further settings for the span (``tts.voice``, ``gen_ai.request.*``).
        first_byte_secs: How long after the end of speech was detected a transcriber may report its
            time to first byte; 0 if it reports none.
    """

    provider: str
    model: str | None = None
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    is_remote: bool = False
    first_byte_secs: float = 2.0

    @property
    def peer(self) -> str | None:
        """The provider, if it is called over the network."""
        return self.provider if self.is_remote and self.provider else None


@dataclass(slots=True, eq=False)
class Processor:
    """A processor of the pipeline, for as long as the session lasts.

    Attributes:
        name: Pipecat's name for the instance (``OpenAILLMService#3``). Its number grows for as
            long as the process runs, so use it as a value and never as a key.
        class_name: Its class.
        key: Its class and, if the pipeline has several of that class, its index among them
            (``OpenAILLMService.0``): the same in every session.
        role: What it does for the conversation.
        is_users: Whether its class is the user's own rather than Pipecat's.
        service: Returns the provider and model it uses at this moment; None if it is not a
            service.
        kinds: The kind of its work by class of frame, as the processor itself declares it
            (``retrieval``).
        has_answered: Whether it has answered as a model does without being one of Pipecat's
            services: LangChain's processor, say, or the user's own.
        asked_ns: When it began on the latest context that it has not answered yet; 0 if there
            is none.
        has_voice_behind: Whether its answers pass a service that speaks them; None if that is
            not known.
        is_usable: Whether it can still do its job, as far as it has reported.
        pipeline: The worker's pipeline it is part of, if known.
        open: Its open stages, the latest last.
        frames: How many frames it has processed since this was last recorded.
        busy_ns: How long that took, in nanoseconds. Frames of media are not timed.
        longest_ns: How long the slowest of them took, in nanoseconds.
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
        """Whether it answers the user as a model does."""
        return self.has_answered or self.role is Role.LLM

    @property
    def stage(self) -> Stage | None:
        """The stage it is working on, if any: the one that began last."""
        return self.open[-1] if self.open else None


@dataclass(slots=True, eq=False)
class Participant:
    """A participant of the conversation other than the bot.

    Attributes:
        id: The participant's id, as on spans and log lines.
        name: The display name; None if the participant has none, if it is a telephone number, or
            with ``participant_names=False``.
        role: The participant's role as the transport reports it (``owner``, ``guest``).
        transport: The class of the transport.
        is_there: Whether the participant is present at this moment.
    """

    id: str
    name: str | None = None
    role: str | None = None
    transport: str = ""
    is_there: bool = False
    # Internal to this package:
    stage: Stage | None = field(default=None, repr=False)


SILENCE_NS = 50_000_000
"""How long after the bot fell silent further work still counts as part of its turn."""


class Phase(StrEnum):
    """The phase of a session's life."""

    MADE = "made"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(eq=False)
class Session:
    """One conversation of one bot.

    :func:`~pipecat_dd.current_session` and ``DatadogObserver.session`` return it. It stays the same
    object for as long as the conversation lasts. It is truthy; only the session that
    ``current_session()`` returns to code that works for no session is falsy.

    Attributes:
        id: The session's id, on each of its spans and log lines.
        name: The bot's name; the resource of the session's span.
        tags: The observer's ``tags``, on each of its spans.
        capture_content: Whether transcripts, prompts, replies and the like may be sent.
        outcome: What came of the conversation, as reported with :meth:`set_outcome`; None if
            nothing has been reported.
        phase: Whether it has been set up, and whether it has ended.
        is_void: Whether its id must not be used: it never ran and never will, or it belongs to
            the process that this one was forked from.
    """

    id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    capture_content: bool = False
    outcome: str | None = field(default=None, init=False)
    phase: Phase = Phase.MADE
    is_void: bool = False
    # Internal to this package:
    root: Stage = field(init=False, repr=False)
    # What the bot's code has set on a turn before there was one.
    next_turn_tags: "dict[str, AttributeValue]" = field(
        default_factory=dict, init=False, repr=False
    )
    turn: Stage | None = field(default=None, init=False, repr=False)
    quiet_ns: int | None = field(default=None, init=False, repr=False)
    processors: "dict[str, Processor]" = field(default_factory=dict, init=False, repr=False)
    people: "People | None" = field(default=None, init=False, repr=False)
    inferences: "ModelCalls | None" = field(default=None, init=False, repr=False)
    # What code that blocked the event loop did, `pipecat_dd.conversation.blocked.Blocking`.
    blocking: Any = field(default=None, init=False, repr=False)
    # What follows and exports the session. Kept here because an entry in a registry would keep
    # the session alive.
    runtime: Any = field(default=None, init=False, repr=False)
    exporter: "Callable[[int | None], dict[str, str] | None] | None" = field(
        default=None, init=False, repr=False
    )
    binder: "Callable[[Session, str], AbstractContextManager[None]] | None" = field(
        default=None, init=False, repr=False
    )

    # Returns the current node of a processor's flow; None if the conversation has no flow.
    flow_node: "Callable[[Processor | None], str | None] | None" = field(
        default=None, init=False, repr=False
    )
    # Reports, in one log line, what the bot's code has done wrong.
    reporter: "Callable[[str], None] | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.root = Stage(Kind.SESSION, self, None, self.name, start_ns=0, own_tags={})

    @property
    def participants(self) -> "tuple[Participant, ...]":
        """The participants who are present, in the order in which they joined; never the bot."""
        people = self.people
        return () if people is None else people.present

    def export_turn(self, number: int | None = None) -> dict[str, str] | None:
        """Return the ids of a turn's span, with which to evaluate it in LLM Observability.

        Call it during the turn, after it, or after the session's end.

        Example::

            if turn := current_session().export_turn():
                LLMObs.submit_evaluation(
                    span=turn, label="helpful", metric_type="boolean", value=True
                )

        Args:
            number: The turn's number, from 1; one of the latest 1,000 turns. None for the current
                turn, or the last one.

        Returns:
            ``span_id`` and ``trace_id``, as ``LLMObs.export_span`` returns them; None if there
            is no such turn (yet), or the session is not shown in LLM Observability. It never
            raises: if ``number`` is not a turn's number, it returns None, and a log line reports
            that.
        """
        with _guard.conversation.guarded():
            problem = turn_number_problem(number)
            self._report(problem)
            if not problem and self.exporter is not None:
                return self.exporter(number)
        return None

    def set_outcome(self, outcome: str) -> None:
        """Report what came of the conversation, in a word: ``booked``, ``transferred``.

        It becomes the tag ``session.outcome`` of the session's span, and a tag of the metric
        ``pipecat.sessions.ended``. Call it at any time, from any thread; the last outcome stands.
        After the session has ended, it has no effect. It never raises: a log line reports what is
        wrong.

        Example::

            current_session().set_outcome("transferred")

        Args:
            outcome: 1 to 50 letters, digits, spaces and the characters ``_``, ``-`` and ``.``,
                beginning with a letter or a digit, with at most six digits. It is written in lower
                case, with ``_`` for spaces. Any other outcome counts as ``other``.
        """
        with _guard.conversation.guarded():
            if self._is_late("set_outcome"):
                return
            found = outcome_of(outcome)
            self.outcome = found.word or self.outcome
            self._report(found.problem)

    def set_tag(
        self, name: str, value: str | int | float | bool | None, *, turn: bool = False
    ) -> None:
        """Set a tag on the session's span, or on the span of the current turn.

        Call it at any time, from any thread; the last value stands. After the session has ended,
        it has no effect. It never raises: a log line reports what is wrong.

        Example::

            current_session().set_tag("customer.tier", "gold")
            current_session().set_tag("cart.items", 3, turn=True)

        Args:
            name: 1 to 200 characters. The names that the span already has (``docs/spans.md``) are
                reserved, and so are names that begin with ``_dd.``. A span takes at most 100 tags.
            value: Strings (5,000 characters are kept) and booleans become tags, numbers become
                metrics. Secrets and telephone numbers are redacted as on log lines. None changes
                nothing.
            turn: Whether to set it on the current turn. If no turn is open, the next turn gets it.
        """
        with _guard.conversation.guarded():
            if self._is_late("set_tag"):
                return
            found = tag_of(Kind.TURN if turn else Kind.SESSION, name, value)
            self._report(found.problem)
            if found.value is None:
                return
            # Read before the turn: if one opens meanwhile, these have become its tags.
            own = self.next_turn_tags
            stage = self.turn if turn else self.root
            if stage is not None and stage.own_tags is not None:
                own = stage.own_tags
            if found.name in own or len(own) < MAX_TAGS:
                own[found.name] = found.value
            else:
                self._report(TOO_MANY)

    def _is_late(self, method: str) -> bool:
        is_late = self.phase is Phase.ENDED
        if is_late:
            self._report(f"{method}: the session has ended. The call has no effect")
        return is_late

    def _report(self, problem: str) -> None:
        if problem and self.reporter is not None:
            self.reporter(problem)

    def enter_turn(self, turn: Stage) -> None:
        """Make a turn the current one; it gets the tags that were set since the last turn."""
        turn.own_tags = self.next_turn_tags
        # In this order: a thread that sees no turn yet writes to what is this turn's now.
        self.turn = turn
        self.next_turn_tags = {}

    @contextmanager
    def bind_participant(self, participant_id: str) -> Iterator[None]:
        """Put a participant's id on the log lines that are written in a block.

        Use it in code that works for one participant if nothing else shows for whom: behind a
        queue that several participants share, for example, or in a library's callback. Tasks that
        are started in the block keep the id.

        Example::

            with current_session().bind_participant(request.participant_id):
                logger.info("looking up the account")

        Args:
            participant_id: The id as on log lines and spans, or the transport's name for the
                participant. An id that the transport has never reported is used as it is. None,
                an empty string or anything else that is not an id binds nothing, and a log line
                reports it.
        """
        problem = participant_id_problem(participant_id)
        self._report(problem)
        if problem or self.binder is None:
            yield
        else:
            with self.binder(self, participant_id):
                yield

    @property
    def stage(self) -> Stage:
        """The stage that other work is part of: the current turn, or else the session."""
        turn = self.turn
        if turn is None:
            return self.root
        quiet_ns = self.quiet_ns
        if quiet_ns is not None and time.time_ns() > quiet_ns + SILENCE_NS:
            # The turn stays open for a while, but will most likely end at the moment the bot
            # fell silent. This work came later.
            return self.root
        return turn
