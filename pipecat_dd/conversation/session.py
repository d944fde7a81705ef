"""The session: one conversation of one bot, from the observer's making to its clean-up."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipecat_dd.conversation.stage import Kind, Stage

if TYPE_CHECKING:
    from pipecat_dd.conversation.inferences import Inferences
    from pipecat_dd.conversation.participants import Participant, Participants
    from pipecat_dd.conversation.processor import Processor


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
    people: "Participants | None" = field(default=None, init=False, repr=False)
    inferences: "Inferences | None" = field(default=None, init=False, repr=False)
    # What follows and tells it. Here and in no registry, whose entry would hold what holds it.
    runtime: Any = field(default=None, init=False, repr=False)
    exporter: "Callable[[int | None], dict[str, str] | None] | None" = field(
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
        from pipecat_dd.conversation.context import bound_to  # knows sessions

        if not isinstance(participant_id, str):
            raise TypeError(f"participant_id={participant_id!r}: must be a string")
        if not participant_id.strip():
            raise ValueError(f"participant_id={participant_id!r}: must not be empty")
        with bound_to(self, participant_id):
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


_live: dict[int, Session] = {}


def register(session: Session) -> None:
    """Count a session among the live ones, from its making on."""
    _live[id(session)] = session


def unregister(session: Session) -> None:
    """Take a session from the live ones, at its end, or when it is thrown away."""
    _live.pop(id(session), None)


def running_count() -> int:
    """Return how many sessions run in this process."""
    return sum(session.phase is Phase.RUNNING for session in list(_live.values()))


def forget_all() -> None:
    """Forget the live sessions: they are another process's."""
    _live.clear()
