"""The session: one conversation of one bot, from the observer's making to its clean-up."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from pipecat_dd.knowing.stage import Kind, Stage

if TYPE_CHECKING:
    from pipecat_dd.knowing.processor import Processor


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
    """

    id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    capture_content: bool = False
    phase: Phase = Phase.MADE
    # Kept for the code of this package:
    root: Stage = field(init=False, repr=False)
    turn: Stage | None = field(default=None, init=False, repr=False)
    processors: "dict[str, Processor]" = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.root = Stage(Kind.SESSION, self, None, self.name, start_ns=0)

    @property
    def stage(self) -> Stage:
        """What work that belongs to no stage of its own is part of: the turn, else the session."""
        turn = self.turn
        return self.root if turn is None else turn


_running: dict[int, Session] = {}


def register(session: Session) -> None:
    """Count a session among the running ones, when it is set up."""
    _running[id(session)] = session


def unregister(session: Session) -> None:
    """Take a session from the running ones, at its end."""
    _running.pop(id(session), None)


def only_session() -> Session | None:
    """Return the running session of this process, if there is exactly one."""
    if len(_running) != 1:
        return None
    try:
        return next(iter(_running.values()))
    except (StopIteration, RuntimeError):  # another thread's session ended or began just now
        return None
