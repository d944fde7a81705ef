"""The empty session that code outside of all sessions gets."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipecat_dd.conversation.model import Phase, Session


class NoSession(Session):
    """A session that is empty, is false, and does nothing.

    So the bot's code can report to :func:`~pipecat_dd.current_session` without checking whether
    there is a session, for example in a test without an observer, or in a request of no call.
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
