"""A session's spans.

ddtrace sends a trace only when all the spans *started* in it have finished. If the session's span
were open for the whole call, it would hold back every finished turn, and a killed process would
lose them. An open span for each turn would hold back the turn before, since one turn begins before
all work of the last one is done. Therefore none of our spans is ever left open: a stage's span is
started, backdated and finished in one go when the stage ends. Until then the stage has a reserved
id, which log lines carry, and a stand-in under which other spans nest; whatever is set on the
stand-in ends up on the span.

An ended stage is sent with the writer's next interval, within a second, even if other spans in the
trace are still open.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pipecat_dd import _ddtrace
from pipecat_dd._ddtrace import Active, Context, Span, StandIn
from pipecat_dd.conversation.model import AttributeValue, Kind, Phase, Session, Stage
from pipecat_dd.conversation.turns import BY_USER
from pipecat_dd.export.redaction import InForce
from pipecat_dd.export.spans.beside import is_pipecats
from pipecat_dd.export.spans.passing import Owner
from pipecat_dd.names import tags
from pipecat_dd.names.spans import span_name
from pipecat_dd.settings import TraceScope

COMPONENT = "pipecat"
"""The ``component`` tag of every span."""

MEASURED = frozenset(
    {Kind.TURN, Kind.STT, Kind.END_OF_TURN, Kind.LLM, Kind.TOOL, Kind.TTS, Kind.BOT_SPEECH}
)
"""The stages for which Datadog computes hits, errors and percentiles."""

ENTRIES = frozenset({Kind.SESSION, Kind.TURN})
"""The stages that are service entries: Datadog counts the service's hits and errors by them."""

_CALLS = frozenset({Kind.LLM, Kind.TTS, Kind.FRAME})
"""What may call a provider, a frame's processing since it may turn out to be a response."""

KEPT = frozenset({tags.SESSION_ID, tags.COMPONENT, "llmobs_trace_id", "llmobs_parent_id"})
"""Tags that a span keeps, whatever was set on its stand-in: its identity, and what ddtrace records
for LLM Observability on a trace's root."""

MAX_CONTENT_CHARS = 2_000
"""Content in a tag (transcripts, prompts, replies, tool arguments and results) is cut to this
length."""

MAX_TAG_CHARS = 5_000
"""The value of a tag is cut to this length. ddtrace cuts a value of over 25,000 characters to
2,500, and the Agent refuses it. A stack trace loses its beginning: its end shows the error."""

MAX_TRACES = 256
"""How many traces of turns a session remembers, with ``trace_scope="turn"``. Work still in progress
in an older one nests in it nevertheless."""


class StageSpan:
    """Represents a stage in the trace until its span is sent.

    Attributes:
        span_id: The id that its span will have.
        node: The stand-in under which other spans nest; created when first needed.
        referred: Whether a log line or another span refers to it.
        nested: Whether another span, most likely an integration's, may have nested under it.
    """

    __slots__ = ("nested", "node", "referred", "span_id")

    def __init__(self, span_id: int, node: StandIn | None = None) -> None:
        self.span_id = span_id
        self.node = node
        self.referred = False
        self.nested = False


class SpanExtension(Protocol):
    """Makes some of the spans also spans of another product, such as LLM Observability."""

    def start(self, stage: Stage, name: str, parent: Active) -> Span | None:
        """Start a stage's span; None leaves that to the tree. Must not raise."""

    def write(self, span: Span, stage: Stage) -> None:
        """Describe a span that :meth:`start` returned, before it finishes. Must not raise."""

    def stamp(self, context: Context) -> None:
        """Add the product's own ids to the context of the session's span. Must not raise."""


class SpanTree:
    """Exports a session's stages as spans.

    Attributes:
        redactor: Redacts content and error messages.
        also: Makes the spans another product's, too; None if there is no such product.
        session: The session.
        trace_id: The id of the trace of the session's span, 128 bits.
        root_context: The context of the session's span, whose sampling decision all spans share.
        trace_ids: The ids of all traces of the session.
        on_trace: Called when a turn begins a trace, with the trace's id and that of the trace that
            is forgotten for it, if any.
        owner: Tags the other spans in the session's traces: the user's and integrations'.
    """

    def __init__(
        self,
        session: Session,
        parent: Context | None = None,
        caller: Active | None = None,
        scope: TraceScope = TraceScope.SESSION,
    ) -> None:
        """Begin a session's trace.

        Args:
            session: The session.
            parent: A remote parent whose trace to continue; None begins a new trace.
            caller: The span, or its context, that was active where the session was created; None
                if none was. The session's span links to it and does not continue it.
            scope: Whether the session is one trace, or each turn is.
        """
        self._scope = scope
        self.redactor = InForce()
        self.also: SpanExtension | None = None
        self.session = session
        self._name = span_name(Kind.SESSION)
        identity = {tags.SESSION_ID: session.id, tags.COMPONENT: COMPONENT}
        identity |= {name: value[:MAX_TAG_CHARS] for name, value in session.tags.items()}
        # Once here, rather than for each span.
        writable = _ddtrace.writable
        self._tags = {writable(name): writable(value) for name, value in identity.items()}
        self._parent = parent
        self._links: list[Context] = []
        self._hidden: set[int] = set()
        self._callers: set[int] = set()
        self._ours: set[int] = set()
        if parent is not None and parent.trace_id is not None:
            root = _ddtrace.continue_trace(parent, self._name, session.name, self._tags)
        else:
            root = _ddtrace.new_trace(self._name, session.name, self._tags)
            self._parent = None
        assert root.trace_id is not None
        assert root.span_id is not None
        self.trace_id: int = root.trace_id
        self.root_context = root
        self.trace_ids = {self.trace_id}
        self._turns_trace_ids: deque[int] = deque()
        self._written_trace_ids: dict[int, str | None] = {}
        self.on_trace: Callable[[int, int | None], None] = lambda trace_id, forgotten: None
        self._early: StandIn | None = None
        self.owner = Owner(
            root,
            self._tags,
            captures=session.capture_content,
            is_alone=self._parent is None,
            redactor=self.redactor,
        )
        session.root.handle = StageSpan(root.span_id)
        self._ours.add(root.span_id)
        if caller is not None:
            self.hide(caller)

    @property
    def parent(self) -> Context | None:
        """The remote parent whose trace the session continues; None if there is none."""
        return self._parent

    @property
    def has_traces_per_turn(self) -> bool:
        """Whether each turn is a trace of its own."""
        return self._scope is TraceScope.TURN

    def trace_id_of(self, stage: Stage) -> int:
        """Return the id of the trace that a stage's span is part of."""
        return self._node(stage).trace_id or self.trace_id

    @property
    def context(self) -> Context:
        """The context of the session's span, with the sampling decision."""
        context = _ddtrace.beside(self.root_context, self.session.root.handle.span_id)
        if self.also is not None:
            self.also.stamp(context)
        return context

    # Called by the conversation

    def on_open(self, stage: Stage) -> None:
        """Reserve the stage's id."""
        early = self._early
        if early is not None and stage.kind is Kind.TURN and stage.resource == BY_USER:
            # What came before the turn was decided nests under it already.
            stage.handle = StageSpan(early.span_id, early)
            self._early = None
        elif stage.handle is None:
            stage.handle = StageSpan(_ddtrace.new_span_id())
        self._ours.add(stage.handle.span_id)

    def on_close(self, stage: Stage) -> None:
        """Send the stage's span."""
        handle: StageSpan = stage.handle
        name, parent, also = span_name(stage.kind), self._parent_of(stage), self.also
        is_entry, is_root = stage.kind in ENTRIES, False
        if is_entry and isinstance(parent, StandIn):
            # A span is an entry if its parent is a context, but not if it is a span.
            parent = parent.context
        elif not is_entry and isinstance(parent, Context):
            parent, is_root = self._node(stage), True
        span = None if also is None else also.start(stage, name, parent)
        if span is None:
            also = None
            span = _ddtrace.start(name, parent, stage.resource)
        try:
            _ddtrace.place(span, stage.start_ns, handle.span_id, is_root=is_root)
            self._write(span, stage)
            if also is not None:
                also.write(span, stage)
            if handle.node is not None:
                _ddtrace.carry(handle.node, span, self.redactor.text, KEPT)
        finally:
            # A span left open would hold back all finished spans of its trace.
            _ddtrace.finish(span, stage.end_ns if stage.end_ns is not None else stage.start_ns)
        if handle.node is not None:
            _ddtrace.retire(handle.node)
        if stage.kind is Kind.SESSION:
            self.owner.is_over = True
            _ddtrace.send_finished(self.trace_ids)
        else:
            self._ours.discard(handle.span_id)
        early = self._early
        if early is not None and span.trace_id == early.trace_id:
            self._early = None  # it did not become a turn

    def on_discard(self, stage: Stage) -> None:
        """Forget the stage's id, to which nothing refers."""
        if stage.handle is not None:
            self._ours.discard(stage.handle.span_id)

    def is_referred_to(self, stage: Stage) -> bool:
        """Whether a log line or a child span refers to the stage already."""
        handle = stage.handle
        return handle is not None and handle.referred

    # Called for spans that nest under a stage, and for log lines

    def active(self, stage: Stage, *, nests: bool = True) -> Active:
        """Return the parent of a span that begins in a stage.

        Args:
            stage: The stage.
            nests: Whether a span nests under it. False if only its ids are needed.
        """
        handle: StageSpan = stage.handle
        handle.referred = True
        if nests and not handle.nested:
            handle.nested = True
            self.owner.nests(handle.span_id)
        return self._node(stage)

    def log_ids(self, stage: Stage) -> tuple[str | None, str | None]:
        """Return the trace and span id of a stage in the form that log lines carry."""
        node = self.active(stage, nests=False)
        trace_id = node.trace_id
        assert trace_id is not None
        if trace_id not in self._written_trace_ids:
            self._written_trace_ids[trace_id] = _ddtrace.log_ids(node)[0]
        return self._written_trace_ids[trace_id], str(stage.handle.span_id)

    def hide(self, caller: Active) -> None:
        """Link the caller's span, and ignore it where it is active in the session's own tasks.

        Args:
            caller: The span that was active when the session was created or set up, or its
                context, which is what ddtrace passes on to a new task.
        """
        if caller.span_id in self._hidden or self._is_own(caller):
            return
        if isinstance(caller, Span):
            for span in _ddtrace.with_those_above(caller):
                if span.span_id in self._hidden:
                    break
                self._hidden.add(span.span_id)
        elif caller.span_id is not None:
            self._hidden.add(caller.span_id)
        if caller.trace_id is not None and caller.trace_id not in self.trace_ids:
            self._callers.add(caller.trace_id)
            if caller.span_id:
                self._links.append(caller.context if isinstance(caller, Span) else caller)

    def is_foreign(self, found: Active) -> bool:
        """Whether the active span is the user's or an integration's, so that new spans nest in it.

        For a span of ours this is False, and the parent of a new span is looked up anew: when a
        child finishes, ddtrace makes its parent active again, even if that stage has ended. The
        same applies to the bare context of a span of ours, which ddtrace passes on to a thread
        pool or a task; the context of a user's span is the user's. The caller's spans and those
        of Pipecat's own tracing are ignored.

        Args:
            found: The span or context that ddtrace reports as active.
        """
        if isinstance(found, StandIn) or found.span_id in self._hidden:
            return False
        if isinstance(found, Span):
            return not is_pipecats(found)
        if found.span_id in self._ours or self.owner.has_nested(found.span_id):
            return False
        return found.trace_id not in self._callers

    # Spans

    def _is_own(self, found: Active) -> bool:
        if isinstance(found, StandIn):
            return found.owner is self.owner
        # If the session continues a remote trace, the caller may be part of that trace, too.
        return found.trace_id in self.trace_ids and self.session.phase is not Phase.MADE

    def _node(self, stage: Stage) -> StandIn:
        handle: StageSpan = stage.handle
        if handle.node is None:
            name, span_id = span_name(stage.kind), handle.span_id
            if stage.kind is Kind.SESSION:
                parent_id = None if self._parent is None else self._parent.span_id
                handle.node = self._root_stand_in(
                    name, stage.resource, stage.start_ns, self.root_context, parent_id
                )
            elif self._begins_trace(stage):
                context = self._new_trace(span_id)
                handle.node = self._root_stand_in(name, stage.resource, stage.start_ns, context)
            else:
                above = self._parent_of(stage)
                handle.node = _ddtrace.stand_in(
                    name,
                    above,
                    stage.resource,
                    stage.start_ns,
                    span_id,
                    self.owner,
                    may_call=stage.kind in _CALLS,
                )
        return handle.node

    def _root_stand_in(
        self,
        name: str,
        resource: str,
        start_ns: int,
        context: Context,
        parent_id: int | None = None,
    ) -> StandIn:
        assert context.span_id is not None
        return _ddtrace.stand_in(
            name,
            context,
            resource,
            start_ns,
            context.span_id,
            self.owner,
            parent_id=parent_id,
            tags=self._tags,
        )

    def _parent_of(self, stage: Stage) -> StandIn | Context:
        if stage.kind is Kind.SESSION:
            return self._above_root()
        if self._begins_trace(stage):
            return _ddtrace.above(self._node(stage))
        if stage.parent is None:
            if self._scope is TraceScope.SESSION:
                return self._node(self.session.root)
            return self._early_turn(stage.start_ns)
        parent, node = self._node(stage.parent), stage.handle.node
        if node is not None and node.trace_id != parent.trace_id:
            # Something referred to it before it was known that it is not part of the user's turn.
            return _ddtrace.above(node)
        return parent

    def _early_turn(self, start_ns: int) -> StandIn:
        """Return a stand-in for the user's next turn, under which its first stages nest.

        The user's speech and its transcription come before the decision that they are a turn. Log
        lines and spans that refer to them before that need the ids that they will have.
        """
        if self._early is None:
            context = self._new_trace(_ddtrace.new_span_id())
            name = span_name(Kind.TURN)
            self._early = self._root_stand_in(name, BY_USER, start_ns, context)
        return self._early

    def _new_trace(self, span_id: int) -> Context:
        context = _ddtrace.new_trace_like(self.root_context, span_id)
        assert context.trace_id is not None
        forgotten = None
        if len(self._turns_trace_ids) >= MAX_TRACES:
            forgotten = self._turns_trace_ids.popleft()
            self.trace_ids.discard(forgotten)
            self._written_trace_ids.pop(forgotten, None)
        self._turns_trace_ids.append(context.trace_id)
        self.trace_ids.add(context.trace_id)
        self.on_trace(context.trace_id, forgotten)
        return context

    def _begins_trace(self, stage: Stage) -> bool:
        return self.has_traces_per_turn and stage.kind is Kind.TURN

    def _above_root(self) -> Context:
        if self._parent is not None and self._parent.span_id is not None:
            return _ddtrace.beside(self.root_context, self._parent.span_id)
        return _ddtrace.above(self.root_context)

    def own_tags(self, stage: Stage) -> dict[str, AttributeValue]:
        """Return the tags that the bot's own code has set on a stage, redacted."""
        if not stage.own_tags:
            return {}
        # Copied at once, since threads of the bot may go on to set some.
        return {
            self.redactor.name(name): self.redactor.value(name, value)
            for name, value in stage.own_tags.copy().items()
        }

    def _write(self, span: Span, stage: Stage) -> None:
        span.set_tags(dict(self._tags))
        handle: StageSpan = stage.handle
        if stage.peer and not (handle.node is not None and _ddtrace.has_client(handle.node)):
            # No span of ddtrace's beneath it shows the call to the provider.
            span.set_tag(tags.SPAN_KIND, "client")
            _ddtrace.set_tag(span, tags.PEER_SERVICE, stage.peer)
        else:
            span.set_tag(tags.SPAN_KIND, "internal")
        if stage.kind in MEASURED:
            span.set_metric(_ddtrace.MEASURED, 1)
        if stage.kind is Kind.SESSION:
            for link in self._links:
                span.link_span(link, {"link.name": "caller"})
        elif not span.parent_id:  # a turn's trace, or that of speech that became no turn
            span.link_span(self.root_context, {"link.name": "session"})
        if stage.participant_id is not None:
            _ddtrace.set_tag(span, tags.PARTICIPANT_ID, stage.participant_id)
        for name, value in stage.attributes.items():
            set_attribute(span, name, value)
        for name, value in self.own_tags(stage).items():
            set_attribute(span, name, value)
        for name, text in stage.content.items():
            _ddtrace.set_tag(span, name, self.redactor.text(text)[:MAX_CONTENT_CHARS])
        processor = stage.processor
        if processor is not None:
            _ddtrace.set_tag(span, tags.PROCESSOR_NAME, processor.name)
        failure = stage.failure
        if failure is not None:
            _ddtrace.set_error(
                span,
                failure.type,
                self.redactor.text(failure.message)[:MAX_TAG_CHARS],
                self.redactor.text(failure.stack)[-MAX_TAG_CHARS:],
            )
            if failure.category is not None:
                _ddtrace.set_tag(span, tags.ERROR_CATEGORY, failure.category)
            if failure.usable is not None:
                set_attribute(span, tags.PROCESSOR_USABLE, failure.usable)


def set_attribute(span: Any, name: str, value: object) -> None:
    """Set an attribute on a span: text and booleans as tags, numbers as metrics."""
    if isinstance(value, bool):
        _ddtrace.set_tag(span, name, "true" if value else "false")
    elif isinstance(value, (int, float)):
        _ddtrace.set_metric(span, name, value)
    else:
        _ddtrace.set_tag(span, name, str(value)[:MAX_TAG_CHARS])
