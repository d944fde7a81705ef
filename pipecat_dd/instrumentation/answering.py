"""Who answers, and with which frames: what is known of it where frames are pushed.

A model's text goes on in the frames that hold it, through whatever stands between the model and
the voice: passed on as it is, or put together to sentences by something that pushes frames of its
own while it works on the model's. So what is spoken can be put down to the answer it is part of.
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
    """Return the visit that a processor is in the middle of in this task, if it is in one.

    Args:
        source: The processor.
    """
    work = current.get()
    if isinstance(work, FrameProcessing) and work.processor is source and not work.done:
        return work
    return None


def answer_of(answers: Answers, source: Processor | None, *, at_end: bool = True) -> Stage | None:
    """Return the response that a processor is passing on, or answering with, in this task.

    Args:
        answers: The answers.
        source: The processor.
        at_end: Whether it counts that it works on the response's end, rather than on its text.
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
    """Return the responses whose text a service is about to synthesize in this task.

    Args:
        answers: The answers.
        source: The service.

    Returns:
        None where that is not known, and it may be any.
    """
    processing = processing_of(source)
    if processing is None:
        return None
    stage = answers.carried_by(processing.frame.id)
    if stage is not None:
        return [stage]
    return [] if processing.frame_class == "TTSSpeakFrame" else None


def text_passes(event: FrameEvent) -> None:
    """Text was pushed that is no model's own frame."""
    source, answers = event.source, event.conversation.bot.answers
    if source is None:
        return
    stage = answer_of(answers, source)
    if stage is not None:
        answers.carry(event.frame.id, stage)
    if source.is_answerer and source.role is not Role.LLM:
        text_comes(event)


def speech_passes(event: FrameEvent) -> None:
    """The bot is to say something: words of its own, or a model's, made into such a request."""
    answers = event.conversation.bot.answers
    stage = answer_of(answers, event.source, at_end=False)
    if stage is not None:
        answers.carry(event.frame.id, stage)
    if _pipecat.is_aside(event.frame):
        return  # the user goes on: a backchannel begins no turn, and answers none
    event.conversation.bot.ask_speech(event.at_ns)


def text_comes(event: FrameEvent) -> None:
    """A model's text came."""
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
    """A processor that is no service of Pipecat's announced a response.

    Args:
        event: The announcement.
        source: The processor.
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
        return  # it passes on what a model answers
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
    """A processor that is no service of Pipecat's announced that its response has ended.

    Args:
        event: The announcement.
        source: The processor.
    """
    bot, processing = event.conversation.bot, processing_of(source)
    stage = processing.stage if processing is not None else None
    # Most announce it in any case, also as they are cut off.
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
    """A model is asked: with what another answered, where something works on that."""
    answers = event.conversation.bot.answers
    stage = answer_of(answers, event.source)
    if stage is not None:
        answers.carry(event.frame.id, stage)


def asked_with(answers: Answers, frame: Any, processor: Processor) -> None:
    """A model begins on a context. What another answered may have led to it, and has its use.

    Args:
        answers: The answers.
        frame: The frame that holds the context.
        processor: The model's processor.
    """
    stage = answers.carried_by(frame.id)
    if stage is not None and stage.processor is not processor:
        answers.use(stage)


def is_asked(event: FrameEvent) -> None:
    """The model is asked to respond to the context as it is."""
    context_passes(event)
    event.conversation.turns.ask()


def is_asked_with_messages(event: FrameEvent) -> None:
    """The context is changed, and the model may be asked to respond to that."""
    if _pipecat.asks_model(event.frame):
        context_passes(event)
        event.conversation.turns.ask()


def _service_behind(instance: Any) -> Callable[[], Service]:
    service = Service(*_pipecat.model_behind(instance))
    return lambda: service
