"""What each frame of Pipecat's says about the conversation: a function for each kind of frame."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat_dd import _pipecat
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.place import Place, Visit, here
from pipecat_dd.conversation.processor import Processor, Role
from pipecat_dd.conversation.stage import Failure, Kind
from pipecat_dd.conversation.stretches import Cause
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
from pipecat_dd.instrumentation.events import MAX_TONE_CHARS
from pipecat_dd.instrumentation.failures import REPORTED, failure_of, reported_failure
from pipecat_dd.instrumentation.figures import figures_of
from pipecat_dd.instrumentation.lasting import watch_task


@dataclass(slots=True)
class Heard:
    """One frame, heard where it was first pushed.

    Attributes:
        conversation: The conversation it is part of.
        frame: The frame.
        source: The processor that pushed it, where that is known.
        instance: That processor's instance.
        at_ns: When, in nanoseconds since the epoch.
    """

    conversation: Conversation
    frame: Any
    source: Processor | None
    instance: Any
    at_ns: int


Moment = Callable[[Heard], None]


def _vad_started(heard: Heard) -> None:
    frame = heard.frame
    # The detector is sure of it only after `start_secs` of speech.
    said_ns = _wall_ns(getattr(frame, "timestamp", None), heard.at_ns)
    start_ns = said_ns - _nanos(getattr(frame, "start_secs", 0.0))
    analyzer = _pipecat.analyzer_of(heard.instance) or heard.conversation.analyzer
    heard.conversation.user.starts_speaking(start_ns, analyzer)


def _vad_stopped(heard: Heard) -> None:
    frame = heard.frame
    said_ns = _wall_ns(getattr(frame, "timestamp", None), heard.at_ns)
    heard.conversation.user.stops_speaking(said_ns - _nanos(getattr(frame, "stop_secs", 0.0)))


def _service_heard_speech(heard: Heard) -> None:
    """A service that owns the user's turn hears the user for itself.

    That is an STT service that detects turns, a speech-to-speech model, or a processor of the
    user's own. A voice activity detector may hear the same beside it.
    """
    source = heard.source
    if source is not None and source.role is Role.LLM:
        heard.conversation.bot.announced.user_heard(source, heard.at_ns)
    name = source.class_name if source is not None else "external"
    heard.conversation.user.service_hears_speech(heard.at_ns, name)


def _service_heard_silence(heard: Heard) -> None:
    heard.conversation.user.service_hears_silence(heard.at_ns)


def _silence_predicted(heard: Heard) -> None:
    if heard.source is not None and heard.source.role is Role.STT:
        heard.conversation.user.service_predicts_silence(heard.at_ns)


def _prediction_withdrawn(heard: Heard) -> None:
    heard.conversation.user.service_withdraws_silence()
    heard.conversation.bot.speculation_withdrawn()


def _is_service(heard: Heard) -> bool:
    return heard.source is not None and heard.source.role in (Role.STT, Role.LLM)


def _user_started(heard: Heard) -> None:
    if _is_service(heard):
        # It rules rather than proposes, as all did that own the turn before Pipecat 1.8.
        _service_heard_speech(heard)
    heard.conversation.user.turn_starts(heard.at_ns, _cause())


def _user_stopped(heard: Heard) -> None:
    if _is_service(heard):
        _service_heard_silence(heard)
    heard.conversation.user.turn_ends(heard.at_ns, heard.conversation.strategy)


def _cause() -> Cause | None:
    """Return what a ruling follows from: what the processor is at work on that makes it."""
    place = here.get()
    frame = place.frame if isinstance(place, Visit) else None
    return None if frame is None else Cause(frame.id, _pipecat.is_words(frame))


def _muted(heard: Heard) -> None:
    heard.conversation.user.mutes()


def _unmuted(heard: Heard) -> None:
    heard.conversation.user.unmutes(heard.at_ns)


def _backchannel(heard: Heard) -> None:
    # A service that knows one pushes it in place of a transcription.
    _transcription(heard)
    heard.conversation.user.backchannels(heard.at_ns)


def _interim(heard: Heard) -> None:
    if heard.source is not None and heard.source.role is Role.STT:
        heard.conversation.user.transcribing(heard.source, heard.at_ns, heard.frame.id)


def _transcription(heard: Heard) -> None:
    if heard.source is None or heard.source.role is not Role.STT:
        return
    language = getattr(heard.frame, "language", None)
    user_id = str(getattr(heard.frame, "user_id", None) or "")
    people = heard.conversation.participants
    stage = heard.conversation.user.transcribed(
        heard.source,
        heard.at_ns,
        str(getattr(language, "value", language)) if language else None,
        people.numbers.id_of(user_id) or None,
        heard.frame.id,
    )
    if (speaker := people.named(user_id)) is not None:
        stage.is_of(speaker.id or None)
    stage.quote("stt.transcript", str(getattr(heard.frame, "text", "")))


def _announced(heard: Heard) -> None:
    """A response was announced, by whichever frame comes first.

    That is how services begin one of themselves; in others the visit of the context has.
    """
    if heard.source is not None and heard.source.role is not Role.LLM:
        begins_to_answer(heard, heard.source)
        return
    _announce(heard, anew=True)
    if heard.source is not None and heard.source.stage is not None:
        heard.conversation.bot.answers.carry(heard.frame.id, heard.source.stage)


def _begins_to_speak(heard: Heard) -> None:
    _announce(heard, anew=False)


def _announce(heard: Heard, *, anew: bool) -> None:
    source = heard.source
    if source is not None and source.role is Role.LLM:
        heard.conversation.bot.announced.begin(source, heard.at_ns, anew=anew)


def _response_over(heard: Heard) -> None:
    source, place = heard.source, here.get()
    if source is None or not source.answers:
        return
    if source.role is not Role.LLM:
        has_answered(heard, source)
        return
    if source.stage is not None:
        # What is left of its text is synthesized with this.
        heard.conversation.bot.answers.carry(heard.frame.id, source.stage)
    mine = place.stage if isinstance(place, Visit) and place.processor is source else None
    if mine is not None and mine.kind is Kind.LLM:
        return  # it ends with the visit
    heard.conversation.bot.announced.end(source, heard.at_ns)


def _llm_text(heard: Heard) -> None:
    if heard.source is None:
        return
    if heard.source.role is Role.LLM:
        _announce(heard, anew=False)
        text_comes(heard)
    else:
        text_passes(heard)


def _llm_thought(heard: Heard) -> None:
    if heard.source is not None and heard.source.role is Role.LLM:
        heard.conversation.bot.response_output(heard.source, heard.at_ns, spoken=False)


def _tools_asked(heard: Heard) -> None:
    if heard.source is not None:
        if _pipecat.is_realtime(heard.instance):
            _announce(heard, anew=True)  # a response that only asks is announced by nothing else
        calls = [str(call.tool_call_id) for call in heard.frame.function_calls]
        heard.conversation.bot.tools_asked(heard.source, heard.at_ns, calls)


def _tool_began(heard: Heard) -> None:
    if heard.source is None or heard.source.role is not Role.LLM:
        return
    frame = heard.frame
    bot, call_id = heard.conversation.bot, str(frame.tool_call_id)
    handler = watch_task(heard.conversation.turns)
    stage = bot.tool_begins(heard.source, heard.at_ns, str(frame.function_name), call_id, handler)
    if stage.session.capture_content:
        stage.quote("gen_ai.tool.call.arguments", _as_text(frame.arguments))
    # This runs in the task that the call has to itself: what its handler writes and calls
    # from here on is the tool's.
    here.set(Place(heard.conversation.session, heard.source, stage))


def _tool_result(heard: Heard) -> None:
    frame = heard.frame
    properties = getattr(frame, "properties", None)
    if properties is not None and getattr(properties, "is_final", True) is False:
        return
    error = getattr(frame, "error", None)
    call = heard.conversation.bot.call(str(frame.tool_call_id))
    failed = bool(error)
    if call is not None and not hasattr(frame, "error"):
        # Before Pipecat 1.9 only the error before it says that the result is that of a failure.
        failed = call.failure is not None
    if call is not None and call.session.capture_content:
        call.quote("gen_ai.tool.call.result", _as_text(frame.result))
    failure = Failure("ToolError", str(error)) if error else None
    if call is not None and not failed:
        text = reported_failure(frame.result, str(frame.function_name))
        if text is not None:
            failed = True
            # The text is part of the result: content, which may be sent or not.
            failure = Failure("ToolError", text if call.session.capture_content else REPORTED)
            heard.conversation.tool_reports_failure(call, failure)
    heard.conversation.bot.tool_ends(
        str(frame.tool_call_id),
        heard.at_ns,
        "failed" if failed else "completed",
        failure,
        asks=_pipecat.asks_model(frame) is not False,
    )


def _tool_cancelled(heard: Heard) -> None:
    # Inference is asked for by the deadline that settled the call, and by nothing else that
    # cancels one (pipecat/observers/function_call_observer.py).
    timed_out = bool(getattr(heard.frame, "run_llm", False))
    heard.conversation.bot.tool_ends(
        str(heard.frame.tool_call_id),
        heard.at_ns,
        "timed_out" if timed_out else "cancelled",
        Failure("ToolTimeout", "the tool call ran past its deadline") if timed_out else None,
        asks=timed_out or None,
    )


def _tts_audio(heard: Heard) -> None:
    source, frame = heard.source, heard.frame
    if source is None:
        return
    secs = _pipecat.audio_secs(frame)
    if source.role is Role.TTS:
        heard.conversation.bot.synthesis_output(
            source,
            heard.at_ns,
            getattr(frame, "context_id", None),
            secs,
        )
    elif source.role is Role.LLM:
        _announce(heard, anew=False)
        heard.conversation.bot.response_output(source, heard.at_ns, spoken=True, speech=True)
    elif source.role is Role.OUTPUT:
        # The output pushes on what it has written to the transport.
        heard.conversation.bot.audio_written(heard.at_ns, secs)


def _tts_stopped(heard: Heard) -> None:
    if heard.source is not None and heard.source.role is Role.TTS:
        heard.conversation.bot.synthesis_ends(
            heard.source, heard.at_ns, getattr(heard.frame, "context_id", None)
        )


def _bot_started(heard: Heard) -> None:
    heard.conversation.bot.starts_speaking(heard.at_ns)


def _bot_stopped(heard: Heard) -> None:
    heard.conversation.bot.stops_speaking(heard.at_ns)


def _interruption(heard: Heard) -> None:
    heard.conversation.bot.interrupted(heard.at_ns)


def _message(heard: Heard) -> None:
    messages = getattr(heard.frame, "messages", None) or ()
    by_user = any(isinstance(m, dict) and m.get("role") == "user" for m in messages)
    # An instruction of the developer's ("greet the caller") is the bot's to begin.
    if by_user and getattr(heard.frame, "run_llm", None):
        _typed(heard)
    is_asked_with_messages(heard)


def _typed(heard: Heard) -> None:
    heard.conversation.user.message(heard.at_ns)


def _key_pressed(heard: Heard) -> None:
    button = getattr(heard.frame, "button", None)
    tone = str(getattr(button, "value", button))
    if len(tone) <= MAX_TONE_CHARS:
        heard.conversation.participants.key_pressed(tone, heard.at_ns)


def _ends(heard: Heard) -> None:
    heard.conversation.end_is_heard("ended")


def _stops(heard: Heard) -> None:
    heard.conversation.end_is_heard("stopped")


def _cancels(heard: Heard) -> None:
    heard.conversation.end_is_heard("cancelled")


def _error(heard: Heard) -> None:
    frame = heard.frame
    instance = getattr(frame, "processor", None)
    name = str(getattr(instance, "name", None))
    processor = heard.conversation.session.processors.get(name)
    if processor is None and instance is not None:
        # One that only holds others; what it reports may be what one of them has.
        processor = Processor(name, type(instance).__name__, name, Role.OTHER)
    processor = processor or heard.source
    exception = getattr(frame, "exception", None)
    heard.conversation.errs(
        processor, here.get(), failure_of(frame), heard.at_ns, exception=exception
    )
    if processor is not None:
        heard.conversation.failovers.failed(processor, heard.at_ns)


def _switched(heard: Heard) -> None:
    conversation = heard.conversation
    name = str(getattr(getattr(heard.frame, "service", None), "name", ""))
    processor = conversation.session.processors.get(name)
    if processor is not None:
        turn = conversation.turns.current
        stage = turn.stage if turn is not None else None
        conversation.failovers.switched(processor, stage, heard.at_ns)


def _metrics(heard: Heard) -> None:
    for data in getattr(heard.frame, "data", None) or ():
        facts, counts = figures_of(data)
        if facts or counts:
            heard.conversation.measured(str(data.processor), facts, counts)


MEANT: dict[str, Moment] = {
    "VADUserStartedSpeakingFrame": _vad_started,
    "VADUserStoppedSpeakingFrame": _vad_stopped,
    "ProposedUserStartedSpeakingFrame": _service_heard_speech,
    "ProposedUserStoppedSpeakingFrame": _service_heard_silence,
    "EagerTranscriptionFrame": _silence_predicted,
    "EagerEndOfTurnCancelFrame": _prediction_withdrawn,
    "UserStartedSpeakingFrame": _user_started,
    "UserStoppedSpeakingFrame": _user_stopped,
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
    "EndFrame": _ends,
    "StopFrame": _stops,
    "CancelFrame": _cancels,
    "ErrorFrame": _error,
    # A switcher asks the service that it has turned to for what to announce of it.
    "ServiceSwitcherRequestMetadataFrame": _switched,
    "MetricsFrame": _metrics,
}
"""What frames say, by the name of their class."""


def _as_text(value: Any) -> str:
    """Return a value as JSON, or as Python writes it where it is none. Never raises."""
    for write in (_as_json, repr):
        try:
            return write(value)
        except Exception:  # the value's own code ran
            continue
    return f"<unreadable {type(value).__name__}>"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _nanos(seconds: float) -> int:
    return int(seconds * 1e9)


def _wall_ns(seconds: Any, default_ns: int) -> int:
    """Return a time in nanoseconds that a frame gives in wall-clock seconds."""
    return int(seconds * 1e9) if isinstance(seconds, (int, float)) and seconds > 0 else default_ns
