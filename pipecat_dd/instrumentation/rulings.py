"""Reads the rulings on whether the user has finished.

A turn detection model (``BaseTurnAnalyzer``) is asked by its strategy; ``analyze_end_of_turn`` is
replaced on the analyzer's *instance*, awaited in place. Its ruling is read there rather than from
the ``MetricsFrame``, which is queued, comes after the turn may have ended, and is not there for
analyzers without metrics. Where an analyzer is not found, the ``MetricsFrame`` has to do.

A model that answers may rule, too, by a marker in front of its answer, and services that own the
user's turn say in a transcription how sure they are.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.context import FrameProcessing, current
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Phase, Role
from pipecat_dd.instrumentation.frame_event import FrameEvent


def reading_rulings(
    analyzer: Any, conversation: Conversation, *, ends_by_silence: bool
) -> Callable[..., Awaitable[Any]]:
    """Return the patch of a turn detection model's ``analyze_end_of_turn``.

    Args:
        analyzer: Pipecat's ``BaseTurnAnalyzer``.
        conversation: The conversation in which it rules.
        ends_by_silence: Whether the strategy that asks it ends the turn, whatever the model then
            says, when the analyzer has counted enough silence.
    """
    inner: Callable[..., Awaitable[Any]] = analyzer.analyze_end_of_turn

    async def analyze_end_of_turn(*args: Any, **kwargs: Any) -> Any:
        began_ns = time.monotonic_ns()
        result = await inner(*args, **kwargs)
        with _guard.instrumentation.guarded():
            took_secs = (time.monotonic_ns() - began_ns) / 1e9
            _ruled(conversation, result, took_secs, ends_by_silence=ends_by_silence)
        return result

    return analyze_end_of_turn


def _ruled(
    conversation: Conversation, result: Any, took_secs: float, *, ends_by_silence: bool
) -> None:
    work = current.get()
    if conversation.session.phase is not Phase.RUNNING:
        return
    if work is not None and work.session not in (None, conversation.session):
        return  # an analyzer that several sessions share
    is_complete, measured = _pipecat.ruling_of(result)
    if is_complete is None:
        return
    probability, inference_secs = _pipecat.measured_ruling(measured)
    if inference_secs is None or inference_secs > took_secs:
        inference_secs = took_secs
    rulings, at_ns = conversation.user.rulings, time.time_ns()
    rulings.measurements.append(measured)
    # Audio is no frame that a processor's work is bound to: it comes too often.
    by_audio = not (isinstance(work, FrameProcessing) and not work.done)
    if by_audio and ends_by_silence and not is_complete:
        rulings.time_out(at_ns)
        return
    rulings.note(
        at_ns,
        is_complete=is_complete,
        probability=probability,
        inference_secs=inference_secs,
        is_revised=by_audio,
    )


def ruling_measured(event: FrameEvent, data: Any) -> None:
    """Handle the metrics of a ruling, if they are the first that is seen of it."""
    if not _pipecat.is_a(data, "TurnMetricsData"):
        return
    if any(data is known for known in event.conversation.user.rulings.measurements):
        return
    probability, inference_secs = _pipecat.measured_ruling(data)
    event.conversation.user.rulings.note(
        event.at_ns,
        is_complete=bool(data.is_complete),
        probability=probability,
        inference_secs=inference_secs,
    )


def ruling_transcribed(event: FrameEvent) -> None:
    """Handle a transcription with which a service says how sure it is of the turn's end."""
    confidence = _pipecat.end_of_turn_confidence(event.frame)
    if confidence is not None:
        event.conversation.user.rulings.note_confidence(event.at_ns, confidence)


def prediction_withdrawn(event: FrameEvent) -> None:
    """Handle a prediction that a service takes back; a strategy's reasons are others."""
    if event.source is not None and event.source.role is Role.STT:
        event.conversation.user.rulings.withdraw(event.at_ns)


def ruled_complete(event: FrameEvent) -> None:
    """Handle the word that the user has finished, of a model that answers or of any processor."""
    event.conversation.user.rulings.note(event.at_ns, is_complete=True)


def marker_comes(event: FrameEvent) -> None:
    """Handle a marker by which a model that answers has ruled."""
    if event.source is None or event.source.role is not Role.LLM:
        return
    if _pipecat.is_incomplete_marker(event.instance, str(getattr(event.frame, "marker", ""))):
        event.conversation.user.rulings.note(event.at_ns, is_complete=False)


def text_may_rule(event: FrameEvent) -> None:
    """Handle a marker that comes as text, as it did before there was a frame for it."""
    if getattr(event.frame, "skip_tts", None) and _pipecat.is_marker(event.frame.text):
        marker = event.frame.text.strip()
        if _pipecat.is_incomplete_marker(event.instance, marker):
            event.conversation.user.rulings.note(event.at_ns, is_complete=False)


def is_reprompted(event: FrameEvent) -> None:
    """Handle a model's asking itself again: it had ruled, and waited in vain for the user."""
    rulings = event.conversation.user.rulings
    if event.source is not None and event.source.role is Role.LLM and rulings.is_waiting:
        rulings.time_out(event.at_ns)
