"""A session's stages as spans of LLM Observability's."""

from pipecat_dd import _ddtrace, _guard, _llmobs
from pipecat_dd._ddtrace import Active, Context, Span
from pipecat_dd._llmobs import Above
from pipecat_dd.conversation.model import Kind, Session, Stage
from pipecat_dd.export.llmobs.facts import messages_of, metadata_of, metrics_of, tags_of
from pipecat_dd.export.spans.tree import MAX_CONTENT_CHARS, SpanTree
from pipecat_dd.names import tags

KINDS = {Kind.SESSION: "agent", Kind.TURN: "workflow", Kind.LLM: "llm", Kind.TOOL: "tool"}
"""What stages are there. A frame's may be what its processor says of itself."""

KEPT_TURNS = 1_000
"""How many turns that are over can be asked for."""


class LLMObsSpans:
    """Tells a session's stages to LLM Observability, on the spans that they are in the trace."""

    def __init__(self, session: Session, tree: SpanTree) -> None:
        """Begin to tell a session.

        Args:
            session: The session.
            tree: Its spans.
        """
        self._session = session
        self._tree = tree
        self._trace_id: int = tree.trace_id
        self._root_parent: int | str = _llmobs.NO_PARENT
        decided: dict[str, str] = {}
        remote = _llmobs.remote(tree.parent)
        if remote is not None:
            self._trace_id, self._root_parent, decided = remote
        facts = _llmobs.trace_facts(session.id, self._trace_id, session.tags) | decided
        self._facts = facts
        self._of_root = _llmobs.in_trace(facts, self._trace_id)
        self._of_agent = _llmobs.by_agent(self._of_root, session.root.handle.span_id, session.name)
        # Where the trace is shared with another session, ddtrace would take its session for this.
        _llmobs.stamp(tree.root_context, self.beneath(session.root))
        self._told_by_others: set[Stage] = set()
        self._heard: dict[Stage, list[str]] = {}
        self._replied: dict[Stage, list[str]] = {}
        self._turns: dict[int, dict[str, str]] = {}
        session.exporter = self.export

    # Where things belong

    def nearest(self, stage: Stage) -> Stage:
        """Return the stage that what nests in a stage nests in here.

        Args:
            stage: The stage.
        """
        while self._kind_of(stage) is None:
            stage = stage.parent or self._session.root
        return stage

    def beneath(self, stage: Stage) -> Above:
        """Return what a span beneath a stage that is told begins beneath.

        Args:
            stage: The stage.
        """
        span_id: int = stage.handle.span_id
        if not self._tree.has_traces_per_turn:
            return Above(self._trace_id, span_id, self._of_agent)
        trace_id = self._tree.trace_id_of(stage)
        facts = self._of_agent if trace_id == self._trace_id else self._facts
        return Above(trace_id, span_id, _llmobs.in_trace(facts, trace_id))

    def is_told_by_another(self, stage: Stage) -> None:
        """An integration tells of the model's call in a stage, with its tokens.

        Args:
            stage: The stage.
        """
        self._told_by_others.add(stage)

    def export(self, number: int | None) -> dict[str, str] | None:
        """Return the ids of a turn's span.

        Args:
            number: The turn's number; None for the latest.
        """
        with _guard.llmobs.guarded():
            turn = self._session.turn
            if turn is not None and number in (None, turn.attributes.get(tags.TURN_NUMBER)):
                return self._ids(turn)
            if number is None:
                number = max(self._turns, default=0)
            return self._turns.get(number)
        return None

    # Told by the tree

    def start(self, stage: Stage, name: str, parent: Active) -> Span | None:
        """Start a stage's span as one of LLM Observability's.

        Args:
            stage: The stage.
            name: The span's name in the trace.
            parent: Its parent in the trace.

        Returns:
            The span; None for a stage that is a span of the trace alone.
        """
        if _guard.llmobs.off:
            return None
        with _guard.llmobs.guarded():
            self._overhear(stage)
            kind = self._kind_of(stage)
            if kind is None:
                return None
            facts: dict[str, str | None] = {"session_id": self._session.id}
            if kind == "llm":
                facts["model_name"] = _word(stage, tags.GEN_AI_REQUEST_MODEL)
                facts["model_provider"] = _word(stage, tags.GEN_AI_PROVIDER_NAME)
            span = _llmobs.start(kind, self._name_of(stage), self._above(stage), parent, facts)
            if span is not None:
                span.name = name
                span.resource = _ddtrace.writable(stage.resource)
            return span
        return None

    def write(self, span: Span, stage: Stage) -> None:
        """Describe a stage's span.

        Args:
            span: The span.
            stage: The stage.
        """
        if span.span_type is None:
            return  # ddtrace failed to make it one of its spans
        with _guard.llmobs.guarded():
            _llmobs.settle(span)
            asked, replied = self._content_of(stage)
            _llmobs.annotate(
                span,
                input_data=asked or None,
                output_data=replied or None,
                metadata=metadata_of(stage),
                metrics=metrics_of(stage, with_tokens=stage not in self._told_by_others),
                tags={**self._session.tags, **tags_of(stage)},
            )
        self._told_by_others.discard(stage)
        number = stage.attributes.get(tags.TURN_NUMBER)
        if stage.kind is Kind.TURN and isinstance(number, int):
            self._turns[number] = self._ids(stage)
            if len(self._turns) > KEPT_TURNS:
                del self._turns[next(iter(self._turns))]

    def stamp(self, context: Context) -> None:
        """Have what continues the session's trace elsewhere continue it here, too.

        Args:
            context: The context of the session's span.
        """
        with _guard.llmobs.guarded():
            _llmobs.stamp(context, self.beneath(self._session.root))

    # Details

    def _kind_of(self, stage: Stage) -> str | None:
        if stage in self._told_by_others:
            return "workflow"
        processor = stage.processor
        if stage.kind is Kind.FRAME and processor is not None and tags.FRAME_ID in stage.attributes:
            return processor.kinds.get(str(stage.attributes.get(tags.FRAME_CLASS)))
        return KINDS.get(stage.kind)

    def _above(self, stage: Stage) -> Above:
        if stage.kind is Kind.SESSION:
            return Above(self._trace_id, self._root_parent, self._of_root)
        if stage.kind is Kind.TURN and self._tree.has_traces_per_turn:
            trace_id = self._tree.trace_id_of(stage)
            return Above(trace_id, _llmobs.NO_PARENT, _llmobs.in_trace(self._facts, trace_id))
        return self.beneath(self.nearest(stage.parent or self._session.root))

    def _name_of(self, stage: Stage) -> str:
        if stage.kind is Kind.TURN:
            return "turn"
        if stage.kind is Kind.TOOL:
            return _word(stage, tags.TOOL_NAME) or stage.resource
        processor = stage.processor
        return stage.resource if processor is None else processor.class_name

    def _ids(self, turn: Stage) -> dict[str, str]:
        trace_id = self._trace_id
        if self._tree.has_traces_per_turn:
            trace_id = self._tree.trace_id_of(turn)
        return {"span_id": str(turn.handle.span_id), "trace_id": _llmobs.written(trace_id)}

    def _overhear(self, stage: Stage) -> None:
        """Keep what was said in a turn, which is known by stages within it."""
        turn = stage.parent
        if not stage.content or turn is None or turn.kind is not Kind.TURN or not turn.is_open:
            return
        if stage.kind is Kind.STT and tags.STT_TRANSCRIPT in stage.content:
            self._heard.setdefault(turn, []).append(stage.content[tags.STT_TRANSCRIPT])
        is_reply = (
            tags.LLM_PURPOSE not in stage.attributes
            and stage.attributes.get(tags.LLM_OUTCOME) != "discarded"
        )
        if stage.kind is Kind.LLM and is_reply and tags.GEN_AI_OUTPUT_MESSAGES in stage.content:
            self._replied.setdefault(turn, []).append(stage.content[tags.GEN_AI_OUTPUT_MESSAGES])

    def _content_of(self, stage: Stage) -> tuple[object, object]:
        content = stage.content
        if stage.kind is Kind.TURN:
            heard, replied = self._heard.pop(stage, []), self._replied.pop(stage, [])
            return self._redacted(" ".join(heard)), self._redacted(" ".join(replied))
        if stage.kind is Kind.TOOL:
            return (
                self._redacted(content.get(tags.GEN_AI_TOOL_CALL_ARGUMENTS, "")),
                self._redacted(content.get(tags.GEN_AI_TOOL_CALL_RESULT, "")),
            )
        if stage.kind is Kind.LLM and stage not in self._told_by_others:
            asked = content.get(tags.GEN_AI_INPUT_MESSAGES, "")
            reply = self._redacted(content.get(tags.GEN_AI_OUTPUT_MESSAGES, ""))
            return (
                messages_of(asked, self._redacted) if asked else None,
                [{"role": "assistant", "content": reply}] if reply else None,
            )
        return None, None

    def _redacted(self, text: str) -> str:
        return self._tree.redactor.text(text.strip())[:MAX_CONTENT_CHARS]


def _word(stage: Stage, name: str) -> str | None:
    found = stage.attributes.get(name)
    return None if found is None else str(found)
