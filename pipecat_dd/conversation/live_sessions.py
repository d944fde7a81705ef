"""The sessions of this process that have not ended yet."""

from pipecat_dd.conversation.model import Phase, Session

_live: dict[int, Session] = {}


def register(session: Session) -> None:
    """Add a session to the live ones."""
    _live[id(session)] = session


def unregister(session: Session) -> None:
    """Remove a session from the live ones: it has ended, or is discarded."""
    _live.pop(id(session), None)


def running_count() -> int:
    """Return how many sessions are running in this process."""
    return sum(session.phase is Phase.RUNNING for session in list(_live.values()))


def forget_all() -> None:
    """Forget the live sessions: they belong to another process."""
    _live.clear()
