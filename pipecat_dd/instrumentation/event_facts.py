"""Which events of services, strategies and workers are recorded, and with which attributes.

All whose handlers run in tasks of their own are, without an entry here, except those that other
stages show already and those that come many times a second. What an event says is recorded only
where it is listed, and only if it is an identifier: never text that was spoken or written.
"""

from collections.abc import Callable
from typing import Any

from pipecat_dd import _pipecat
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue
from pipecat_dd.instrumentation.events import KIND
from pipecat_dd.names import tags

CONNECTED = "on_connected"
DISCONNECTED = "on_disconnected"
USER_IDLE = "on_user_turn_idle"
STOP_TIMEOUT = "on_user_turn_stop_timeout"
USABLE_CHANGED = "on_usable_changed"
TIMEOUT_CATEGORY = "connectivity"
"""Pipecat's category of exceptions that are timeouts."""

TIMEOUT_MESSAGE = "the model did not complete its response in time"

BETWEEN_WORKERS = frozenset({"on_activated", "on_deactivated", "on_worker_ready"})
"""Events that say nothing where the conversation has one worker, unless a handler takes them."""

SHOWN_ELSEWHERE = frozenset(
    {
        # By the turn, the user's speech and the ruling that it has ended.
        "on_user_turn_started",
        "on_user_turn_stopped",
        "on_user_turn_inference_triggered",
        "on_user_turn_message_added",
        "on_start_of_turn",
        "on_end_of_turn",
        "on_eager_end_of_turn",
        "on_turn_resumed",
        "on_turn_start",
        "on_turn_end",
        "on_turn_eager_end",
        "on_turn_resume",
        "on_speech_started",
        "on_speech_stopped",
        "on_utterance_end",
        # By the response, the tool call, the synthesis and the bot's speech.
        "on_assistant_turn_started",
        "on_assistant_turn_stopped",
        "on_assistant_thought",
        "on_completion",
        "on_function_calls_started",
        "on_function_calls_cancelled",
        "on_tts_request",
        # By the session, its start and its errors.
        "on_error",
        "on_pipeline_error",
        "on_pipeline_started",
        "on_pipeline_finished",
        "on_pipeline_timeout",
        "on_bot_started",
    }
)
"""Events that other stages show already."""

FREQUENT = frozenset(
    {
        "on_frame_reached_upstream",
        "on_frame_reached_downstream",
        "on_bus_message",
        "on_job_update",
        "on_job_stream_start",
        "on_job_stream_data",
        "on_job_stream_end",
        "on_update",
        "on_turn_update",
        "on_metrics",
        "on_conversation_item_created",
        "on_conversation_item_updated",
        "on_conversation_item_deleted",
        "on_conversation_item_truncated",
        "on_mcp_event",
        "on_speakers_result",
        "on_audio_data",
        "on_track_audio_data",
        "on_user_turn_audio",
        "on_user_turn_audio_data",
        "on_bot_turn_audio",
        "on_bot_turn_audio_data",
    }
)
"""Events that may come many times a second, or say nothing of a conversation."""

NOT_RECORDED = SHOWN_ELSEWHERE | FREQUENT

Facts = dict[str, AttributeValue]


def facts_of(name: str, args: tuple[Any, ...]) -> tuple[Facts, Failure | None]:
    """Return the attributes of an event, and the failure if it reports one.

    Args:
        name: The event's name.
        args: What its handlers are given, besides what dispatches it.
    """
    read = _READ.get(name)
    if read is None:
        read = _job if name.startswith("on_job_") else _nothing
    return read(args[0] if args else None)


def _nothing(_: Any) -> tuple[Facts, Failure | None]:
    return {}, None


def _job(message: Any) -> tuple[Facts, Failure | None]:
    name, job_id, status = _pipecat.job_of(message)
    facts = _identifiers((tags.JOB_NAME, name), (tags.JOB_ID, job_id), (tags.JOB_STATUS, status))
    return facts, None


def _job_response(message: Any) -> tuple[Facts, Failure | None]:
    facts, _ = _job(message)
    status = facts.get(tags.JOB_STATUS)
    failed = status in ("error", "failed")
    return facts, Failure("JobError", f"the job ended as {status}") if failed else None


def _word(value: Any) -> tuple[Facts, Failure | None]:
    return _identifiers((tags.EVENT_DETAIL, getattr(value, "value", value))), None


def _class(value: Any) -> tuple[Facts, Failure | None]:
    return _identifiers((tags.EVENT_DETAIL, type(value).__name__)), None


def _worker(data: Any) -> tuple[Facts, Failure | None]:
    return _identifiers((tags.EVENT_DETAIL, getattr(data, "worker_name", None))), None


def _worker_failed(data: Any) -> tuple[Facts, Failure | None]:
    return _worker(data)[0], Failure("WorkerError", str(getattr(data, "error", "")))


def _usable(value: Any) -> tuple[Facts, Failure | None]:
    return {tags.PROCESSOR_USABLE: bool(value)}, None


def _setup_timeout(_: Any) -> tuple[Facts, Failure | None]:
    return {}, Failure("SetupTimeout", "the pipeline was not set up in time")


def timed_out(error: BaseException | None) -> Failure:
    """Describe a response that a model did not complete in time.

    Args:
        error: The exception that the service handles as it reports this; None if unknown.
    """
    if error is None:
        return Failure("TimeoutError", TIMEOUT_MESSAGE, category=TIMEOUT_CATEGORY)
    return Failure.of(error, message=TIMEOUT_MESSAGE, category=TIMEOUT_CATEGORY)


def _identifiers(*values: tuple[str, Any]) -> Facts:
    return {name: v for name, v in values if isinstance(v, str) and KIND.fullmatch(v)}


_READ: dict[str, Callable[[Any], tuple[Facts, Failure | None]]] = {
    "on_ivr_status_changed": _word,
    "on_job_response": _job_response,
    "on_service_switched": _class,
    "on_setup_timeout": _setup_timeout,
    "on_worker_failed": _worker_failed,
    "on_worker_ready": _worker,
    USABLE_CHANGED: _usable,
}
