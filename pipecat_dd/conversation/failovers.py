"""Failovers: a switcher changed to another service because the current one had failed.

A switcher may also switch on request (the caller chose another voice), and both look alike where
they are carried out. The difference is an error, a moment before, of a service that does the same
work.
"""

from pipecat_dd.conversation.model import Processor, Role, Stage
from pipecat_dd.names import tags

WINDOW_NS = 2_000_000_000
"""How long after an error a switch is put down to it. It need not come at once: the other service
may be busy, and an application may decide for itself."""


class Failovers:
    """Counts a session's failovers."""

    def __init__(self, root: Stage) -> None:
        """Count the failovers of the session with this root stage."""
        self._root = root
        self._failed_ns: dict[Role, int] = {}

    def note_failure(self, processor: Processor, at_ns: int) -> None:
        """Record that a processor reported an error."""
        self._failed_ns[processor.role] = at_ns

    def note_switch(self, processor: Processor, turn: Stage | None, at_ns: int) -> None:
        """Record that a switcher has changed to another service.

        Args:
            processor: The service it changed to.
            turn: The current turn; None if no turn is open.
            at_ns: When it changed.
        """
        failed_ns = self._failed_ns.pop(processor.role, None)
        if failed_ns is None or at_ns - failed_ns > WINDOW_NS:
            return
        service = processor.service() if processor.service is not None else None
        provider = service.provider if service is not None else processor.class_name
        self._root.add(tags.SESSION_FAILOVER_COUNT, 1)
        (turn or self._root).add(tags.failovers(provider), 1)
