"""Tool calls: requested by the model, run, and settled."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd.conversation.answers import Answers
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

MAX_ASKED = 256
"""How many requested calls are remembered until they run. Some never run: the function was not
registered, or the response was cut off."""


class Output(Protocol):
    """Records output of a model."""

    def __call__(self, processor: Processor, at_ns: int, *, spoken: bool) -> None:
        """Record output of a model."""


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
            answers: The answers that request them.
            output: Records a request for tools as output of the model.
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
        self._elsewhere: dict[str, Stage] = {}
        # The calls whose own pipeline has shown them, in the order in which they began.
        self._shown: dict[str, None] = {}

    def ask(self, processor: Processor, at_ns: int, call_ids: list[str]) -> None:
        """Record that the model requested tool calls.

        Args:
            processor: The service whose response requested them.
            at_ns: When they were requested.
            call_ids: The ids of the calls.
        """
        self._output(processor, at_ns, spoken=False)
        if processor.stage is not None:
            self._answers.mark_used(processor.stage)
        turn = self._turns.current
        if turn is not None and processor.stage is not None:
            turn.set_tools(processor.stage.start_ns)
        for call_id in call_ids:
            self._asked[call_id] = (at_ns, processor.stage)
            self._shown[call_id] = None
        self._forget_oldest()

    def ask_elsewhere(self, at_ns: int, call_ids: list[str]) -> None:
        """Record that the model of a pipeline that may not be observed requested tool calls.

        Args:
            at_ns: When that was reported.
            call_ids: The ids of the calls.
        """
        for call_id in call_ids:
            if call_id not in self._shown:
                self._asked.setdefault(call_id, (at_ns, None))
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        while len(self._shown) > MAX_ASKED:
            del self._shown[next(iter(self._shown))]

    def begin(
        self, processor: Processor, at_ns: int, name: str, call_id: str, handler: object = None
    ) -> Stage:
        """Begin a tool call.

        Args:
            processor: The service that runs it.
            at_ns: When it began to run.
            name: The function's name.
            call_id: The call's id.
            handler: An object that identifies the handler, which may go on after the call has
                settled; None if not known.
        """
        if handler is not None:
            self._handlers[call_id] = handler
        self._shown[call_id] = None
        return self._begin(processor, at_ns, name, call_id)

    def begin_elsewhere(self, at_ns: int, name: str, call_id: str) -> Stage | None:
        """Begin a tool call that another pipeline runs, unless that has shown it already.

        Args:
            at_ns: When it was reported.
            name: The function's name.
            call_id: The call's id.
        """
        if call_id in self._shown or call_id in self._calls:
            return None
        stage = self._elsewhere[call_id] = self._begin(None, at_ns, name, call_id)
        return stage

    def call_elsewhere(self, call_id: str) -> Stage | None:
        """Return the call in progress that only another pipeline's reports show, if any."""
        return self._elsewhere.get(call_id)

    def _begin(self, processor: Processor | None, at_ns: int, name: str, call_id: str) -> Stage:
        turn = self._turns.begin_bot_work(at_ns)
        own_response = processor.stage if processor is not None else None
        asked_ns, response = self._asked.pop(call_id, (at_ns, own_response))
        parent = response or turn.stage
        stage = self._stages.open(Kind.TOOL, name, at_ns, parent=parent, processor=processor)
        stage.attributes[tags.TOOL_NAME] = name
        stage.attributes[tags.TOOL_CALL_ID] = call_id
        stage.attributes[tags.TOOL_WAIT_SECONDS] = max(0, at_ns - asked_ns) / 1e9
        self._calls[call_id] = stage
        self._turns.begin_work(turn, stage)
        return stage

    def call(self, call_id: str) -> Stage | None:
        """Return the tool call in progress with that id, if any."""
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
        """End a tool call: it has settled.

        Args:
            call_id: The call's id.
            at_ns: When it settled.
            outcome: ``completed``, ``failed``, ``timed_out`` or ``cancelled``.
            failure: What went wrong, if anything.
            asks: Whether the model is asked to respond to the result. If not, the call's handler
                may go on and ask for an answer later. None if not known.
        """
        self._asked.pop(call_id, None)
        self._elsewhere.pop(call_id, None)
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
        """End all tool calls as cancelled: the session ends."""
        for call_id in list(self._calls):
            self.end(call_id, at_ns, "cancelled")
