"""Follows a response through the frames that carry its text, so that speech is attributed to it.

Between the model and the TTS service, processors pass the model's frames on as they are, or
aggregate them into sentences. An aggregator pushes frames of its own while it is processing the
model's; that is how its frames are attributed to the response.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from pipecat_dd import _pipecat
from pipecat_dd.conversation.answers import Answers
from pipecat_dd.conversation.context import FrameProcessing, current
from pipecat_dd.conversation.model import Kind, Processor, Role, Service, Stage
from pipecat_dd.instrumentation.frame_event import FrameEvent
from pipecat_dd.names import tags


def processing_of(source: Processor | None) -> FrameProcessing | None:
    """Return the frame processing that a processor has in progress in this task, if any."""
    work = current.get()
    if isinstance(work, FrameProcessing) and work.processor is source and not work.done:
        return work
    return None


def answer_of(answers: Answers, source: Processor | None, *, at_end: bool = True) -> Stage | None:
    """Return the response that a processor is passing on, or generating, in this task.

    Args:
        answers: The conversation's responses, by the frames that carry them.
        source: The processor; None if unknown.
        at_end: Whether the frame that ends a response counts, too, and not only its text.
    """
    processing = processing_of(source)
    if processing is None:
        return None
    stage = processing.stage
    if stage is not None and stage.kind is Kind.LLM:
        return stage
    if not at_end and processing.frame_class == "LLMFullResponseEndFrame":
        return None
    return answers.carried_by(processing.frame.id)


def answers_spoken(answers: Answers, source: Processor) -> list[Stage] | None:
    """Return the responses whose text a TTS service is about to synthesize in this task.

    Args:
        answers: The conversation's responses, by the frames that carry them.
        source: The service.

    Returns:
        None if unknown: it may be any response.
    """
    processing = processing_of(source)
    if processing is None:
        return None
    stage = answers.carried_by(processing.frame.id)
    if stage is not None:
        return [stage]
    return [] if processing.frame_class == "TTSSpeakFrame" else None


def text_passes(event: FrameEvent) -> None:
    """Handle text in a frame that no LLM service pushed."""
    source, answers = event.source, event.conversation.bot.answers
    if source is None:
        return
    stage = answer_of(answers, source)
    if stage is not None:
        answers.carry(event.frame.id, stage)
    if source.is_answerer and source.role is not Role.LLM:
        text_comes(event)


def speech_passes(event: FrameEvent) -> None:
    """Handle a request to speak; its text is the bot's own or comes from a model's response."""
    answers = event.conversation.bot.answers
    stage = answer_of(answers, event.source, at_end=False)
    if stage is not None:
        answers.carry(event.frame.id, stage)
    if _pipecat.is_aside(event.frame):
        return  # a backchannel: the user goes on, and no turn begins or is answered
    event.conversation.bot.ask_speech(event.at_ns)


def text_comes(event: FrameEvent) -> None:
    """Handle a piece of a model's text."""
    source, frame = event.source, event.frame
    stage = None if source is None else source.stage
    if source is None or stage is None or stage.kind is not Kind.LLM:
        return
    text = str(getattr(frame, "text", ""))
    skips = _pipecat.skips_voice(event.instance, frame)
    event.conversation.bot.note_output(
        source,
        event.at_ns,
        spoken=not skips,
        read=skips and not _pipecat.is_marker(text),
    )
    event.conversation.bot.answers.carry(frame.id, stage)
    stage.add_content(tags.GEN_AI_OUTPUT_MESSAGES, text)


def begins_to_answer(event: FrameEvent, source: Processor) -> None:
    """Begin the response that a processor other than Pipecat's services has announced.

    Args:
        event: The announcement.
        source: The processor that pushed it.
    """
    if source.role is not Role.OTHER:
        return
    bot, processing = event.conversation.bot, processing_of(source)
    own = processing.stage if processing is not None else None
    if own is not None and own.kind is Kind.LLM:
        if own.is_open:
            return  # announced a second time
    elif source.asked_ns:
        if processing is not None:
            asked_with(bot.answers, processing.frame, source)
    elif processing is not None and bot.answers.carried_by(processing.frame.id) is not None:
        return  # it passes on a model's response
    if not source.has_answered:
        source.has_answered = True
        source.service = _service_behind(event.instance)
    asked_ns, source.asked_ns = source.asked_ns or event.at_ns, 0
    if processing is None:
        bot.realtime.begin(source, event.at_ns, anew=True, asked_ns=asked_ns)
        return
    processing.stage = bot.begin_response(
        source, asked_ns, own if own is not None and own.is_open else None
    )
    bot.answers.carry(event.frame.id, processing.stage)


def has_answered(event: FrameEvent, source: Processor) -> None:
    """End the response of a processor other than Pipecat's services, as it has announced.

    Args:
        event: The announcement.
        source: The processor that pushed it.
    """
    bot, processing = event.conversation.bot, processing_of(source)
    stage = processing.stage if processing is not None else None
    # Most processors announce the end in any case, even when they are cut off.
    task = asyncio.current_task()
    interrupted = task is not None and task.cancelling() > 0
    if stage is not None and stage.kind is Kind.LLM:
        bot.answers.carry(event.frame.id, stage)
        bot.end_response(stage, event.at_ns, interrupted=interrupted)
        return
    if source.stage is not None:
        bot.answers.carry(event.frame.id, source.stage)
    bot.realtime.end(source, event.at_ns, interrupted=interrupted)


def context_passes(event: FrameEvent) -> None:
    """Handle a context on its way to a model; another model's response may have led to it."""
    answers = event.conversation.bot.answers
    stage = answer_of(answers, event.source)
    if stage is not None:
        answers.carry(event.frame.id, stage)


def asked_with(answers: Answers, frame: Any, processor: Processor) -> None:
    """Mark the response that led to a context as used, now that another model processes it.

    Args:
        answers: The conversation's responses, by the frames that carry them.
        frame: The frame that holds the context.
        processor: The processor of the model that is asked.
    """
    stage = answers.carried_by(frame.id)
    if stage is not None and stage.processor is not processor:
        answers.mark_used(stage)


def is_asked(event: FrameEvent) -> None:
    """Handle a request that the model respond to the context as it is."""
    context_passes(event)
    event.conversation.turns.ask()


def is_asked_with_messages(event: FrameEvent) -> None:
    """Handle a change of the context; the model may be asked to respond to it."""
    if _pipecat.asks_model(event.frame):
        context_passes(event)
        event.conversation.turns.ask()


def _service_behind(instance: Any) -> Callable[[], Service]:
    service = Service(*_pipecat.model_behind(instance))
    return lambda: service
