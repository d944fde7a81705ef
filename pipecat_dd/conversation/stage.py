"""A stage of the conversation: something with a beginning, an end, and a place in the tree."""

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind as Kind

if TYPE_CHECKING:
    from pipecat_dd.conversation.processor import Processor
    from pipecat_dd.conversation.session import Session

AttributeValue = str | int | float | bool
"""A value of a stage: text and truth values are tags, numbers are metrics."""


MAX_CONTENT_CHARS = 4_000
"""How much content is kept: some more than is sent, since redaction may shorten it."""


MAX_FAILURE_CHARS = 20_000
"""How much is kept of what an error says, and of its traceback: again more than is sent."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a stage.

    Attributes:
        type: The exception's class, or the kind of error where there was no exception.
        message: What it says.
        stack: Its traceback, empty where there was none.
        category: Why it happened, in Pipecat's words (``ErrorFrame.category``).
        usable: Whether the processor can still do its job, where Pipecat knows.
    """

    type: str
    message: str
    stack: str = ""
    category: str | None = None
    usable: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", self.message[:MAX_FAILURE_CHARS])
        object.__setattr__(self, "stack", self.stack[-MAX_FAILURE_CHARS:])

    @classmethod
    def of(
        cls,
        error: BaseException,
        *,
        message: str | None = None,
        category: str | None = None,
        usable: bool | None = None,
    ) -> "Failure":
        """Describe an exception.

        Args:
            error: The exception.
            message: What to say instead of the exception's own text.
            category: Why it happened, where that is known.
            usable: Whether the processor can still do its job, where that is known.
        """
        kind = type(error)
        name = kind.__qualname__
        if kind.__module__ not in ("builtins", "__main__"):
            name = f"{kind.__module__}.{name}"
        return cls(name, message or _text(error), _stack(error), category, usable)

    @property
    def in_short(self) -> "Failure":
        """What went wrong, for what failed because of it: its type and message alone."""
        return Failure(self.type, self.message)


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def _stack(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # an exception's own attributes can be anything
        return "".join(traceback.format_tb(trace))


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
