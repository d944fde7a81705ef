"""Tool calls: asked for by the model, run, and settled."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd.conversation.answers import Answers
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

MAX_ASKED = 256
"""How many calls that were asked for are remembered until they run. Some never do: of a function
that nobody registered, or in a response that was cut off."""


class Output(Protocol):
    """Notes output of a model."""

    def __call__(self, processor: Processor, at_ns: int, *, spoken: bool) -> None:
        """Output of the model came."""


class Tools:
    """Follows the tool calls of one session."""

    def __init__(
        self,
        stages: Stages,
        turns: Turns,
        answers: Answers,
        output: Output,
        close: Callable[[Stage, int], None],
    ) -> None:
        """Follow tool calls.

        Args:
            stages: Opens stages.
            turns: The turns they are part of.
            answers: The answers that ask for them.
            output: Notes that asking for them is output of the model's.
            close: Closes a stage of the bot's.
        """
        self._stages = stages
        self._turns = turns
        self._answers = answers
        self._output = output
        self._close = close
        self._calls: dict[str, Stage] = {}
        self._handlers: dict[str, object] = {}
        self._asked: dict[str, tuple[int, Stage | None]] = {}

    def ask(self, processor: Processor, at_ns: int, call_ids: list[str]) -> None:
        """The model asked for tools to be called.

        Args:
            processor: The service whose response asks.
            at_ns: When.
            call_ids: The ids of the calls.
        """
        self._output(processor, at_ns, spoken=False)
        if processor.stage is not None:
            self._answers.use(processor.stage)
        turn = self._turns.current
        if turn is not None and processor.stage is not None:
            turn.set_tools(processor.stage.start_ns)
        for call_id in call_ids:
            self._asked[call_id] = (at_ns, processor.stage)
        while len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def begin(
        self, processor: Processor, at_ns: int, name: str, call_id: str, handler: object = None
    ) -> Stage:
        """A tool call is in progress.

        Args:
            processor: The service that runs it.
            at_ns: When it began to run.
            name: The function's name.
            call_id: The call's id.
            handler: Stands for what runs it, which may go on after the call has settled.
        """
        turn = self._turns.begin_bot_work(at_ns)
        if handler is not None:
            self._handlers[call_id] = handler
        asked_ns, response = self._asked.pop(call_id, (at_ns, processor.stage))
        parent = response or turn.stage
        stage = self._stages.open(Kind.TOOL, name, at_ns, parent=parent, processor=processor)
        stage.attributes[tags.TOOL_NAME] = name
        stage.attributes[tags.TOOL_CALL_ID] = call_id
        stage.attributes[tags.TOOL_WAIT_SECONDS] = max(0, at_ns - asked_ns) / 1e9
        self._calls[call_id] = stage
        self._turns.begin_work(turn, stage)
        return stage

    def call(self, call_id: str) -> Stage | None:
        """Return the tool call of that id that is in progress.

        Args:
            call_id: The call's id.
        """
        return self._calls.get(call_id)

    def end(
        self,
        call_id: str,
        at_ns: int,
        outcome: str,
        failure: Failure | None = None,
        *,
        asks: bool | None = None,
    ) -> None:
        """A tool call settled.

        Args:
            call_id: The call's id.
            at_ns: When it settled.
            outcome: ``completed``, ``failed``, ``timed_out`` or ``cancelled``.
            failure: What went wrong, if anything.
            asks: Whether the model is asked to respond to it. Where it is not, what runs the
                call may go on, and ask for an answer later. None where that is not known.
        """
        self._asked.pop(call_id, None)
        stage = self._calls.pop(call_id, None)
        if stage is None:
            return
        handler = self._handlers.pop(call_id, None)
        if asks:
            self._turns.ask()
        elif asks is False and handler is not None:
            self._turns.expect(handler)
        stage.attributes[tags.TOOL_OUTCOME] = outcome
        if failure is not None:
            stage.fail(failure)
        self._close(stage, at_ns)

    def end_all(self, at_ns: int) -> None:
        """The session ends.

        Args:
            at_ns: When.
        """
        for call_id in list(self._calls):
            self.end(call_id, at_ns, "cancelled")
