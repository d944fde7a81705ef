"""The sessions of this process that have not ended."""

from pipecat_dd.conversation.model import Phase, Session

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
