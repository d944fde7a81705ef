"""What becomes of each frame, metric and event of Pipecat, and why.

``test_coverage.py`` compares this with the installed Pipecat and with the code.
``docs/pipecat-coverage.md`` is written from it: ``python -m tests.write_docs``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind, span_name


class How(Enum):
    """What becomes of a frame, a metric or an event."""

    SHOWN = "shown"
    COUNTED = "counted"
    """Only counted, with all other frames: by processor and turn."""
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Fate:
    """What becomes of something, and where it is shown or why it is not.

    Attributes:
        how: What becomes of it.
        words: Where it is shown, or why it is not.
    """

    how: How
    words: str


Group = tuple[Fate, str]
"""A fate, and the names that have it, separated by spaces."""


def shown(*kinds: Kind, words: str = "") -> Fate:
    """Return the fate of what is shown by spans.

    Args:
        *kinds: The kinds of the spans.
        words: What it means there, unless that is obvious.
    """
    spans = ", ".join(f"`{span_name(kind)}`" for kind in kinds)
    return Fate(How.SHOWN, f"{spans}: {words}" if words else spans)


def counted(why: str) -> Fate:
    """Return the fate of what is only counted."""
    return Fate(How.COUNTED, why)


def left_out(why: str) -> Fate:
    """Return the fate of what is left out."""
    return Fate(How.LEFT_OUT, why)


SERVICE_EVENT: Final = shown(Kind.SERVICE_EVENT)
PARTICIPANT_EVENT: Final = shown(Kind.PARTICIPANT_EVENT)
BENEATH: Final = shown(Kind.PARTICIPANT_EVENT, words="of the connection beneath a transport")

SETTINGS: Final = counted("change a setting; the next request shows the model and its settings")
MEDIA: Final = counted("media, which comes many times a second")
WITHIN: Final = counted("keep the pipeline itself going")
ASKED: Final = counted("request an action; if the action has an event, that is shown")
APPLICATION: Final = counted(
    "messages between the bot and its client; those that have an event are shown"
)
BASE: Final = left_out("base classes; the classes that derive from them have entries")

FRAMES: Final[tuple[Group, ...]] = (
    (
        shown(Kind.USER_SPEECH, Kind.STT),
        "VADUserStartedSpeakingFrame VADUserStoppedSpeakingFrame ProposedUserStartedSpeakingFrame "
        "ProposedUserStoppedSpeakingFrame",
    ),
    (
        shown(Kind.STT),
        "TranscriptionFrame InterimTranscriptionFrame _BotSegmentTranscriptionFrame",
    ),
    (
        shown(Kind.TURN, Kind.END_OF_TURN),
        "UserStartedSpeakingFrame UserStoppedSpeakingFrame InterruptionFrame",
    ),
    (
        shown(Kind.END_OF_TURN, words="a prediction that the user has finished, or its withdrawal"),
        "EagerTranscriptionFrame EagerEndOfTurnCancelFrame",
    ),
    (
        shown(Kind.END_OF_TURN, words="a ruling on whether the user has finished"),
        "UserTurnInferenceCompletedFrame LLMMarkerFrame",
    ),
    (
        shown(Kind.TURN, words="speech that opens no turn"),
        "UserMuteStartedFrame UserMuteStoppedFrame UserBackchannelFrame",
    ),
    (shown(Kind.TURN, words="text that the user wrote"), "InputTextRawFrame"),
    (
        shown(Kind.LLM),
        "LLMContextFrame LLMFullResponseStartFrame LLMFullResponseEndFrame LLMTextFrame "
        "LLMThoughtTextFrame VisionFullResponseStartFrame VisionFullResponseEndFrame "
        "VisionTextFrame",
    ),
    (
        shown(Kind.LLM, Kind.TURN, words="a request for an answer, which a turn waits for"),
        "LLMRunFrame LLMMessagesAppendFrame LLMMessagesUpdateFrame LLMMessagesTransformFrame",
    ),
    (
        shown(Kind.TOOL),
        "FunctionCallsStartedFrame FunctionCallInProgressFrame FunctionCallResultFrame "
        "FunctionCallCancelFrame",
    ),
    (
        shown(Kind.LLM, Kind.TTS, words="which answer the text that is spoken comes from"),
        "TextFrame AggregatedTextFrame TTSTextFrame TranslationFrame",
    ),
    (
        shown(Kind.TTS),
        "TTSSpeakFrame TTSStartedFrame TTSStoppedFrame TTSAudioRawFrame SpeechOutputAudioRawFrame "
        "BotBackchannelFrame",
    ),
    (shown(Kind.BOT_SPEECH), "BotStartedSpeakingFrame BotStoppedSpeakingFrame"),
    (
        shown(Kind.PARTICIPANT_EVENT, words="a key that was pressed"),
        "InputDTMFFrame OutputDTMFFrame OutputDTMFUrgentFrame DailyOutputDTMFFrame "
        "DailyOutputDTMFUrgentFrame",
    ),
    (
        shown(Kind.PARTICIPANT_EVENT, words="a transfer that the bot requested"),
        "DailySIPReferFrame DailySIPTransferFrame",
    ),
    (shown(Kind.SERVICE_EVENT, words="`stt_muted`, `stt_unmuted`"), "STTMuteFrame"),
    (
        shown(Kind.SESSION, words=f"`{tags.SESSION_END_REASON}`, or a start that failed"),
        "StartFrame EndFrame StopFrame CancelFrame",
    ),
    (
        Fate(How.SHOWN, "the error, on the span of the processor that failed"),
        "ErrorFrame FatalErrorFrame",
    ),
    (
        shown(Kind.TURN, words="a switch to another service after an error"),
        "ServiceSwitcherRequestMetadataFrame",
    ),
    (Fate(How.SHOWN, "its metrics, in the next table"), "MetricsFrame"),
    # Only counted
    (
        MEDIA,
        "InputAudioRawFrame UserAudioRawFrame OutputAudioRawFrame InputImageRawFrame "
        "UserImageRawFrame OutputImageRawFrame URLImageRawFrame AssistantImageRawFrame SpriteFrame "
        "UserSpeakingFrame BotSpeakingFrame",
    ),
    (
        counted("files for the context; their content may be private"),
        "InputFileRawFrame UserFileRawFrame",
    ),
    (
        SETTINGS,
        "LLMUpdateSettingsFrame STTUpdateSettingsFrame TTSUpdateSettingsFrame "
        "ServiceUpdateSettingsFrame LLMConfigureOutputFrame LLMEnablePromptCachingFrame "
        "LLMSetToolChoiceFrame LLMSetToolsFrame VADParamsUpdateFrame UserIdleTimeoutUpdateFrame "
        "FilterEnableFrame FilterUpdateSettingsFrame MixerEnableFrame MixerUpdateSettingsFrame "
        "VolumeGainFrame",
    ),
    (
        WITHIN,
        "FrameProcessorPauseFrame FrameProcessorPauseUrgentFrame FrameProcessorResumeFrame "
        "FrameProcessorResumeUrgentFrame HeartbeatFrame PipelineFlushFrame SyncFrame "
        "OutputTransportReadyFrame InputTransportStartAudioStreamingFrame STTMetadataFrame "
        "LLMServiceMetadataFrame ServiceMetadataFrame SpeechControlParamsFrame",
    ),
    (
        counted("ask for the pipeline's end; the frame that then passes through it is shown"),
        "EndWorkerFrame EndTaskFrame StopWorkerFrame StopTaskFrame CancelWorkerFrame "
        "CancelTaskFrame InterruptionWorkerFrame InterruptionTaskFrame",
    ),
    (
        counted("the aggregated context, whose content may be private; the request is shown"),
        "LLMContextUserTurnFrame LLMContextAssistantTurnFrame LLMContextAssistantTimestampFrame "
        "LLMAssistantPushAggregationFrame",
    ),
    (
        counted("summaries of the context; the model call that writes one is shown"),
        "LLMSummarizeContextFrame LLMContextSummaryRequestFrame LLMContextSummaryResultFrame",
    ),
    (
        counted("begin and end of a thought, whose tokens are shown"),
        "LLMThoughtStartFrame LLMThoughtEndFrame",
    ),
    (
        shown(Kind.TOOL, words="a call that ran in another pipeline, once"),
        "ExternalFunctionCallsStartedFrame ExternalFunctionCallInProgressFrame "
        "ExternalFunctionCallResultFrame ExternalFunctionCallCancelFrame",
    ),
    (
        counted("the transport's own event for it is shown"),
        "BotConnectedFrame ClientConnectedFrame",
    ),
    (
        ASKED,
        "UserImageRequestFrame ManuallySwitchServiceFrame DailyUpdateRemoteParticipantsFrame "
        "AudioBufferStartRecordingFrame AudioBufferStopRecordingFrame FunctionActionFrame "
        "ActionFinishedFrame",
    ),
    (
        APPLICATION,
        "InputTransportMessageFrame OutputTransportMessageFrame OutputTransportMessageUrgentFrame "
        "DailyInputTransportMessageFrame DailyOutputTransportMessageFrame "
        "DailyOutputTransportMessageUrgentFrame LiveKitInputTransportMessageFrame "
        "LiveKitOutputTransportMessageFrame LiveKitOutputTransportMessageUrgentFrame "
        "RTVIClientMessageFrame RTVIConfigureObserverFrame RTVISendTextFrame "
        "RTVIServerMessageFrame RTVIServerResponseFrame RTVIUICancelJobGroupFrame "
        "RTVIUICommandFrame RTVIUIEventFrame RTVIUIJobGroupFrame RTVIUISnapshotFrame",
    ),
    (
        counted("text for a display only, or diagnostics of the model's markers"),
        "AggregatedTextProgressFrame LLMMarkerResponseFrame LLMSearchResponseFrame",
    ),
    (
        counted("between one service and the bot"),
        "OpenClawAbortFrame OpenClawEndFrame OpenClawSendFrame OpenClawStartedFrame "
        "OpenClawSteerFrame OpenClawTextFrame",
    ),
    # Left out
    (
        BASE,
        "Frame SystemFrame ControlFrame DataFrame WorkerFrame WorkerSystemFrame TaskFrame "
        "TaskSystemFrame FilterControlFrame MixerControlFrame VolumeFrame ServiceSwitcherFrame",
    ),
    (
        left_out("a mark in one processor's queue, which is never pushed"),
        "AudioContextFrame",
    ),
    (
        left_out("part of Pipecat's evaluation of bots, not of a conversation"),
        "_BotSegmentTranscribedFrame",
    ),
)
"""All frames. Each that passes a processor is counted there, whatever else becomes of it."""

METRICS: Final[tuple[Group, ...]] = (
    (Fate(How.SHOWN, f"`{tags.METRICS_TTFB}`"), "TTFBMetricsData"),
    (Fate(How.SHOWN, f"`{tags.METRICS_TTFA}`"), "TTFAMetricsData"),
    (Fate(How.SHOWN, f"`{tags.METRICS_TTFAT}`"), "TTFATMetricsData"),
    (Fate(How.SHOWN, f"`{tags.USAGE_PREFIX}*`"), "LLMUsageMetricsData"),
    (Fate(How.SHOWN, f"`{tags.METRICS_CHARACTER_COUNT}`"), "TTSUsageMetricsData"),
    (Fate(How.SHOWN, f"`{tags.METRICS_AUDIO_SECONDS}`"), "STTUsageMetricsData"),
    (shown(Kind.END_OF_TURN), "TurnMetricsData SmartTurnMetricsData"),
    (left_out("the duration of the work's span"), "ProcessingMetricsData"),
    (
        left_out(f"`{tags.turn_wait_seconds('aggregation')}` has it for the speech that was heard"),
        "TextAggregationMetricsData",
    ),
    (BASE, "MetricsData"),
)

IN_PLACE: Final = left_out("connect parts of Pipecat with one another; frames show the same")
BY_FRAMES: Final = left_out("repeat what frames have shown already")
OFTEN: Final = left_out("come many times a second, or on each frame")
CONTENT: Final = left_out("hand content to the bot's code, many times a second")
OBSERVER: Final = left_out("of other observers, which watch the same frames")
EVALS: Final = left_out("part of Pipecat's evaluation of bots, not of a conversation")

_USERS_TURN: Final = "on_user_turn_started on_user_turn_stopped on_user_turn_inference_triggered"

EVENTS: Final[dict[str, tuple[Group, ...]]] = {
    "transports": (
        (
            shown(Kind.PARTICIPANT, Kind.PARTICIPANT_EVENT),
            "on_client_connected on_client_disconnected on_participant_joined on_participant_left "
            "on_participant_connected on_participant_disconnected on_first_participant_joined "
            "on_participant_updated on_joined on_connected on_avatar_connected "
            "on_avatar_disconnected",
        ),
        (
            PARTICIPANT_EVENT,
            "on_active_speaker_changed on_app_message on_audio_track_subscribed "
            "on_audio_track_unsubscribed on_before_disconnect on_before_leave on_bot_ready "
            "on_call_state_updated on_data_received on_dialin_connected on_dialin_error "
            "on_dialin_ready on_dialin_stopped on_dialin_warning on_dialout_answered "
            "on_dialout_connected on_dialout_error on_dialout_stopped on_dialout_warning "
            "on_disconnected on_dtmf_event on_error on_left on_network_connection_status_updated "
            "on_recording_error on_recording_started on_recording_stopped on_session_timeout "
            "on_track_subscribed on_transcription_error on_transcription_message "
            "on_transcription_stopped on_video_track_subscribed on_video_track_unsubscribed "
            "on_websocket_ready",
        ),
        (
            left_out("of the connection beneath a transport; the transport reports the same"),
            "app-message closed connected connecting disconnected new track-ended track-started",
        ),
        (BENEATH, "failed track-status"),
    ),
    "services": (
        (
            SERVICE_EVENT,
            "on_connected on_disconnected on_connection_error on_idle_timeout on_session_started "
            "on_delegation_created on_dtmf_received on_completion_timeout",
        ),
        (
            BY_FRAMES,
            "on_start_of_turn on_end_of_turn on_eager_end_of_turn on_turn_resumed on_turn_start "
            "on_turn_end on_turn_eager_end on_turn_resume on_speech_started on_speech_stopped "
            "on_utterance_end on_function_calls_started on_function_calls_cancelled on_tts_request",
        ),
        (
            OFTEN,
            "on_update on_turn_update on_conversation_item_created on_conversation_item_updated "
            "on_conversation_item_deleted on_conversation_item_truncated on_mcp_event "
            "on_speakers_result",
        ),
    ),
    "processors": (
        (
            SERVICE_EVENT,
            "on_usable_changed on_user_turn_idle on_user_turn_stop_timeout on_user_mute_started "
            "on_user_mute_stopped on_user_backchannel on_assistant_backchannel on_summary_applied "
            "on_client_ready on_client_message on_ui_message on_recording_started "
            "on_recording_stopped",
        ),
        (
            BY_FRAMES,
            f"{_USERS_TURN} on_user_turn_message_added on_assistant_turn_started "
            "on_assistant_turn_stopped on_assistant_thought on_completion on_error on_bot_started",
        ),
        (
            IN_PLACE,
            "on_before_process_frame on_after_process_frame on_before_push_frame "
            "on_after_push_frame on_request_summarization",
        ),
        (
            CONTENT,
            "on_audio_data on_track_audio_data on_user_turn_audio on_user_turn_audio_data "
            "on_bot_turn_audio on_bot_turn_audio_data",
        ),
    ),
    "turns": (
        (
            SERVICE_EVENT,
            "on_user_turn_idle on_user_turn_stop_timeout on_wake_phrase_detected "
            "on_wake_phrase_timeout",
        ),
        (BY_FRAMES, _USERS_TURN),
        (
            IN_PLACE,
            "on_push_frame on_broadcast_frame on_reset_aggregation "
            "on_user_turn_speculation_cancelled",
        ),
    ),
    "audio": (
        (
            IN_PLACE,
            "on_speech_started on_speech_stopped on_speech_activity on_push_frame "
            "on_broadcast_frame",
        ),
    ),
    "extensions": (
        (
            SERVICE_EVENT,
            "on_conversation_detected on_voicemail_detected on_ivr_status_changed",
        ),
    ),
    "pipeline": (
        (
            SERVICE_EVENT,
            "on_idle_timeout on_heartbeat_timeout on_setup_timeout on_service_switched",
        ),
        (
            shown(Kind.SESSION),
            "on_pipeline_error on_pipeline_started on_pipeline_finished on_pipeline_timeout",
        ),
        (OFTEN, "on_frame_reached_downstream on_frame_reached_upstream"),
    ),
    "workers": (
        (
            SERVICE_EVENT,
            "on_activated on_deactivated on_worker_ready on_worker_failed on_job_request "
            "on_job_response on_job_completed on_job_cancelled on_job_error "
            "on_job_update_requested on_client_connected on_client_disconnected on_connected "
            "on_disconnected",
        ),
        (
            OFTEN,
            "on_bus_message on_job_update on_job_stream_start on_job_stream_data on_job_stream_end",
        ),
        (left_out("events of the runner, which may run several sessions"), "on_error on_ready"),
    ),
    "serializers": (
        (BENEATH, "on_open on_close on_pause on_update on_error"),
        (left_out("comes every few seconds; it only says that the connection exists"), "on_ping"),
        (left_out("the frame that follows is shown"), "on_dtmf"),
    ),
    "classifiers": ((left_out("the classifier's model call is shown"), "on_metrics"),),
    "observers": (
        (
            OBSERVER,
            "on_error on_first_bot_speech_latency on_function_call_event on_latency_breakdown "
            "on_latency_measured on_service_latency on_service_usage on_speech_event "
            "on_startup_timing_report on_transport_timing_report on_turn_ended on_turn_started",
        ),
    ),
    "evals": ((EVALS, "on_conversation_ended on_progress on_update"),),
}
"""All events, by the part of Pipecat that has them. One name may mean several things."""


def entries(groups: tuple[Group, ...]) -> Iterator[tuple[str, Fate]]:
    """Yield each name with its fate."""
    for fate, names in groups:
        for name in names.split():
            yield name, fate
