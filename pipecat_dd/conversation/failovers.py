"""Failovers: a switcher turned to another service, since the one at work had failed.

A switcher may as well be asked to switch (the caller chose another voice), and both look alike
where they are done. What tells them apart is the error: of a service that does the same work,
a moment before.
"""

from pipecat_dd.conversation.model import Processor, Role, Stage
from pipecat_dd.names import tags

WINDOW_NS = 2_000_000_000
"""How long after an error a switch is put down to it: the other service may be busy, and an
application may decide for itself."""


class Failovers:
    """Counts a session's failovers."""

    def __init__(self, root: Stage) -> None:
        """Count failovers.

        Args:
            root: The session's stage.
        """
        self._root = root
        self._failed_ns: dict[Role, int] = {}

    def note_failure(self, processor: Processor, at_ns: int) -> None:
        """A processor reported an error.

        Args:
            processor: The processor.
            at_ns: When.
        """
        self._failed_ns[processor.role] = at_ns

    def note_switch(self, processor: Processor, turn: Stage | None, at_ns: int) -> None:
        """A switcher has turned to another service.

        Args:
            processor: The service.
            turn: The turn that goes on, if one does.
            at_ns: When.
        """
        failed_ns = self._failed_ns.pop(processor.role, None)
        if failed_ns is None or at_ns - failed_ns > WINDOW_NS:
            return
        service = processor.service() if processor.service is not None else None
        provider = service.provider if service is not None else processor.class_name
        self._root.add(tags.SESSION_FAILOVER_COUNT, 1)
        (turn or self._root).add(tags.failovers(provider), 1)
