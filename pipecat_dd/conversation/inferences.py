"""Calls to models that are not part of the conversation: summaries, classifications.

They are a model's work like any other, with tokens and errors. But they answer no user: they open
no turn, keep none open, and do not count towards what the user waited for.
"""

from collections.abc import Mapping

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Kind, Processor, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.names import tags

INFERENCE = "inference"


class Inferences:
    """Follows one session's calls to models that are not part of the conversation."""

    def __init__(self, stages: Stages) -> None:
        """Follow the calls, with the stages of the session."""
        self._stages = stages
        self._open: set[Stage] = set()

    def begin(self, processor: Processor, at_ns: int, within: Stage | None = None) -> Stage:
        """Begin a call to a model.

        Args:
            processor: The service, which need not be in a pipeline.
            at_ns: When the call began.
            within: The stage that the calling task exists for, if any. A tool's call is part of the
                tool; any other is part of the turn, else of the session.
        """
        session = self._stages.session
        parent = session.turn or session.root
        if within is not None and within.is_open and within.kind in (Kind.TOOL, Kind.LLM):
            parent = within
        stage = self._stages.open_service(Kind.LLM, processor, at_ns, parent, aside=True)
        stage.attributes[tags.LLM_PURPOSE] = INFERENCE
        stage.attributes[tags.GEN_AI_OPERATION_NAME] = "chat"
        self._open.add(stage)
        return stage

    def use(self, stage: Stage, tokens: Mapping[str, AttributeValue]) -> None:
        """Record the tokens that a call used.

        Args:
            stage: The call's stage.
            tokens: Counts of tokens, by the names of their attributes.
        """
        for name, count in tokens.items():
            if isinstance(count, (int, float)):
                stage.add(name, count)

    def end(
        self,
        stage: Stage,
        at_ns: int,
        *,
        failure: Failure | None = None,
        interrupted: bool = False,
    ) -> None:
        """End a call, with or without an answer.

        Args:
            stage: The call's stage.
            at_ns: When it ended.
            failure: What went wrong, if anything.
            interrupted: Whether it was cancelled, as after a timeout.
        """
        if stage not in self._open:
            return
        self._open.discard(stage)
        if failure is not None:
            stage.fail(failure)
        if interrupted:
            stage.attributes[tags.INTERRUPTED] = True
        outcome = "failed" if failure is not None else "interrupted" if interrupted else "completed"
        stage.attributes[tags.LLM_OUTCOME] = outcome
        self._stages.close(stage, at_ns)

    def end_all(self, at_ns: int) -> None:
        """End all calls as interrupted: the session ends."""
        for stage in list(self._open):
            self.end(stage, at_ns, interrupted=True)
