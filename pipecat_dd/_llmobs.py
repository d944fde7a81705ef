"""The one door to ddtrace's LLM Observability.

It is imported when it is first wanted: a bot without it pays nothing. Public names only, but
for those listed in :data:`PRIVATE`, each of which degrades to less when it is missing.

ddtrace's own functions (``LLMObs.workflow()`` and its kin) start a span beneath whatever is
active and make it active. Ours are started when they have ended, beneath a stage that is over
or never was a span: so while one is started, both of ddtrace's context providers answer with
what it is beneath, and take no notice of what they are told to activate.
"""

import contextlib
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import ddtrace

from pipecat_dd import _ddtrace, _guard
from pipecat_dd._ddtrace import Active, Context, Span

PRIVATE: dict[str, str] = {
    "LLMObs._instance": "leads to those below",
    "LLMObs._llmobs_context_provider": "what is asked which of its spans one begins beneath; "
    "without it no stage is told, and the spans of integrations stand alone",
    "LLMObs._user_span_processor": "the processor that the user registered, so that ours calls it",
    "LLMObs._apply_user_span_processor": "leads to the span itself, of which a processor sees only "
    "input, output and metadata; without it documents, prompt templates, instructions and "
    "descriptions of tools that integrations report stay on their spans",
    "LLMObs._llmobs_span_event": "the same, in an older ddtrace",
    "LLMObs._current_trace_context": "a function that asks what is active without anything to nest",
    "LLMObs._current_span": "another",
    "LLMObs._sampler": "whether a session is sampled, decided once; without it none is stated",
    "Context._meta": "where ids that cross processes are",
    "_dd.p.llmobs_*": "those ids, by the names of ddtrace's protocol",
    "Span._get_struct_tag": "what an integration reported, to take content out of it",
    "_config._llmobs_ml_app": "the application's name, which ddtrace 4.0 insists on",
    "llmobs_parent_id": "a tag: which span of a trace is at its root, by the id it ends with",
}
"""What is used here without being public, and what it is used for."""

KINDS = frozenset({"agent", "workflow", "task", "tool", "retrieval", "embedding", "llm"})
"""The kinds of spans there are."""

NO_PARENT = "undefined"

_PARENT_ID = "_dd.p.llmobs_parent_id"
_TRACE_ID = "_dd.p.llmobs_trace_id"
_SESSION_ID = "_dd.p.llmobs_sid"
_SAMPLE_RATE = "_dd.p.llmobs_sr"
_SAMPLED = "_dd.p.llmobs_sd"
_AGENT_ID = "_dd.p.llmobs_pagent_span_id"
_AGENT_NAME = "_dd.p.llmobs_pagent_name"

_TRUE = ("true", "1", "yes", "on")
_LOOKING = frozenset({"_current_trace_context", "_current_span"})
"""They ask at every task that is made, say."""

_MARK = "pipecat_dd_is_asked"
"""On an instance of LLM Observability that asks us: there is one for each time it is enabled."""

_here = threading.local()
"""In this thread: ``above``, what the span that is being started begins beneath; ``emptied``,
whether content was taken out of the one that is about to leave."""


class Above:
    """What a span begins beneath, as ddtrace reads it: a trace of LLM Observability's, and a span.

    Attributes:
        span_id: The span's id; ``NO_PARENT`` for none.
        trace_id: The trace's id.
    """

    __slots__ = ("_meta", "span_id", "trace_id")

    def __init__(self, trace_id: int, span_id: int | str, meta: Mapping[str, str]) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self._meta = meta


def is_wanted() -> bool:
    """Whether the environment turns LLM Observability on (``DD_LLMOBS_ENABLED``)."""
    return os.environ.get("DD_LLMOBS_ENABLED", "").strip().lower() in _TRUE


def is_on() -> bool:
    """Whether LLM Observability is on in this process. Imports nothing."""
    found = getattr(sys.modules.get("ddtrace.llmobs"), "LLMObs", None)
    return bool(getattr(found, "enabled", False))


def has_name() -> bool:
    """Whether there is a name for the application, which everything is filed under."""
    return bool(os.environ.get("DD_LLMOBS_ML_APP") or _ddtrace.service())


def enable() -> bool:
    """Turn LLM Observability on.

    Returns:
        Whether it is on: ``DD_LLMOBS_ENABLED=false`` wins over everything.

    Raises:
        ValueError: ddtrace lacks what it needs; says what.
    """
    enable = _llmobs().enable
    enable(**_named(enable))
    return is_on()


def knows_less() -> bool:
    """Whether this ddtrace sends the product's spans apart from the trace, as 4.0 does.

    It then knows neither a span's own name, nor whose session one is of that is opened beneath
    it, nor whether the session is sampled.
    """
    return not hasattr(_llmobs()._instance, "_apply_user_span_processor")


def _llmobs() -> Any:
    from ddtrace.llmobs import LLMObs

    return LLMObs


def _named(function: Callable[..., Any]) -> dict[str, str]:
    """Name the application where ddtrace would not take the service for it."""
    if _takes_service_for_it(function):
        return {}
    name = getattr(ddtrace.config, "_llmobs_ml_app", None) or _ddtrace.service()
    return {"ml_app": str(name)} if name else {}


@functools.cache
def _takes_service_for_it(function: Callable[..., Any]) -> bool:
    return "agent_service" in inspect.signature(function).parameters


# Where a span belongs


def trace_facts(session_id: str, trace_id: int, tags: Mapping[str, str]) -> dict[str, str]:
    """Return what all spans of a session share, with the decision whether they are sampled.

    Args:
        session_id: The session's id.
        trace_id: The trace's id, from which it is decided.
        tags: The tags of the session's span, by which rules choose.
    """
    facts = {_SESSION_ID: session_id}
    with contextlib.suppress(Exception):
        sampler = _llmobs()._instance._sampler
        unified = zip(("service", "env", "version"), _ddtrace.unified(), strict=True)
        known = {name: value for name, value in unified if value}
        sampled, rate = sampler.sample(_Sampled(trace_id), {**known, **tags})
        facts |= {_SAMPLE_RATE: str(rate), _SAMPLED: "1" if sampled else "0"}
    return facts


class _Sampled:
    def __init__(self, trace_id: int) -> None:
        self._trace_id_64bits = trace_id & ((1 << 64) - 1)


def in_trace(facts: Mapping[str, str], trace_id: int) -> dict[str, str]:
    """Return a session's facts with the id of a trace of LLM Observability's.

    Args:
        facts: What all spans of the session share.
        trace_id: The trace's id.
    """
    return {**facts, _TRACE_ID: str(trace_id)}


def written(trace_id: int) -> str:
    """Return a trace's id as it is written there.

    Args:
        trace_id: The id.
    """
    return f"{trace_id:032x}" if trace_id >= 1 << 64 else str(trace_id)


def by_agent(facts: Mapping[str, str], span_id: int, name: str) -> dict[str, str]:
    """Return facts of what is done for an agent.

    Args:
        facts: The facts.
        span_id: The id of the agent's span.
        name: The agent's name.
    """
    return {**facts, _AGENT_ID: str(span_id), _AGENT_NAME: _ddtrace.writable(name)}


def remote(parent: Context | None) -> tuple[int, int, dict[str, str]] | None:
    """Return the trace and span of LLM Observability's that came with a remote parent, if any.

    Args:
        parent: The remote parent, as extracted from headers.

    Returns:
        The trace's id, the span's id, and what was decided of the trace there.
    """
    try:
        meta: Mapping[str, str] = {} if parent is None else parent._meta
        decided = {name: meta[name] for name in (_SAMPLE_RATE, _SAMPLED) if name in meta}
        return int(meta[_TRACE_ID]), int(meta[_PARENT_ID]), decided
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def stamp(context: Context, above: Above) -> None:
    """Note on a context what begins beneath it here, and on nothing that shared its facts.

    Args:
        context: A context of the trace.
        above: What it stands for.
    """
    with contextlib.suppress(AttributeError):
        context._meta = {**context._meta, **above._meta, _PARENT_ID: str(above.span_id)}


# Starting and describing


def start(
    kind: str, name: str, above: Above, parent: Active, facts: Mapping[str, str | None]
) -> Span | None:
    """Start a span that is LLM Observability's too, without making it active.

    Args:
        kind: Its kind.
        name: Its name there.
        above: What it begins beneath there.
        parent: Its parent in the trace.
        facts: What ddtrace's function for the kind takes besides.

    Returns:
        The span; None where ddtrace cannot be told what it begins beneath.
    """
    LLMObs = _llmobs()  # noqa: N806
    if not LLMObs.enabled or not _is_ours(LLMObs._instance) or not _ddtrace.answers():
        return None
    make = getattr(LLMObs, kind)
    begun: list[Span] = []
    name, facts = _ddtrace.writable(name), _writable(facts)
    _here.above = above
    try:
        with _ddtrace.beneath(parent, begun):
            span: Span = make(name=name, **facts, **_named(make))
    except Exception as error:
        if not begun:
            raise
        # It is started, and would hold back its trace for ever: a span, and nothing more.
        begun[0].span_type = None
        _guard.llmobs.failed(error)
        return begun[0]
    finally:
        _here.above = None
    return span


def settle(span: Span) -> None:
    """Correct what ddtrace noted of a span when it had another id.

    Args:
        span: The span, with the id it ends with.
    """
    if span.get_tag("llmobs_parent_id") is not None:
        span.set_tag("llmobs_parent_id", str(span.span_id))


def annotate(span: Span, **facts: Any) -> None:
    """Describe a span, with what ``LLMObs.annotate`` takes.

    Args:
        span: The span.
        **facts: Its description.
    """
    _llmobs().annotate(span, **_writable(facts))


def _writable(value: Any) -> Any:
    """Return text, or what holds text, with only what ddtrace can write."""
    if isinstance(value, str):
        return _ddtrace.writable(value)
    if isinstance(value, Mapping):
        return {_writable(name): _writable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_writable(part) for part in value]
    return value


# Being asked


class _Answering:
    """Marks a context provider as ours."""


def answer_active(
    answer: Callable[[Any], Any],
    began: Callable[[Span], None],
    process: Callable[[Any], bool],
    rest: Callable[[dict[str, Any]], None],
) -> None:
    """Have LLM Observability ask us what its spans begin beneath, and pass them by us.

    Done once for each time it is enabled; what was there before keeps doing its work underneath.

    Args:
        answer: Given what is active in the task that asks, returns what is. Must not raise.
        began: Told of a span of somebody else's that has begun, after ``answer``.
        process: Takes content out of a span, or lets it pass; says whether it has taken it out.
            Must not raise.
        rest: Takes it out of what a processor is not shown, too.
    """
    instance = _llmobs()._instance
    if getattr(instance, _MARK, False):
        return
    setattr(instance, _MARK, True)
    _take_content_out(instance, process, rest)
    provider = getattr(instance, "_llmobs_context_provider", None)
    if provider is None:
        return
    kind: Any = type(provider)

    class AnsweringProvider(kind, _Answering):  # type: ignore[misc]
        """Answers with the stage of the conversation that is at work."""

        def __init__(self) -> None:
            """Leave what is active as it is: ddtrace's own begins with nothing."""

        def active(self) -> Any:
            above = getattr(_here, "above", None)
            if above is not None:
                return above
            found = super().active()
            if sys._getframe(1).f_code.co_name in _LOOKING:
                return found
            _chain(instance, process)
            return answer(found)

        def activate(self, ctx: Any) -> None:
            if getattr(_here, "above", None) is not None:
                return
            super().activate(ctx)
            if isinstance(ctx, Span):
                began(ctx)

    instance._llmobs_context_provider = AnsweringProvider()


def _is_ours(instance: Any) -> bool:
    return isinstance(getattr(instance, "_llmobs_context_provider", None), _Answering)


# Taking content out


class _Processor:
    """The processor of LLM Observability's spans: the user's, and then ours."""

    def __init__(self, users: Callable[[Any], Any] | None, process: Callable[[Any], bool]) -> None:
        self._users = users
        self._process = process

    def __call__(self, span: Any) -> Any:
        try:
            result = span if self._users is None else self._users(span)
        except Exception:
            # ddtrace says so, and sends the span that it gave.
            self._take(span)
            raise
        if result is not span:
            self._take(span)
        if result is not None:
            self._take(result)
        return result

    def _take(self, span: Any) -> None:
        _here.emptied = self._process(span) or getattr(_here, "emptied", False)


def _chain(instance: Any, process: Callable[[Any], bool]) -> None:
    """Have spans pass by us after the user's own processor, whenever that was registered."""
    with _guard.llmobs.guarded():
        users = getattr(instance, "_user_span_processor", None)
        if not isinstance(users, _Processor):
            _llmobs().register_processor(_Processor(users, process))


def _take_content_out(
    instance: Any, process: Callable[[Any], bool], rest: Callable[[dict[str, Any]], None]
) -> None:
    """Have spans pass by us, with what a processor is not shown of them."""
    _chain(instance, process)
    # The step that calls the processor: by itself, or, in ddtrace 4.0, with the rest.
    is_alone = hasattr(instance, "_apply_user_span_processor")
    name = "_apply_user_span_processor" if is_alone else "_llmobs_span_event"
    inner = getattr(instance, name, None)
    if inner is None:
        return

    def passes(span: Span, *args: Any, **kwargs: Any) -> Any:
        _here.emptied = False
        _chain(instance, process)
        result = inner(span, *args, **kwargs)
        if _here.emptied and result is not None:
            with _guard.llmobs.guarded():
                told: Any = (span._get_struct_tag("_llmobs") if is_alone else result) or {}
                meta = told.get("meta") or {}
                try:
                    rest(meta)
                except Exception:
                    meta.clear()
                    raise
        return result

    setattr(instance, name, passes)
