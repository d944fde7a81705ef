"""The connections of services: how long each took to be made, and how long it was lost."""

from pipecat_dd.conversation.model import AttributeValue, Stage
from pipecat_dd.names import tags

REFUSED = "on_connection_error"
"""The event of a service that could not connect. It reports that as an error, too."""

REPORTED_WITHIN_NS = 1_000_000_000
"""How long after a service has tried to connect a report is about that."""


class Connections:
    """Follows the connections of one session's services, each by the service's name."""

    def __init__(self, root: Stage) -> None:
        """Follow connections.

        Args:
            root: The session's stage, which sums up.
        """
        self._root = root
        # When each began to connect, and when it had tried; 0 while it does.
        self._tried_ns: dict[str, tuple[int, int]] = {}
        self._lost_ns: dict[str, int] = {}

    def begin(self, service: str, at_ns: int) -> None:
        """Record that a service begins to connect."""
        self._tried_ns[service] = at_ns, 0

    def finish(self, service: str, at_ns: int) -> None:
        """Record that a service has tried to connect; what came of it, it may report later."""
        begun_ns, _ = self._tried_ns.get(service, (0, 0))
        if begun_ns:
            self._tried_ns[service] = begun_ns, at_ns

    def make(self, service: str, at_ns: int) -> dict[str, AttributeValue]:
        """Record that a service is connected.

        Returns:
            How long that took and, if it had lost its connection, how long it was without.
        """
        facts = self._waited(service, at_ns)
        lost_ns = self._lost_ns.pop(service, None)
        if lost_ns is not None:
            lost_secs = max(0, at_ns - lost_ns) / 1e9
            facts[tags.CONNECTION_LOST_SECONDS] = lost_secs
            self._root.add(tags.SESSION_RECONNECT_COUNT, 1)
            self._root.add(tags.SESSION_RECONNECT_SECONDS, lost_secs)
        return facts

    def refuse(self, service: str, at_ns: int) -> dict[str, AttributeValue]:
        """Record that a service could not connect.

        Returns:
            How long that took.
        """
        return self._waited(service, at_ns)

    def lose(self, service: str, at_ns: int) -> bool:
        """Record that a service has lost its connection.

        Returns:
            Whether that is new: each attempt to connect again reports it once more.
        """
        if service in self._lost_ns:
            return False
        self._lost_ns[service] = at_ns
        return True

    def end(self, at_ns: int) -> None:
        """Record that the session ends; what is lost by then is not made again."""
        for lost_ns in self._lost_ns.values():
            self._root.add(tags.SESSION_RECONNECT_SECONDS, max(0, at_ns - lost_ns) / 1e9)
        self._lost_ns.clear()
        self._tried_ns.clear()

    def _waited(self, service: str, at_ns: int) -> dict[str, AttributeValue]:
        begun_ns, tried_ns = self._tried_ns.pop(service, (0, 0))
        if not begun_ns or (tried_ns and at_ns - tried_ns > REPORTED_WITHIN_NS):
            return {}
        return {tags.CONNECTION_WAIT_SECONDS: max(0, (tried_ns or at_ns) - begun_ns) / 1e9}
