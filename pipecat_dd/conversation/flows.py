"""The current node of a conversation's flow.

A flow belongs to a worker. A conversation with several workers may have several flows, each at a
node of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd.conversation.model import Processor, Role, Session, WorkerPipeline


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One flow.

    Attributes:
        pipeline: The pipeline of the flow's worker.
        node: Returns the current node's name; None before the first node.
        serves: Whether the flow is that of an LLM service, given its name.
    """

    pipeline: WorkerPipeline
    node: Callable[[], str | None]
    serves: Callable[[str], bool]


class Flows:
    """The flows of one session."""

    def __init__(self, session: Session) -> None:
        """Keep track of a session's flows; it has none yet."""
        self._session = session
        self._flows: list[Flow] = []

    def add(self, flow: Flow) -> None:
        """Add a flow."""
        self._flows.append(flow)
        self._session.flow_node = self.node_at

    def node_at(self, processor: Processor | None) -> str | None:
        """Return the current node of the flow that work belongs to; None if there is none.

        Args:
            processor: The processor that does the work; None if none does, or it is unknown.
        """
        flows = self._flows
        if len(flows) == 1:
            # Nearly always, and for each log line.
            flow, pipeline = flows[0], None if processor is None else processor.pipeline
            is_others = (
                processor is not None
                and processor.role is Role.LLM
                and pipeline is not None
                and pipeline is not flow.pipeline
            )
            return None if is_others else flow.node()
        if processor is not None and processor.pipeline is not None:
            own = [flow for flow in flows if flow.pipeline is processor.pipeline]
            if processor.role is Role.LLM:
                # Never the node of another model's flow.
                return _node(own, processor.name)
            if own:
                return _node(own)
        return _node(self._of_conversation())

    def _of_conversation(self) -> list[Flow]:
        """Return the flows of the worker that has the transport, else of the only worker."""
        flows = self._flows
        with_transport = [flow for flow in flows if flow.pipeline.has_transport]
        found = with_transport or flows
        return found if all(flow.pipeline is found[0].pipeline for flow in found) else []


def _node(flows: list[Flow], service_name: str | None = None) -> str | None:
    """Return the node of one worker's flow: of several, the latest that is at a node.

    Args:
        flows: The worker's flows.
        service_name: The LLM service that does the work; None if none does.
    """
    if service_name is not None and len(flows) > 1:
        flows = [flow for flow in flows if flow.serves(service_name)]
    return next((node for flow in reversed(flows) if (node := flow.node()) is not None), None)
