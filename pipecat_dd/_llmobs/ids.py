"""The ids of a span's trace and parent in LLM Observability, and the trace's sampling decision."""

import contextlib
from collections.abc import Mapping

from pipecat_dd import _ddtrace
from pipecat_dd._ddtrace import Context
from pipecat_dd._llmobs.on import llmobs

NO_PARENT = "undefined"

_PARENT_ID = "_dd.p.llmobs_parent_id"
_TRACE_ID = "_dd.p.llmobs_trace_id"
_SESSION_ID = "_dd.p.llmobs_sid"
_SAMPLE_RATE = "_dd.p.llmobs_sr"
_SAMPLED = "_dd.p.llmobs_sd"
_AGENT_ID = "_dd.p.llmobs_pagent_span_id"
_AGENT_NAME = "_dd.p.llmobs_pagent_name"


class Above:
    """The parent of a span in LLM Observability, in the form that ddtrace reads.

    Attributes:
        span_id: The parent's id; ``NO_PARENT`` if there is none.
        trace_id: The id of the trace in LLM Observability.
    """

    __slots__ = ("_meta", "span_id", "trace_id")

    def __init__(self, trace_id: int, span_id: int | str, meta: Mapping[str, str]) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self._meta = meta


def trace_facts(session_id: str, trace_id: int, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that all spans of a session share, with the sampling decision.

    Args:
        session_id: The session's id.
        trace_id: The trace's id, on which the decision depends.
        tags: The tags of the session's span, which sampling rules may match.
    """
    facts = {_SESSION_ID: session_id}
    with contextlib.suppress(Exception):
        sampler = llmobs()._instance._sampler
        unified = zip(("service", "env", "version"), _ddtrace.unified(), strict=True)
        known = {name: value for name, value in unified if value}
        sampled, rate = sampler.sample(_Sampled(trace_id), {**known, **tags})
        facts |= {_SAMPLE_RATE: str(rate), _SAMPLED: "1" if sampled else "0"}
    return facts


class _Sampled:
    def __init__(self, trace_id: int) -> None:
        self._trace_id_64bits = trace_id & ((1 << 64) - 1)


def in_trace(facts: Mapping[str, str], trace_id: int) -> dict[str, str]:
    """Return a session's metadata, together with the id of a trace in LLM Observability.

    Args:
        facts: The metadata that all spans of the session share.
        trace_id: The trace's id.
    """
    return {**facts, _TRACE_ID: str(trace_id)}


def written(trace_id: int) -> str:
    """Return a trace's id in the form that LLM Observability uses."""
    return f"{trace_id:032x}" if trace_id >= 1 << 64 else str(trace_id)


def by_agent(facts: Mapping[str, str], span_id: int, name: str) -> dict[str, str]:
    """Return metadata for spans beneath an agent's.

    Args:
        facts: The metadata that all spans of the session share.
        span_id: The id of the agent's span.
        name: The agent's name.
    """
    return {**facts, _AGENT_ID: str(span_id), _AGENT_NAME: _ddtrace.writable(name)}


def remote(parent: Context | None) -> tuple[int, int, dict[str, str]] | None:
    """Return the trace and span of LLM Observability that came with a remote parent, if any.

    Args:
        parent: The remote parent, as extracted from headers.

    Returns:
        The trace's id, the span's id, and the sampling decision of the remote side.
    """
    try:
        meta: Mapping[str, str] = {} if parent is None else parent._meta
        decided = {name: meta[name] for name in (_SAMPLE_RATE, _SAMPLED) if name in meta}
        return int(meta[_TRACE_ID]), int(meta[_PARENT_ID]), decided
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def stamp(context: Context, above: Above) -> None:
    """Put the ids of LLM Observability on a context, and on no other that shares its metadata.

    Args:
        context: A context of the trace.
        above: The parent of the spans that will begin beneath the context.
    """
    with contextlib.suppress(AttributeError):
        context._meta = {**context._meta, **above._meta, _PARENT_ID: str(above.span_id)}
