"""Exports a session's stages as spans of LLM Observability."""

from pipecat_dd import _ddtrace, _guard, _llmobs
from pipecat_dd._ddtrace import Active, Context, Span
from pipecat_dd._llmobs import Above
from pipecat_dd.conversation.model import Kind, Session, Stage
from pipecat_dd.export.llmobs.facts import messages_of, metadata_of, metrics_of, tags_of, text_of
from pipecat_dd.export.spans.tree import MAX_CONTENT_CHARS, SpanTree
from pipecat_dd.names import tags

KINDS = {Kind.SESSION: "agent", Kind.TURN: "workflow", Kind.LLM: "llm", Kind.TOOL: "tool"}
"""The kind of each stage in LLM Observability. That of a frame is what its processor declares."""

KEPT_TURNS = 1_000
"""How many ended turns are remembered, so that their ids can be looked up."""


class LLMObsSpans:
    """Exports a session's stages to LLM Observability, on the same spans as in the trace."""

    def __init__(self, session: Session, tree: SpanTree) -> None:
        """Begin to export a session.

        Args:
            session: The session.
            tree: The session's spans.
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
        # Otherwise ddtrace would take another session's id for this one's in a shared trace.
        _llmobs.stamp(tree.root_context, self.beneath(session.root))
        self._exported_elsewhere: set[Stage] = set()
        self._heard: dict[Stage, list[str]] = {}
        self._replied: dict[Stage, list[str]] = {}
        self._turns: dict[int, dict[str, str]] = {}
        session.exporter = self.export

    # Parents and ids

    def nearest(self, stage: Stage) -> Stage:
        """Return the stage itself or, if it has no kind here, the nearest above that has one."""
        while self._kind_of(stage) is None:
            stage = stage.parent or self._session.root
        return stage

    def beneath(self, stage: Stage) -> Above:
        """Return the parent, in LLM Observability, of a span beneath a stage.

        Args:
            stage: A stage that has a kind here.
        """
        span_id: int = stage.handle.span_id
        if not self._tree.has_traces_per_turn:
            return Above(self._trace_id, span_id, self._of_agent)
        trace_id = self._tree.trace_id_of(stage)
        facts = self._of_agent if trace_id == self._trace_id else self._facts
        return Above(trace_id, span_id, _llmobs.in_trace(facts, trace_id))

    def mark_exported_elsewhere(self, stage: Stage) -> None:
        """Record that an integration's span reports the model call of a stage, with its tokens."""
        self._exported_elsewhere.add(stage)

    def export(self, number: int | None) -> dict[str, str] | None:
        """Return the ids of a turn's span; None if the turn is unknown.

        Args:
            number: The turn's number; None means the latest.
        """
        with _guard.llmobs.guarded():
            turn = self._session.turn
            if turn is not None and number in (None, turn.attributes.get(tags.TURN_NUMBER)):
                return self._ids(turn)
            if number is None:
                number = max(self._turns, default=0)
            return self._turns.get(number)
        return None

    # Called by the span tree

    def start(self, stage: Stage, name: str, parent: Active) -> Span | None:
        """Start a stage's span as a span of LLM Observability.

        Args:
            stage: The stage.
            name: The span's name in the trace.
            parent: The span's parent in the trace.

        Returns:
            The span; None for a stage that is a span of the trace only.
        """
        if _guard.llmobs.off:
            return None
        with _guard.llmobs.guarded():
            self._collect_content(stage)
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
        """Describe a span that :meth:`start` has started, before it finishes."""
        if span.span_type is None:
            return  # ddtrace failed to make it a span of LLM Observability
        with _guard.llmobs.guarded():
            _llmobs.settle(span)
            asked, replied = self._content_of(stage)
            _llmobs.annotate(
                span,
                input_data=asked or None,
                output_data=replied or None,
                metadata=metadata_of(stage),
                metrics=metrics_of(stage, with_tokens=stage not in self._exported_elsewhere),
                tags={**self._session.tags, **self._own_tags(stage), **tags_of(stage)},
            )
        self._exported_elsewhere.discard(stage)
        number = stage.attributes.get(tags.TURN_NUMBER)
        if stage.kind is Kind.TURN and isinstance(number, int):
            self._turns[number] = self._ids(stage)
            if len(self._turns) > KEPT_TURNS:
                del self._turns[next(iter(self._turns))]

    def stamp(self, context: Context) -> None:
        """Add the ids of LLM Observability to a context, so that they cross processes with it.

        Args:
            context: The context of the session's span.
        """
        with _guard.llmobs.guarded():
            _llmobs.stamp(context, self.beneath(self._session.root))

    # Details

    def _kind_of(self, stage: Stage) -> str | None:
        if stage in self._exported_elsewhere:
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

    def _own_tags(self, stage: Stage) -> dict[str, str]:
        return {name: text_of(value) for name, value in self._tree.own_tags(stage).items()}

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

    def _collect_content(self, stage: Stage) -> None:
        """Collect, from the stages within a turn, the content for the turn's own span."""
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
        if stage.kind is Kind.LLM and stage not in self._exported_elsewhere:
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
