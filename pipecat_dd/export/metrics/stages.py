"""Computes the metrics of stages, depending on their kind.

A stage is measured when it has ended, from the attributes that its span has, so that metrics and
spans of a conversation cannot disagree.
"""

import math
from collections.abc import Callable, Iterator

from pipecat_dd.conversation.bot import LATENCY
from pipecat_dd.conversation.failovers import FAILOVERS
from pipecat_dd.conversation.latency import PARTS
from pipecat_dd.conversation.stage import AttributeValue, Kind, Stage
from pipecat_dd.conversation.turns import BY_USER, LEFT_WAITING
from pipecat_dd.export.metrics.contract import within
from pipecat_dd.export.metrics.sample import Sample

Measure = Callable[[Stage], Iterator[Sample]]

_TOKENS = {
    "input": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
    "audio_input": "gen_ai.usage.audio.input_tokens",
    "audio_output": "gen_ai.usage.audio.output_tokens",
}


def closed(stage: Stage) -> Iterator[Sample]:
    """Yield the metrics of a stage that has ended."""
    for measure in _MEASURES.get(stage.kind, ()):
        yield from measure(stage)
    # The failure of a turn or session is counted at the stage where it happened.
    if stage.failure is not None and stage.kind not in (Kind.TURN, Kind.SESSION):
        yield _error(stage)


def started(stage: Stage) -> Sample:
    """Return the metric of a session that has started, from the session's stage."""
    return Sample("pipecat.sessions.started", 1, _transport(stage))


def joined(stage: Stage) -> Sample:
    """Return the metric of a participant who has joined, from the participant's stage."""
    return Sample("pipecat.participants.joined", 1, {"transport": stage.resource})


def _session(stage: Stage) -> Iterator[Sample]:
    ended = _transport(stage) | {"end_reason": stage.attributes.get("session.end_reason")}
    spoke = bool(stage.attributes.get("session.bot_speech_count"))
    yield Sample("pipecat.session.duration_seconds", _secs(stage), ended)
    yield Sample("pipecat.sessions.ended", 1, ended | {"bot_spoke": spoke})


def _participant(stage: Stage) -> Iterator[Sample]:
    yield Sample("pipecat.participants.left", 1, {"transport": stage.resource})


def _turn(stage: Stage) -> Iterator[Sample]:
    transport = _transport(stage)
    outcome = transport | {"outcome": stage.attributes.get("turn.outcome")}
    yield Sample("pipecat.turn.duration_seconds", _secs(stage), outcome)
    yield Sample("pipecat.turns", 1, outcome | _answer(stage))
    if stage.attributes.get("turn.was_interrupted"):
        yield Sample("pipecat.interruptions", 1, transport)
    yield from _number("pipecat.turn.user_bot_latency_seconds", stage, LATENCY, transport)
    for part, _ in PARTS:
        tags = transport | {"part": part}
        yield from _number("pipecat.turn.wait_seconds", stage, f"turn.wait.{part}_seconds", tags)


def _answer(stage: Stage) -> dict[str, AttributeValue | None]:
    """Return the tags for who began a turn, and how long its answer took."""
    latency = stage.attributes.get(LATENCY)
    by_user = stage.resource == BY_USER
    return {
        "began_by": stage.resource,
        "answered_within": within(latency) if isinstance(latency, (int, float)) else None,
        "left_waiting": bool(stage.attributes.get(LEFT_WAITING)) if by_user else None,
    }


def _failovers(stage: Stage) -> Iterator[Sample]:
    for name in stage.attributes:
        if name.startswith(FAILOVERS):
            tags: dict[str, AttributeValue | None] = {"provider": name.removeprefix(FAILOVERS)}
            yield from _amount("pipecat.failovers", stage, name, tags)


def _end_of_turn(stage: Stage) -> Iterator[Sample]:
    yield Sample("pipecat.end_of_turn_seconds", _secs(stage), {"strategy": stage.resource})


def _tool(stage: Stage) -> Iterator[Sample]:
    tags = {
        "tool": stage.attributes.get("tool.name"),
        "outcome": stage.attributes.get("tool.outcome"),
    }
    yield Sample("pipecat.tool.duration_seconds", _secs(stage), tags)


def _first_byte(stage: Stage) -> Iterator[Sample]:
    yield from _number("pipecat.service.ttfb_seconds", stage, "metrics.ttfb", _service(stage))


def _stt(stage: Stage) -> Iterator[Sample]:
    yield from _amount("pipecat.audio_seconds", stage, "metrics.audio_seconds", _service(stage))


def _llm(stage: Stage) -> Iterator[Sample]:
    model = _model(stage)
    yield from _number("pipecat.llm.ttfat_seconds", stage, "metrics.ttfat", model)
    for type_, fact in _TOKENS.items():
        yield from _amount("pipecat.tokens", stage, fact, model | {"type": type_})


def _tts(stage: Stage) -> Iterator[Sample]:
    model = _model(stage)
    yield from _number("pipecat.tts.ttfa_seconds", stage, "metrics.ttfa", model)
    yield from _amount("pipecat.characters", stage, "metrics.character_count", model)
    yield from _amount("pipecat.audio_seconds", stage, "tts.audio_seconds", _service(stage))


_MEASURES: dict[Kind, tuple[Measure, ...]] = {
    Kind.SESSION: (_session, _failovers),
    Kind.PARTICIPANT: (_participant,),
    Kind.TURN: (_turn, _failovers),
    Kind.END_OF_TURN: (_end_of_turn,),
    Kind.STT: (_first_byte, _stt),
    Kind.LLM: (_first_byte, _llm),
    Kind.TOOL: (_tool,),
    Kind.TTS: (_first_byte, _tts),
}


def _error(stage: Stage) -> Sample:
    failure = stage.failure
    assert failure is not None
    return Sample(
        "pipecat.errors",
        1,
        {
            "stage": stage.kind.value,
            "category": failure.category,
            "provider": stage.attributes.get("gen_ai.provider.name") or _provider_at_work(stage),
            "usable": failure.usable,
        },
    )


def _provider_at_work(stage: Stage) -> str | None:
    """Return the provider of a service that failed outside of its own stages.

    Failures of tools have no provider: they are not the model's.
    """
    if stage.kind not in (Kind.FRAME, Kind.STARTUP):
        return None
    name = str(stage.attributes.get("processor.name"))
    processor = stage.processor or stage.session.processors.get(name)
    if processor is None or processor.service is None:
        return None
    return processor.service().provider


def _number(
    metric: str, stage: Stage, fact: str, tags: dict[str, AttributeValue | None]
) -> Iterator[Sample]:
    value = stage.attributes.get(fact)
    if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0:
        yield Sample(metric, value, tags)


def _amount(
    metric: str, stage: Stage, fact: str, tags: dict[str, AttributeValue | None]
) -> Iterator[Sample]:
    """Yield a count, unless it is 0."""
    return (sample for sample in _number(metric, stage, fact, tags) if sample.value)


def _secs(stage: Stage) -> float:
    end_ns = stage.end_ns if stage.end_ns is not None else stage.start_ns
    return max(0, end_ns - stage.start_ns) / 1e9


def _transport(stage: Stage) -> dict[str, AttributeValue | None]:
    return {"transport": stage.session.root.attributes.get("transport")}


def _model(stage: Stage) -> dict[str, AttributeValue | None]:
    facts = stage.attributes
    return {
        "provider": facts.get("gen_ai.provider.name"),
        "model": facts.get("gen_ai.request.model"),
    }


def _service(stage: Stage) -> dict[str, AttributeValue | None]:
    return {"stage": stage.kind.value} | _model(stage)
