"""Computes the metrics of stages, depending on their kind.

A stage is measured when it has ended, from the attributes that its span has, so that metrics and
spans of a conversation cannot disagree.
"""

import math
from collections.abc import Callable, Iterator

from pipecat_dd.conversation.connections import REFUSED
from pipecat_dd.conversation.model import AttributeValue, Kind, Stage
from pipecat_dd.conversation.service_events import COMPLETION_TIMEOUT
from pipecat_dd.conversation.turns import BY_USER
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.export.metrics.values import within
from pipecat_dd.names import metric_tags, metrics, tags

Tags = dict[str, AttributeValue | None]
Measure = Callable[[Stage], Iterator[Sample]]

_TOKENS = {
    "input": tags.GEN_AI_USAGE_INPUT_TOKENS,
    "output": tags.GEN_AI_USAGE_OUTPUT_TOKENS,
    "cache_read": tags.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_creation": tags.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    "reasoning": tags.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
    "audio_input": tags.GEN_AI_USAGE_AUDIO_INPUT_TOKENS,
    "audio_output": tags.GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS,
}

_SPEECH = {"user": tags.SESSION_USER_SPEECH_SECONDS, "bot": tags.SESSION_BOT_SPEECH_SECONDS}
"""How long each speaker spoke."""


def closed(stage: Stage) -> Iterator[Sample]:
    """Yield the metrics of a stage that has ended."""
    for measure in _MEASURES.get(stage.kind, ()):
        yield from measure(stage)
    # The failure of a turn or session is counted at the stage where it happened, a refused
    # connection where the service reports the error, and a response that timed out at the response.
    is_counted = stage.kind in (Kind.TURN, Kind.SESSION) or (
        stage.kind is Kind.SERVICE_EVENT and stage.resource in (REFUSED, COMPLETION_TIMEOUT)
    )
    if stage.failure is not None and not is_counted:
        yield _error(stage)


def started(stage: Stage) -> Sample:
    """Return the metric of a session that has started, from the session's stage."""
    return Sample(metrics.SESSIONS_STARTED, 1, _transport(stage))


def joined(stage: Stage) -> Sample:
    """Return the metric of a participant who has joined, from the participant's stage."""
    return Sample(metrics.PARTICIPANTS_JOINED, 1, {metric_tags.TRANSPORT: stage.resource})


def _session(stage: Stage) -> Iterator[Sample]:
    ended = _transport(stage) | {
        metric_tags.END_REASON: stage.attributes.get(tags.SESSION_END_REASON)
    }
    spoke = bool(stage.attributes.get(tags.SESSION_BOT_SPEECH_COUNT))
    yield Sample(metrics.SESSION_DURATION_SECONDS, _secs(stage), ended)
    outcome = stage.attributes.get(tags.SESSION_OUTCOME)
    yield Sample(
        metrics.SESSIONS_ENDED,
        1,
        ended | {metric_tags.BOT_SPOKE: spoke, metric_tags.SESSION_OUTCOME: outcome},
    )


def _sound(stage: Stage) -> Iterator[Sample]:
    """Yield how a session sounded: how long each side spoke, and how long there was silence."""
    transport = _transport(stage)
    yield from _timed(
        metrics.SESSION_FIRST_SPEECH_SECONDS, stage, tags.SESSION_FIRST_SPEECH_SECONDS, transport
    )
    silence_of = {metric_tags.SILENCE_OF: stage.attributes.get(tags.SESSION_LONGEST_SILENCE_OF)}
    yield from _timed(
        metrics.SESSION_LONGEST_SILENCE_SECONDS,
        stage,
        tags.SESSION_LONGEST_SILENCE_SECONDS,
        transport | silence_of,
    )
    yield from _timed(
        metrics.SESSION_LONGEST_BOT_SILENCE_SECONDS,
        stage,
        tags.SESSION_LONGEST_BOT_SILENCE_SECONDS,
        transport,
    )
    for speaker, fact in _SPEECH.items():
        by = transport | {metric_tags.SPEAKER: speaker}
        yield from _amount(metrics.SPEECH_SECONDS, stage, fact, by)
    yield from _amount(
        metrics.USER_AUDIO_MISSING, stage, tags.SESSION_NO_USER_AUDIO_COUNT, transport
    )


def _participant(stage: Stage) -> Iterator[Sample]:
    yield Sample(metrics.PARTICIPANTS_LEFT, 1, {metric_tags.TRANSPORT: stage.resource})


def _turn(stage: Stage) -> Iterator[Sample]:
    transport = _transport(stage)
    outcome = transport | {metric_tags.OUTCOME: stage.attributes.get(tags.TURN_OUTCOME)}
    yield Sample(metrics.TURN_DURATION_SECONDS, _secs(stage), outcome)
    yield Sample(metrics.TURNS, 1, outcome | _answer(stage))
    if stage.attributes.get(tags.TURN_WAS_INTERRUPTED):
        yield Sample(metrics.INTERRUPTIONS, 1, transport)
    yield from _number(
        metrics.TURN_USER_BOT_LATENCY_SECONDS, stage, tags.TURN_USER_BOT_LATENCY_SECONDS, transport
    )
    for part, _ in tags.WAIT_PARTS:
        by = transport | {metric_tags.PART: part}
        yield from _number(metrics.TURN_WAIT_SECONDS, stage, tags.turn_wait_seconds(part), by)


def _answer(stage: Stage) -> Tags:
    """Return the tags for who began a turn, and how long its answer took."""
    latency = stage.attributes.get(tags.TURN_USER_BOT_LATENCY_SECONDS)
    by_user = stage.resource == BY_USER
    return {
        metric_tags.BEGAN_BY: stage.resource,
        metric_tags.ANSWERED_WITHIN: within(latency) if isinstance(latency, (int, float)) else None,
        metric_tags.LEFT_WAITING: bool(stage.attributes.get(tags.TURN_LEFT_WAITING))
        if by_user
        else None,
    }


def _failovers(stage: Stage) -> Iterator[Sample]:
    prefix = tags.failovers.prefix
    for name in stage.attributes:
        if name.startswith(prefix):
            by: Tags = {metric_tags.PROVIDER: name.removeprefix(prefix)}
            yield from _amount(metrics.FAILOVERS, stage, name, by)


def _end_of_turn(stage: Stage) -> Iterator[Sample]:
    strategy: Tags = {metric_tags.STRATEGY: stage.resource}
    outcome = {metric_tags.OUTCOME: stage.attributes.get(tags.END_OF_TURN_OUTCOME)}
    yield Sample(metrics.END_OF_TURN_SECONDS, _secs(stage), strategy | outcome)
    yield from _amount(
        metrics.END_OF_TURN_INCOMPLETE, stage, tags.END_OF_TURN_INCOMPLETE_COUNT, strategy
    )


def _user_speech(stage: Stage) -> Iterator[Sample]:
    by = _transport(stage)
    yield from _amount(metrics.USER_AUDIO_GAPS, stage, tags.USER_AUDIO_GAP_COUNT, by)
    yield from _amount(
        metrics.USER_AUDIO_GAP_SECONDS, stage, tags.USER_AUDIO_LONGEST_GAP_SECONDS, by
    )
    yield from _number(
        metrics.USER_AUDIO_LEVEL_DBFS, stage, tags.USER_AUDIO_LEVEL_DBFS, by, least=-math.inf
    )


def _bot_speech(stage: Stage) -> Iterator[Sample]:
    by = _transport(stage)
    yield Sample(metrics.BOT_SPEECHES, 1, by)
    yield from _amount(metrics.VOICE_GAPS, stage, tags.BOT_SPEECH_GAP_COUNT, by)
    yield from _amount(metrics.VOICE_GAP_SECONDS, stage, tags.BOT_SPEECH_LONGEST_GAP_SECONDS, by)


def _service_event(stage: Stage) -> Iterator[Sample]:
    provider: Tags = {metric_tags.PROVIDER: _provider(stage)}
    by = provider | {
        metric_tags.EVENT: stage.resource,
        metric_tags.OUTCOME: "completed" if stage.failure is None else "failed",
    }
    # Many that came at once are one stage.
    count = stage.attributes.get(tags.EVENT_COUNT)
    yield Sample(metrics.SERVICE_EVENTS, count if isinstance(count, int) else 1, by)
    yield from _number(
        metrics.SERVICE_RECONNECT_SECONDS, stage, tags.CONNECTION_LOST_SECONDS, provider
    )


def _tool(stage: Stage) -> Iterator[Sample]:
    by = {
        metric_tags.TOOL: stage.attributes.get(tags.TOOL_NAME),
        metric_tags.OUTCOME: stage.attributes.get(tags.TOOL_OUTCOME),
    }
    yield Sample(metrics.TOOL_DURATION_SECONDS, _secs(stage), by)


def _first_byte(stage: Stage) -> Iterator[Sample]:
    yield from _number(metrics.SERVICE_TTFB_SECONDS, stage, tags.METRICS_TTFB, _service(stage))


def _stt(stage: Stage) -> Iterator[Sample]:
    yield from _amount(metrics.AUDIO_SECONDS, stage, tags.METRICS_AUDIO_SECONDS, _service(stage))


def _llm(stage: Stage) -> Iterator[Sample]:
    model = _model(stage)
    yield from _number(metrics.LLM_TTFAT_SECONDS, stage, tags.METRICS_TTFAT, model)
    for type_, fact in _TOKENS.items():
        yield from _amount(metrics.TOKENS, stage, fact, model | {metric_tags.TYPE: type_})


def _tts(stage: Stage) -> Iterator[Sample]:
    model = _model(stage)
    yield from _number(metrics.TTS_TTFA_SECONDS, stage, tags.METRICS_TTFA, model)
    yield from _amount(metrics.CHARACTERS, stage, tags.METRICS_CHARACTER_COUNT, model)
    yield from _amount(metrics.AUDIO_SECONDS, stage, tags.TTS_AUDIO_SECONDS, _service(stage))


_MEASURES: dict[Kind, tuple[Measure, ...]] = {
    Kind.SESSION: (_session, _sound, _failovers),
    Kind.PARTICIPANT: (_participant,),
    Kind.TURN: (_turn, _failovers),
    Kind.USER_SPEECH: (_user_speech,),
    Kind.END_OF_TURN: (_end_of_turn,),
    Kind.STT: (_first_byte, _stt),
    Kind.LLM: (_first_byte, _llm),
    Kind.TOOL: (_tool,),
    Kind.TTS: (_first_byte, _tts),
    Kind.BOT_SPEECH: (_bot_speech,),
    Kind.SERVICE_EVENT: (_service_event,),
}


def _error(stage: Stage) -> Sample:
    failure = stage.failure
    assert failure is not None
    return Sample(
        metrics.ERRORS,
        1,
        {
            metric_tags.STAGE: stage.kind.value,
            metric_tags.CATEGORY: failure.category,
            metric_tags.PROVIDER: _provider(stage),
            metric_tags.USABLE: failure.usable,
        },
    )


def _provider(stage: Stage) -> AttributeValue | None:
    return stage.attributes.get(tags.GEN_AI_PROVIDER_NAME) or _provider_at_work(stage)


def _provider_at_work(stage: Stage) -> str | None:
    """Return the provider of a service at work outside of its own stages.

    Tools have no provider: their failures are not the model's.
    """
    if stage.kind not in (Kind.FRAME, Kind.STARTUP, Kind.SERVICE_EVENT):
        return None
    name = str(stage.attributes.get(tags.PROCESSOR_NAME))
    processor = stage.processor or stage.session.processors.get(name)
    if processor is None or processor.service is None:
        return None
    return processor.service().provider


def _number(
    metric: str, stage: Stage, fact: str, by: Tags, *, least: float = 0
) -> Iterator[Sample]:
    """Yield a number that is known, finite and not below the least that it can be."""
    value = stage.attributes.get(fact)
    if isinstance(value, (int, float)) and math.isfinite(value) and value >= least:
        yield Sample(metric, value, by)


def _timed(metric: str, stage: Stage, fact: str, by: Tags) -> Iterator[Sample]:
    """Yield a time, with a tag that says within how many seconds it is."""
    for sample in _number(metric, stage, fact, by):
        yield Sample(metric, sample.value, by | {metric_tags.WITHIN: within(sample.value)})


def _amount(metric: str, stage: Stage, fact: str, by: Tags) -> Iterator[Sample]:
    """Yield a count, unless it is 0."""
    return (sample for sample in _number(metric, stage, fact, by) if sample.value)


def _secs(stage: Stage) -> float:
    end_ns = stage.end_ns if stage.end_ns is not None else stage.start_ns
    return max(0, end_ns - stage.start_ns) / 1e9


def _transport(stage: Stage) -> Tags:
    return {metric_tags.TRANSPORT: stage.session.root.attributes.get(tags.TRANSPORT)}


def _model(stage: Stage) -> Tags:
    facts = stage.attributes
    return {
        metric_tags.PROVIDER: facts.get(tags.GEN_AI_PROVIDER_NAME),
        metric_tags.MODEL: facts.get(tags.GEN_AI_REQUEST_MODEL),
    }


def _service(stage: Stage) -> Tags:
    return {metric_tags.STAGE: stage.kind.value} | _model(stage)
