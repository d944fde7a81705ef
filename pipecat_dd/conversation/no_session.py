"""The session of code that works for none."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipecat_dd.conversation.model import Phase, Session


class NoSession(Session):
    """A session that is empty, is false, and does nothing.

    The bot's code can so report to :func:`~pipecat_dd.current_session` without asking whether
    there is a session: in a test without an observer, say, or where a request is nobody's.
    """

    def __init__(self) -> None:
        super().__init__(id="", name="", phase=Phase.ENDED, is_void=True)

    def __bool__(self) -> bool:
        return False

    def set_outcome(self, outcome: str) -> None:
        """Do nothing."""

    def set_tag(
        self, name: str, value: str | int | float | bool | None, *, turn: bool = False
    ) -> None:
        """Do nothing."""

    @contextmanager
    def bind_participant(self, participant_id: str) -> Iterator[None]:
        """Run a block, without a participant."""
        yield


NO_SESSION = NoSession()
"""The only one there is."""
