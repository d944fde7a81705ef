"""The stages of one session: opened, ended, told."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Phase, Processor, Session, Stage
from pipecat_dd.names import tags

_ASIDE = (Kind.FRAME, Kind.TOOL)
"""What a processor does beside the stage that its figures, errors and lines belong to."""


MAX_OPEN = 1_000
"""How many stages of a session are open at a time. Dozens are usual; beyond this something is
begun again and again that never ends, and the oldest is told of as it is."""

MAX_RESOURCE_CHARS = 1_000
"""A resource's length. The Agent takes 5,000; ours are names of classes, models and tools."""


class StageListener(Protocol):
    """Whoever sends stages somewhere. Called in the pipeline's event loop."""

    def on_open(self, stage: Stage) -> None:
        """A stage has begun; its place in the tree may not be known yet."""

    def on_close(self, stage: Stage) -> None:
        """A stage has ended, and all that will be known of it is known."""

    def on_discard(self, stage: Stage) -> None:
        """A stage has come to nothing, and is not told of: nothing names it."""

    def is_referred_to(self, stage: Stage) -> bool:
        """Whether something was sent that names the stage, so that it must be sent too."""


class Stages:
    """Keeps the open stages of a session, so that none is forgotten at its end.

    Attributes:
        worker_of: Returns the worker whose stage one is, where the session has several.
    """

    def __init__(self, session: Session, listener: StageListener) -> None:
        """Keep the stages of a session.

        Args:
            session: The session.
            listener: Where stages go.
        """
        self.session = session
        self._listener = listener
        self._open: set[Stage] = set()
        self.worker_of: Callable[[Stage], str | None] = lambda stage: None

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
            kind: What it is.
            resource: What it is about.
            start_ns: When it began; not before its session.
            parent: What it is part of; None where that is not known yet.
            processor: The processor that does the work, where there is one.
            aside: Whether it does it beside the stage that its figures and errors belong to.
        """
        # Nothing begins before what it is part of.
        start_ns = max(start_ns, (parent or self.session.root).start_ns)
        resource = resource[:MAX_RESOURCE_CHARS]
        if len(self._open) >= MAX_OPEN:
            self._close_oldest(start_ns)
        stage = Stage(kind, self.session, parent, resource, start_ns, processor=processor)
        if self.session.phase is Phase.ENDED:
            # A bot may go on after that, as one does that a server ends; of that nothing is told.
            stage.end_ns = start_ns
            return stage
        if processor is not None and kind not in _ASIDE and not aside:
            processor.open.append(stage)
        people = self.session.people
        if people is not None and people.only is not None:
            stage.participant_id = people.only.id
        self._open.add(stage)
        self._listener.on_open(stage)
        return stage

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
        """Open the stage of a service at work, with its provider, model and settings.

        Args:
            kind: What it does.
            processor: The service.
            start_ns: When it began.
            parent: What its work is part of; None where that is not known yet.
            stage: The open stage that turns out to be this; None to open one.
            aside: Whether it does it beside the stage that its figures and errors belong to.
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
            stage.attributes.update(service.facts)
            if kind is not Kind.STT:
                stage.peer = service.peer
        return stage

    def turn_into(self, stage: Stage, kind: Kind, resource: str, parent: Stage) -> None:
        """Have an open stage be what it turns out to be. What names it, or nests in it, stays.

        Args:
            stage: The stage.
            kind: What it is.
            resource: What it is about.
            parent: What it is part of.
        """
        stage.kind, stage.resource, stage.parent = kind, resource[:MAX_RESOURCE_CHARS], parent
        stage.start_ns = max(stage.start_ns, parent.start_ns)
        stage.attributes.clear()
        if stage.processor is not None and stage not in stage.processor.open:
            stage.processor.open.append(stage)

    def unassign_others(self, participant_id: str) -> None:
        """Somebody has come: what was the work of the only one there may now be either's.

        Args:
            participant_id: Who came.
        """
        for stage in self._open:
            if stage.is_open and not stage.is_named and stage.participant_id != participant_id:
                stage.participant_id = None

    def end(self, stage: Stage, at_ns: int) -> None:
        """End a stage that is told later, when more may be known of it.

        Args:
            stage: The stage.
            at_ns: When it ended; not before it began.
        """
        stage.end_ns = max(at_ns, stage.start_ns)
        processor = stage.processor
        if processor is not None and stage in processor.open:
            processor.open.remove(stage)

    def close(self, stage: Stage, at_ns: int) -> None:
        """End a stage and tell of it; once, however often it is asked for.

        Args:
            stage: The stage.
            at_ns: When it ended; not before it began.
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
        stage.set(tags.WORKER_NAME, self.worker_of(stage))
        self._listener.on_close(stage)

    def discard(self, stage: Stage, at_ns: int) -> None:
        """End a stage that nothing came of, and tell of it only if something names it already.

        Args:
            stage: The stage.
            at_ns: When it ended.
        """
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
        """Forget what is open: nothing of it is told."""
        self._open.clear()

    def close_all(self, at_ns: int) -> None:
        """Close what is still open, the innermost first, but the turn.

        Args:
            at_ns: The session's end.
        """
        for stage in sorted(self._open, key=lambda stage: stage.start_ns, reverse=True):
            if stage.kind is not Kind.TURN:
                with _guard.conversation.guarded():
                    self.close(stage, at_ns if stage.end_ns is None else stage.end_ns)
