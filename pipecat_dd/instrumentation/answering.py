"""Who answers, and with which frames: what is known of it where frames are pushed.

A model's text goes on in the frames that hold it, through whatever stands between the model and
the voice: passed on as it is, or put together to sentences by something that pushes frames of its
own while it works on the model's. So what is spoken can be put down to the answer it is part of.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipecat_dd import _pipecat
from pipecat_dd.conversation.answers import Answers
from pipecat_dd.conversation.place import Visit, here
from pipecat_dd.conversation.processor import Processor, Role, Service
from pipecat_dd.conversation.stage import Kind, Stage

if TYPE_CHECKING:
    from pipecat_dd.instrumentation.moments import Heard


def visit_of(source: Processor | None) -> Visit | None:
    """Return the visit that a processor is in the middle of in this task, if it is in one.

    Args:
        source: The processor.
    """
    place = here.get()
    if isinstance(place, Visit) and place.processor is source and not place.done:
        return place
    return None


def answer_of(answers: Answers, source: Processor | None, *, at_end: bool = True) -> Stage | None:
    """Return the response that a processor is passing on, or answering with, in this task.

    Args:
        answers: The answers.
        source: The processor.
        at_end: Whether it counts that it works on the response's end, rather than on its text.
    """
    visit = visit_of(source)
    if visit is None:
        return None
    stage = visit.stage
    if stage is not None and stage.kind is Kind.LLM:
        return stage
    if not at_end and visit.frame_class == "LLMFullResponseEndFrame":
        return None
    return answers.carried_by(visit.frame.id)


def answers_spoken(answers: Answers, source: Processor) -> list[Stage] | None:
    """Return the responses whose text a service is about to synthesize in this task.

    Args:
        answers: The answers.
        source: The service.

    Returns:
        None where that is not known, and it may be any.
    """
    visit = visit_of(source)
    if visit is None:
        return None
    stage = answers.carried_by(visit.frame.id)
    if stage is not None:
        return [stage]
    return [] if visit.frame_class == "TTSSpeakFrame" else None


def text_passes(heard: "Heard") -> None:
    """Text was pushed that is no model's own frame."""
    source, answers = heard.source, heard.conversation.bot.answers
    if source is None:
        return
    stage = answer_of(answers, source)
    if stage is not None:
        answers.carry(heard.frame.id, stage)
    if source.answers and source.role is not Role.LLM:
        text_comes(heard)


def speech_passes(heard: "Heard") -> None:
    """The bot is to say something: words of its own, or a model's, made into such a request."""
    answers = heard.conversation.bot.answers
    stage = answer_of(answers, heard.source, at_end=False)
    if stage is not None:
        answers.carry(heard.frame.id, stage)
    if _pipecat.is_aside(heard.frame):
        return  # the user goes on: a backchannel begins no turn, and answers none
    heard.conversation.bot.speech_asked(heard.at_ns)


def text_comes(heard: "Heard") -> None:
    """A model's text came."""
    source, frame = heard.source, heard.frame
    stage = None if source is None else source.stage
    if source is None or stage is None or stage.kind is not Kind.LLM:
        return
    text = str(getattr(frame, "text", ""))
    skips = _pipecat.skips_voice(heard.instance, frame)
    heard.conversation.bot.response_output(
        source,
        heard.at_ns,
        spoken=not skips,
        read=skips and not _pipecat.is_marker(text),
    )
    heard.conversation.bot.answers.carry(frame.id, stage)
    stage.quote("gen_ai.output.messages", text)


def begins_to_answer(heard: "Heard", source: Processor) -> None:
    """A processor that is no service of Pipecat's announced a response.

    Args:
        heard: The announcement.
        source: The processor.
    """
    if source.role is not Role.OTHER:
        return
    bot, visit = heard.conversation.bot, visit_of(source)
    own = visit.stage if visit is not None else None
    if own is not None and own.kind is Kind.LLM:
        if own.is_open:
            return  # announced a second time
    elif source.asked_ns:
        if visit is not None:
            asked_with(bot.answers, visit.frame, source)
    elif visit is not None and bot.answers.carried_by(visit.frame.id) is not None:
        return  # it passes on what a model answers
    if not source.has_answered:
        source.has_answered = True
        source.service = _service_behind(heard.instance)
    asked_ns, source.asked_ns = source.asked_ns or heard.at_ns, 0
    if visit is None:
        bot.announced.begin(source, heard.at_ns, anew=True, asked_ns=asked_ns)
        return
    visit.stage = bot.response_begins(
        source, asked_ns, own if own is not None and own.is_open else None
    )
    bot.answers.carry(heard.frame.id, visit.stage)


def has_answered(heard: "Heard", source: Processor) -> None:
    """A processor that is no service of Pipecat's announced that its response has ended.

    Args:
        heard: The announcement.
        source: The processor.
    """
    bot, visit = heard.conversation.bot, visit_of(source)
    stage = visit.stage if visit is not None else None
    # Most announce it in any case, also as they are cut off.
    task = asyncio.current_task()
    interrupted = task is not None and task.cancelling() > 0
    if stage is not None and stage.kind is Kind.LLM:
        bot.answers.carry(heard.frame.id, stage)
        bot.response_ends(stage, heard.at_ns, interrupted=interrupted)
        return
    if source.stage is not None:
        bot.answers.carry(heard.frame.id, source.stage)
    bot.announced.end(source, heard.at_ns, interrupted=interrupted)


def context_passes(heard: "Heard") -> None:
    """A model is asked: with what another answered, where something works on that."""
    answers = heard.conversation.bot.answers
    stage = answer_of(answers, heard.source)
    if stage is not None:
        answers.carry(heard.frame.id, stage)


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


def is_asked(heard: "Heard") -> None:
    """The model is asked to respond to the context as it is."""
    context_passes(heard)
    heard.conversation.turns.ask()


def is_asked_with_messages(heard: "Heard") -> None:
    """The context is changed, and the model may be asked to respond to that."""
    if _pipecat.asks_model(heard.frame):
        context_passes(heard)
        heard.conversation.turns.ask()


def _service_behind(instance: Any) -> Callable[[], Service]:
    service = Service(*_pipecat.model_behind(instance))
    return lambda: service
