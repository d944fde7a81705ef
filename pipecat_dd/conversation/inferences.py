"""What a model is asked beside the conversation: summaries, classifications.

It is work of a model like any other, with its tokens and its errors. But it answers nobody: it
opens no turn and keeps none open, and no wait is put down to it.
"""

from collections.abc import Mapping

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Kind, Processor, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.names import tags

INFERENCE = "inference"


class Inferences:
    """Follows what one session asks models beside the conversation."""

    def __init__(self, stages: Stages) -> None:
        """Follow it.

        Args:
            stages: Opens and closes stages.
        """
        self._stages = stages
        self._open: set[Stage] = set()

    def begin(self, processor: Processor, at_ns: int, within: Stage | None = None) -> Stage:
        """A model is asked.

        Args:
            processor: The service, which need not be in a pipeline.
            at_ns: When.
            within: The stage that the asking task exists for, if it exists for one. A tool's
                question is the tool's; any other is the turn's, else the session's.
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
        """It is known what an inference used.

        Args:
            stage: Its stage.
            tokens: Tokens, by their names on spans.
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
        """The model answered, or did not.

        Args:
            stage: The inference's stage.
            at_ns: When.
            failure: What went wrong, if anything.
            interrupted: Whether it was cancelled, as what took too long is.
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
        """The session ends.

        Args:
            at_ns: When.
        """
        for stage in list(self._open):
            self.end(stage, at_ns, interrupted=True)
