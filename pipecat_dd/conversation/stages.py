"""The stages of one session: opens and closes them, and passes them to the exporters."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Phase, Processor, Session, Stage
from pipecat_dd.names import tags

_IN_FLOWS = (Kind.TURN, Kind.LLM, Kind.TOOL)
"""The stages that show the node of the conversation's flow."""

_ASIDE = (Kind.FRAME, Kind.TOOL)
"""What a processor does beside the stage that gets its metrics, errors and log lines."""


MAX_OPEN = 1_000
"""How many stages a session may have open at a time. Dozens are usual. Beyond this,
something must be opening stages that never end, and the oldest is closed."""

MAX_RESOURCE_CHARS = 1_000
"""A resource's length. The Agent accepts 5,000; ours name classes, models and tools."""


class StageListener(Protocol):
    """Receives stages in order to export them. Called in the pipeline's event loop."""

    def on_open(self, stage: Stage) -> None:
        """Handle a stage that has begun; its parent may not be known yet."""

    def on_close(self, stage: Stage) -> None:
        """Handle a stage that has ended; nothing more will become known about it."""

    def on_discard(self, stage: Stage) -> None:
        """Handle a stage that came to nothing: it is not exported, and nothing refers to it."""

    def is_referred_to(self, stage: Stage) -> bool:
        """Whether something that was sent refers to the stage, so that it must be sent too."""


class Stages:
    """Keeps track of a session's open stages, so that each is closed by its end.

    Attributes:
        worker_of: Returns the name of a stage's worker if the session has several, else None.
        opened: Called with each stage that has opened.
        closing: Called with each stage that is about to be exported; it may still set attributes.
    """

    def __init__(self, session: Session, listener: StageListener) -> None:
        """Keep track of a session's stages, and pass them to a listener."""
        self.session = session
        self._listener = listener
        self._open: set[Stage] = set()
        self.worker_of: Callable[[Stage], str | None] = lambda stage: None
        self.opened: Callable[[Stage], None] = lambda stage: None
        self.closing: Callable[[Stage], None] = lambda stage: None

    def open(
        self,
        kind: Kind,
        resource: str,
        start_ns: int,
        *,
        parent: Stage | None = None,
        processor: Processor | None = None,
        aside: bool = False,
    ) -> Stage:
        """Open a stage.

        Args:
            kind: What kind of work it is.
            resource: What it works on.
            start_ns: When it began; moved to its parent's start if that is later.
            parent: The stage it is part of; None if that is not known yet.
            processor: The processor that does the work; None if no processor does.
            aside: Whether the processor's metrics and errors belong to another stage.
        """
        # No stage begins before its parent.
        start_ns = max(start_ns, (parent or self.session.root).start_ns)
        resource = resource[:MAX_RESOURCE_CHARS]
        if len(self._open) >= MAX_OPEN:
            self._close_oldest(start_ns)
        stage = Stage(kind, self.session, parent, resource, start_ns, processor=processor)
        if self.session.phase is Phase.ENDED:
            # A bot may go on after its session has ended; that is not reported.
            stage.end_ns = start_ns
            return stage
        if processor is not None and kind not in _ASIDE and not aside:
            processor.open.append(stage)
        people = self.session.people
        if people is not None and people.only is not None:
            stage.participant_id = people.only.id
        self._open.add(stage)
        if self.session.flow_node is not None:
            self._set_flow_node(stage)
        self._listener.on_open(stage)
        self.opened(stage)
        return stage

    def _set_flow_node(self, stage: Stage) -> None:
        """Record the current node on a stage that begins, and on a turn that has none so far."""
        node_of = self.session.flow_node
        if node_of is None or stage.kind not in _IN_FLOWS:
            return
        node = node_of(stage.processor)
        stage.set(tags.FLOW_NODE, node)
        turn = self.session.turn
        if node is not None and turn is not None and stage.parent is not self.session.root:
            turn.attributes.setdefault(tags.FLOW_NODE, node)

    def open_service(
        self,
        kind: Kind,
        processor: Processor,
        start_ns: int,
        parent: Stage | None,
        *,
        stage: Stage | None = None,
        aside: bool = False,
    ) -> Stage:
        """Open a stage for a service's work, with its provider, model and settings.

        Args:
            kind: What kind of work it is.
            processor: The service.
            start_ns: When the work began.
            parent: The stage it is part of; None if that is not known yet.
            stage: An open stage that turns out to be this work; None to open one.
            aside: Whether the service's metrics and errors belong to another stage.
        """
        service = processor.service() if processor.service is not None else None
        resource = processor.class_name
        if service is not None and service.model:
            resource = f"{resource} {service.model}"
        if stage is None:
            stage = self.open(
                kind, resource, start_ns, parent=parent, processor=processor, aside=aside
            )
        else:
            self.turn_into(stage, kind, resource, parent or self.session.root)
        if service is not None:
            stage.set(tags.GEN_AI_PROVIDER_NAME, service.provider or None)
            stage.set(tags.GEN_AI_REQUEST_MODEL, service.model)
            stage.attributes.update(service.attributes)
            if kind is not Kind.STT:
                stage.peer = service.peer
        return stage

    def turn_into(self, stage: Stage, kind: Kind, resource: str, parent: Stage) -> None:
        """Change what an open stage is; references to it and stages inside it stay valid.

        Args:
            stage: The stage. Its attributes are cleared.
            kind: What kind of work it turned out to be.
            resource: What it works on.
            parent: The stage it is part of.
        """
        stage.kind, stage.resource, stage.parent = kind, resource[:MAX_RESOURCE_CHARS], parent
        stage.start_ns = max(stage.start_ns, parent.start_ns)
        stage.attributes.clear()
        if stage.processor is not None and stage not in stage.processor.open:
            stage.processor.open.append(stage)
        self._set_flow_node(stage)

    def unassign_others(self, participant_id: str) -> None:
        """Unassign the open stages that were assigned to the only participant present.

        A second participant has joined, and the work may now be for either.

        Args:
            participant_id: The participant who joined; their own stages keep the id.
        """
        for stage in self._open:
            if stage.is_open and not stage.is_named and stage.participant_id != participant_id:
                stage.participant_id = None

    def end(self, stage: Stage, at_ns: int) -> None:
        """End a stage that is exported later, when more may be known about it.

        A time before the stage's start counts as its start.
        """
        stage.end_ns = max(at_ns, stage.start_ns)
        processor = stage.processor
        if processor is not None and stage in processor.open:
            processor.open.remove(stage)

    def close(self, stage: Stage, at_ns: int) -> None:
        """End a stage and export it. A second call does nothing.

        A time before the stage's start counts as its start.
        """
        root = self.session.root
        if stage is not root:
            if stage not in self._open:
                return
            self._open.discard(stage)
            if stage.parent is None:
                around = self.session.stage
                began_in = stage.start_ns >= around.start_ns
                stage.parent = around if began_in else self.session.root
            stage.start_ns = max(stage.start_ns, stage.parent.start_ns)
        self.end(stage, at_ns)
        if stage.kind is Kind.TURN and tags.FLOW_NODE not in stage.attributes:
            self._set_flow_node(stage)
        stage.set(tags.WORKER_NAME, self.worker_of(stage))
        self.closing(stage)
        self._listener.on_close(stage)

    def discard(self, stage: Stage, at_ns: int) -> None:
        """End a stage that came to nothing; export it only if something sent refers to it."""
        if self._listener.is_referred_to(stage):
            self.close(stage, at_ns)
        else:
            self.end(stage, at_ns)
            self._open.discard(stage)
            self._listener.on_discard(stage)

    def _close_oldest(self, at_ns: int) -> None:
        lasting = (Kind.TURN, Kind.PARTICIPANT)
        ending = [stage for stage in self._open if stage.kind not in lasting]
        if ending:
            oldest = min(ending, key=lambda stage: stage.start_ns)
            self.close(oldest, at_ns if oldest.end_ns is None else oldest.end_ns)

    def forget_all(self) -> None:
        """Forget the open stages without exporting them."""
        self._open.clear()

    def close_all(self, at_ns: int) -> None:
        """Close all stages that are still open, except the turn, the innermost first.

        Args:
            at_ns: The session's end.
        """
        for stage in sorted(self._open, key=lambda stage: stage.start_ns, reverse=True):
            if stage.kind is not Kind.TURN:
                with _guard.conversation.guarded():
                    self.close(stage, at_ns if stage.end_ns is None else stage.end_ns)
