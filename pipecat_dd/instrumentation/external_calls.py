"""Tool calls that ran in another pipeline, as a backend worker announces them to this one.

Where that pipeline is observed its own frames have shown the call already, and these say nothing
new; where it is not, or runs in another process, they are all that is known.
"""

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.instrumentation.failures import REPORTED, reported_failure
from pipecat_dd.instrumentation.frame_event import FrameEvent
from pipecat_dd.instrumentation.texts import as_text
from pipecat_dd.names import tags


def external_asked(event: FrameEvent) -> None:
    """Record that another pipeline's model asked for tools."""
    calls = [str(call.tool_call_id) for call in event.frame.function_calls]
    event.conversation.bot.tools.ask_elsewhere(event.at_ns, calls)


def external_began(event: FrameEvent) -> None:
    """Record that another pipeline runs a tool."""
    frame = event.frame
    stage = event.conversation.bot.tools.begin_elsewhere(
        event.at_ns, str(frame.function_name), str(frame.tool_call_id)
    )
    if stage is not None and stage.session.capture_content:
        stage.add_content(tags.GEN_AI_TOOL_CALL_ARGUMENTS, as_text(frame.arguments))


def external_result(event: FrameEvent) -> None:
    """Record the result of a tool that another pipeline ran."""
    frame = event.frame
    call_id = str(frame.tool_call_id)
    call = event.conversation.bot.tools.call_elsewhere(call_id)
    if call is None or frame.is_final is False:
        return
    text = reported_failure(frame.result, str(frame.function_name))
    failure = None
    if call.session.capture_content:
        call.add_content(tags.GEN_AI_TOOL_CALL_RESULT, as_text(frame.result))
    if text is not None:
        # The text is part of the result, which is content and may have to be withheld.
        failure = Failure("ToolError", text if call.session.capture_content else REPORTED)
        event.conversation.fail_tool(call, failure)
    outcome = "completed" if failure is None else "failed"
    event.conversation.bot.tool_ends(call_id, event.at_ns, outcome, failure)


def external_cancelled(event: FrameEvent) -> None:
    """Record that a tool that another pipeline ran was cancelled."""
    call_id = str(event.frame.tool_call_id)
    if event.conversation.bot.tools.call_elsewhere(call_id) is not None:
        event.conversation.bot.tool_ends(call_id, event.at_ns, "cancelled")
