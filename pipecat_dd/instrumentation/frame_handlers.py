"""Handlers of Pipecat's frames: a function for each kind of frame updates the conversation."""

from typing import Any

from pipecat_dd import _pipecat
from pipecat_dd.conversation.context import FrameProcessing, WorkContext, current
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Role
from pipecat_dd.conversation.speech_segments import Cause
from pipecat_dd.instrumentation.answering import (
    begins_to_answer,
    context_passes,
    has_answered,
    is_asked,
    is_asked_with_messages,
    speech_passes,
    text_comes,
    text_passes,
)
from pipecat_dd.instrumentation.background_tasks import watch_task
from pipecat_dd.instrumentation.events import MAX_TONE_CHARS
from pipecat_dd.instrumentation.external_calls import (
    external_asked,
    external_began,
    external_cancelled,
    external_result,
)
from pipecat_dd.instrumentation.failures import REPORTED, failure_of, reported_failure
from pipecat_dd.instrumentation.figures import figures_of
from pipecat_dd.instrumentation.frame_event import FrameEvent, FrameHandler
from pipecat_dd.instrumentation.requests import (
    keys_sent,
    refer_asked,
    stt_muted,
    transfer_asked,
)
from pipecat_dd.instrumentation.rulings import (
    is_reprompted,
    marker_comes,
    prediction_withdrawn,
    ruled_complete,
    ruling_measured,
    ruling_transcribed,
    text_may_rule,
)
from pipecat_dd.instrumentation.texts import as_text
from pipecat_dd.names import tags


def _vad_started(event: FrameEvent) -> None:
    frame = event.frame
    # The detector reports speech only after `start_secs` of it.
    said_ns = _wall_ns(getattr(frame, "timestamp", None), event.at_ns)
    start_ns = said_ns - _nanos(getattr(frame, "start_secs", 0.0))
    analyzer = _pipecat.analyzer_of(event.instance) or event.conversation.analyzer
    event.conversation.user.start_speaking(start_ns, analyzer)


def _vad_stopped(event: FrameEvent) -> None:
    frame = event.frame
    said_ns = _wall_ns(getattr(frame, "timestamp", None), event.at_ns)
    event.conversation.user.stop_speaking(said_ns - _nanos(getattr(frame, "stop_secs", 0.0)))


def _service_heard_speech(event: FrameEvent) -> None:
    """Record speech that a service with turn detection of its own has detected.

    Such a service is an STT service that detects turns, a speech-to-speech model, or a user's own
    processor. A voice activity detector may report the same speech.
    """
    source = event.source
    if source is not None and source.role is Role.LLM:
        event.conversation.bot.realtime.note_user_speech(source, event.at_ns)
    name = source.class_name if source is not None else "external"
    event.conversation.user.start_service_speech(event.at_ns, name)


def _service_heard_silence(event: FrameEvent) -> None:
    event.conversation.user.stop_service_speech(event.at_ns)


def _silence_predicted(event: FrameEvent) -> None:
    if event.source is not None and event.source.role is Role.STT:
        event.conversation.user.predict_silence(event.at_ns)


def _prediction_withdrawn(event: FrameEvent) -> None:
    event.conversation.user.withdraw_prediction()
    prediction_withdrawn(event)
    event.conversation.bot.withdraw_speculation()


def _is_service(event: FrameEvent) -> bool:
    return event.source is not None and event.source.role in (Role.STT, Role.LLM)


def _user_started(event: FrameEvent) -> None:
    if _is_service(event):
        # It decides the turn instead of proposing it, as all such services did before Pipecat 1.8.
        _service_heard_speech(event)
    event.conversation.user.start_turn(event.at_ns, _cause())


def _user_stopped(event: FrameEvent) -> None:
    if _is_service(event):
        _service_heard_silence(event)
    event.conversation.user.end_turn(event.at_ns, event.conversation.strategy)


def _cause() -> Cause | None:
    """Return the cause of a turn decision: the frame that the deciding processor is processing."""
    work = current.get()
    frame = work.frame if isinstance(work, FrameProcessing) else None
    return None if frame is None else Cause(frame.id, _pipecat.is_words(frame))


def _muted(event: FrameEvent) -> None:
    event.conversation.user.mute()
    event.conversation.silence.mute(event.at_ns)


def _unmuted(event: FrameEvent) -> None:
    event.conversation.user.unmute(event.at_ns)
    event.conversation.silence.unmute(event.at_ns)


def _backchannel(event: FrameEvent) -> None:
    # A service that recognizes a backchannel pushes this instead of a transcription.
    _transcription(event)
    event.conversation.user.note_backchannel(event.at_ns)


def _interim(event: FrameEvent) -> None:
    if event.source is not None and event.source.role is Role.STT:
        event.conversation.user.note_interim(event.source, event.at_ns, event.frame.id)


def _transcription(event: FrameEvent) -> None:
    if event.source is None or event.source.role is not Role.STT:
        return
    ruling_transcribed(event)
    language = getattr(event.frame, "language", None)
    user_id = str(getattr(event.frame, "user_id", None) or "")
    people = event.conversation.participants
    stage = event.conversation.user.note_transcription(
        event.source,
        event.at_ns,
        str(getattr(language, "value", language)) if language else None,
        people.numbers.id_of(user_id) or None,
        event.frame.id,
    )
    if (speaker := people.named(user_id)) is not None:
        stage.assign_participant(speaker.id or None)
    stage.add_content(tags.STT_TRANSCRIPT, str(getattr(event.frame, "text", "")))


def _announced(event: FrameEvent) -> None:
    """Begin a response at the first frame that announces it.

    Only realtime services need this, since they begin responses by themselves; the responses of
    other services begin with the processing of a context frame.
    """
    if event.source is not None and event.source.role is not Role.LLM:
        begins_to_answer(event, event.source)
        return
    _announce(event, anew=True)
    if event.source is not None and event.source.stage is not None:
        event.conversation.bot.answers.carry(event.frame.id, event.source.stage)


def _begins_to_speak(event: FrameEvent) -> None:
    _announce(event, anew=False)
    if _is_own_voice(event):
        event.conversation.bot.begin_own_voice()


def _is_own_voice(event: FrameEvent) -> bool:
    """Whether speech comes from a processor of the user's, which is no service."""
    return event.source is None or event.source.role not in (Role.TTS, Role.LLM)


def _announce(event: FrameEvent, *, anew: bool) -> None:
    source = event.source
    if source is not None and source.role is Role.LLM:
        event.conversation.bot.realtime.begin(source, event.at_ns, anew=anew)


def _response_over(event: FrameEvent) -> None:
    source, work = event.source, current.get()
    if source is None or not source.is_answerer:
        return
    if source.role is not Role.LLM:
        has_answered(event, source)
        return
    if source.stage is not None:
        # This frame makes the TTS service synthesize the rest of the response's text.
        event.conversation.bot.answers.carry(event.frame.id, source.stage)
    mine = work.stage if isinstance(work, FrameProcessing) and work.processor is source else None
    if mine is not None and mine.kind is Kind.LLM:
        return  # it ends with the processing of the context frame
    event.conversation.bot.realtime.end(source, event.at_ns)


def _llm_text(event: FrameEvent) -> None:
    if event.source is None:
        return
    if event.source.role is Role.LLM:
        _announce(event, anew=False)
        text_may_rule(event)
        text_comes(event)
    else:
        text_passes(event)


def _llm_thought(event: FrameEvent) -> None:
    if event.source is not None and event.source.role is Role.LLM:
        event.conversation.bot.note_output(event.source, event.at_ns, spoken=False)


def _tools_asked(event: FrameEvent) -> None:
    if event.source is not None:
        if _pipecat.is_realtime(event.instance):
            # Nothing else announces a response that only calls tools.
            _announce(event, anew=True)
        calls = [str(call.tool_call_id) for call in event.frame.function_calls]
        event.conversation.bot.tools_asked(event.source, event.at_ns, calls)


def _tool_began(event: FrameEvent) -> None:
    if event.source is None or event.source.role is not Role.LLM:
        return
    frame = event.frame
    bot, call_id = event.conversation.bot, str(frame.tool_call_id)
    handler = watch_task(event.conversation.turns)
    stage = bot.tool_begins(event.source, event.at_ns, str(frame.function_name), call_id, handler)
    if stage.session.capture_content:
        stage.add_content(tags.GEN_AI_TOOL_CALL_ARGUMENTS, as_text(frame.arguments))
    # Each call has a task of its own, and this runs in it: what the handler logs and calls from
    # here on belongs to the tool.
    current.set(WorkContext(event.conversation.session, event.source, stage))


def _tool_result(event: FrameEvent) -> None:
    frame = event.frame
    properties = getattr(frame, "properties", None)
    if properties is not None and getattr(properties, "is_final", True) is False:
        return
    error = getattr(frame, "error", None)
    call = event.conversation.bot.call(str(frame.tool_call_id))
    failed = bool(error)
    if call is not None and not hasattr(frame, "error"):
        # Before Pipecat 1.9, only an earlier ErrorFrame shows that the tool failed.
        failed = call.failure is not None
    if call is not None and call.session.capture_content:
        call.add_content(tags.GEN_AI_TOOL_CALL_RESULT, as_text(frame.result))
    failure = Failure("ToolError", str(error)) if error else None
    if call is not None and not failed:
        text = reported_failure(frame.result, str(frame.function_name))
        if text is not None:
            failed = True
            # The text is part of the result, which is content and may have to be withheld.
            failure = Failure("ToolError", text if call.session.capture_content else REPORTED)
            event.conversation.fail_tool(call, failure)
    event.conversation.bot.tool_ends(
        str(frame.tool_call_id),
        event.at_ns,
        "failed" if failed else "completed",
        failure,
        asks=_pipecat.asks_model(frame) is not False,
    )


def _tool_cancelled(event: FrameEvent) -> None:
    # Of all that can cancel a call, only its deadline requests inference
    # (pipecat/observers/function_call_observer.py).
    timed_out = bool(getattr(event.frame, "run_llm", False))
    event.conversation.bot.tool_ends(
        str(event.frame.tool_call_id),
        event.at_ns,
        "timed_out" if timed_out else "cancelled",
        Failure("ToolTimeout", "the tool call ran past its deadline") if timed_out else None,
        asks=timed_out or None,
    )


VOICE_ROLES = (Role.TTS, Role.LLM, Role.OUTPUT)
"""Where the bot's audio is generated or written; a push of media elsewhere means nothing."""


def _tts_audio(event: FrameEvent) -> None:
    source, frame = event.source, event.frame
    if source is None:
        return
    secs = _pipecat.audio_secs(frame)
    if source.role is Role.TTS:
        event.conversation.bot.synthesis_output(
            source,
            event.at_ns,
            getattr(frame, "context_id", None),
            secs,
        )
    elif source.role is Role.LLM:
        _announce(event, anew=False)
        event.conversation.bot.note_output(source, event.at_ns, spoken=True, speech=True)
    elif source.role is Role.OUTPUT:
        # The output transport pushes audio on after writing it.
        event.conversation.bot.write_audio(
            event.at_ns, secs, frame.id, is_kept=_pipecat.is_kept(frame)
        )


def _tts_stopped(event: FrameEvent) -> None:
    if event.source is not None and event.source.role is Role.TTS:
        event.conversation.bot.synthesis_ends(
            event.source, event.at_ns, getattr(event.frame, "context_id", None)
        )
    elif _is_own_voice(event):
        event.conversation.bot.end_own_voice()


def _line(event: FrameEvent) -> tuple[Processor | None, str | None]:
    """Return where the bot speaks: an output, and one of its destinations."""
    return event.source, getattr(event.frame, "transport_destination", None)


def _bot_started(event: FrameEvent) -> None:
    event.conversation.bot.start_speaking(event.at_ns, _line(event))


def _bot_stopped(event: FrameEvent) -> None:
    event.conversation.bot.stop_speaking(event.at_ns, _line(event))


def _interruption(event: FrameEvent) -> None:
    event.conversation.bot.interrupt(event.at_ns)


def _message(event: FrameEvent) -> None:
    messages = getattr(event.frame, "messages", None) or ()
    by_user = any(isinstance(m, dict) and m.get("role") == "user" for m in messages)
    # A developer's instruction ("greet the caller") makes the bot begin, not the user.
    if by_user and getattr(event.frame, "run_llm", None):
        _typed(event)
    is_reprompted(event)
    is_asked_with_messages(event)


def _typed(event: FrameEvent) -> None:
    event.conversation.user.note_message(event.at_ns)


def _key_pressed(event: FrameEvent) -> None:
    button = getattr(event.frame, "button", None)
    tone = str(getattr(button, "value", button))
    if len(tone) <= MAX_TONE_CHARS:
        event.conversation.participants.press_key(tone, event.at_ns)


def _ends(event: FrameEvent) -> None:
    event.conversation.note_end_frame("ended")


def _stops(event: FrameEvent) -> None:
    event.conversation.note_end_frame("stopped")


def _cancels(event: FrameEvent) -> None:
    event.conversation.note_end_frame("cancelled")


def _error(event: FrameEvent) -> None:
    frame = event.frame
    instance = getattr(frame, "processor", None)
    name = str(getattr(instance, "name", None))
    processor = event.conversation.session.processors.get(name)
    if processor is None and instance is not None:
        # A compound processor; the error that it reports may be that of one within it.
        processor = Processor(name, type(instance).__name__, name, Role.OTHER)
    processor = processor or event.source
    exception = getattr(frame, "exception", None)
    event.conversation.record_error(
        processor, current.get(), failure_of(frame), event.at_ns, exception=exception
    )
    if processor is not None:
        event.conversation.failovers.note_failure(processor, event.at_ns)


def _switched(event: FrameEvent) -> None:
    conversation = event.conversation
    name = str(getattr(getattr(event.frame, "service", None), "name", ""))
    processor = conversation.session.processors.get(name)
    if processor is not None:
        turn = conversation.turns.current
        stage = turn.stage if turn is not None else None
        conversation.failovers.note_switch(processor, stage, event.at_ns)


def _metrics(event: FrameEvent) -> None:
    for data in getattr(event.frame, "data", None) or ():
        ruling_measured(event, data)
        facts, counts = figures_of(data)
        if facts or counts:
            event.conversation.record_figures(str(data.processor), facts, counts)


HANDLERS: dict[str, FrameHandler] = {
    "VADUserStartedSpeakingFrame": _vad_started,
    "VADUserStoppedSpeakingFrame": _vad_stopped,
    "ProposedUserStartedSpeakingFrame": _service_heard_speech,
    "ProposedUserStoppedSpeakingFrame": _service_heard_silence,
    "EagerTranscriptionFrame": _silence_predicted,
    "EagerEndOfTurnCancelFrame": _prediction_withdrawn,
    "UserStartedSpeakingFrame": _user_started,
    "UserStoppedSpeakingFrame": _user_stopped,
    "UserTurnInferenceCompletedFrame": ruled_complete,
    "LLMMarkerFrame": marker_comes,
    "UserMuteStartedFrame": _muted,
    "UserMuteStoppedFrame": _unmuted,
    "UserBackchannelFrame": _backchannel,
    "InterimTranscriptionFrame": _interim,
    "TranscriptionFrame": _transcription,
    "LLMFullResponseStartFrame": _announced,
    "LLMFullResponseEndFrame": _response_over,
    "LLMTextFrame": _llm_text,
    "TextFrame": text_passes,
    "LLMThoughtTextFrame": _llm_thought,
    "FunctionCallsStartedFrame": _tools_asked,
    "FunctionCallInProgressFrame": _tool_began,
    "FunctionCallResultFrame": _tool_result,
    "FunctionCallCancelFrame": _tool_cancelled,
    "TTSSpeakFrame": speech_passes,
    "TTSAudioRawFrame": _tts_audio,
    "SpeechOutputAudioRawFrame": _tts_audio,
    "TTSStartedFrame": _begins_to_speak,
    "TTSStoppedFrame": _tts_stopped,
    "BotStartedSpeakingFrame": _bot_started,
    "BotStoppedSpeakingFrame": _bot_stopped,
    "InterruptionFrame": _interruption,
    "LLMContextFrame": context_passes,
    "LLMRunFrame": is_asked,
    "LLMMessagesAppendFrame": _message,
    "LLMMessagesUpdateFrame": is_asked_with_messages,
    "LLMMessagesTransformFrame": is_asked_with_messages,
    "InputTextRawFrame": _typed,
    "InputDTMFFrame": _key_pressed,
    "OutputDTMFFrame": keys_sent,
    "OutputDTMFUrgentFrame": keys_sent,
    "DailySIPTransferFrame": transfer_asked,
    "DailySIPReferFrame": refer_asked,
    "STTMuteFrame": stt_muted,
    "ExternalFunctionCallsStartedFrame": external_asked,
    "ExternalFunctionCallInProgressFrame": external_began,
    "ExternalFunctionCallResultFrame": external_result,
    "ExternalFunctionCallCancelFrame": external_cancelled,
    "EndFrame": _ends,
    "StopFrame": _stops,
    "CancelFrame": _cancels,
    "ErrorFrame": _error,
    # A service switcher sends this to the service that it has switched to.
    "ServiceSwitcherRequestMetadataFrame": _switched,
    "MetricsFrame": _metrics,
}
"""The handler for each class of frame, by the name of the class."""


def _nanos(seconds: float) -> int:
    return int(seconds * 1e9)


def _wall_ns(seconds: Any, default_ns: int) -> int:
    """Convert a frame's wall-clock seconds to nanoseconds; without any, return the default."""
    return int(seconds * 1e9) if isinstance(seconds, (int, float)) and seconds > 0 else default_ns
