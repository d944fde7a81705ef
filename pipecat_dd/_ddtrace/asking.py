"""Answers ddtrace when it asks which span is active."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from pipecat_dd import _guard
from pipecat_dd._ddtrace.busy import is_busy, thread_state
from pipecat_dd._ddtrace.public import Active, Context, Span, tracer
from pipecat_dd._ddtrace.settings import is_enabled
from pipecat_dd._ddtrace.stand_ins import StandIn, note_begun


def activated() -> Active | None:
    """Return what ddtrace itself has as active in this task, without our answer."""
    provider = tracer.context_provider
    found = provider.activated() if isinstance(provider, _Answering) else provider.active()
    return None if _is_over(found) else found


def _is_over(found: Active | None) -> bool:
    """Whether this is a stand-in whose span has been sent; not every ddtrace checks that itself."""
    return isinstance(found, StandIn) and found.finished


def set_aside() -> Callable[[], None]:
    """Make nothing active here, until the returned function is called.

    For work that is not part of the span that happens to be active, such as that of a web request.
    """
    found = activated()
    if found is None:
        return lambda: None
    provider = tracer.context_provider
    provider.activate(None)

    def put_back() -> None:
        provider.activate(found)

    return put_back


_PROFILING = "_sync_active_otel_thread_context"
_MAKING_TASK = "_wrapped_create_task"
_BEGINNING_TASK = "traced_coro"
_ASKING_FOR_CONTEXT = "current_trace_context"


def _asker(caller: FrameType) -> FrameType | None:
    """Return the function of ddtrace that asks, if it will nest nothing under the answer.

    With ``ddtrace.auto``, ddtrace asks at every callback of the event loop, for its profiler, and
    at every task that is created or begins. Our answer would count as a reference to the current
    stage, and would take time.
    """
    name = caller.f_code.co_name
    if name in (_PROFILING, _MAKING_TASK):
        return caller
    above = caller.f_back
    if name == _ASKING_FOR_CONTEXT and above is not None:
        name = above.f_code.co_name
        if name in (_MAKING_TASK, _BEGINNING_TASK, _PROFILING):
            return above
    return None


def _note(span: Span) -> None:
    try:
        note_begun(span)
    except Exception as error:
        _guard.spans.failed(error)


class _Answering:
    """Marks a context provider as ours."""

    def activated(self) -> Active | None:
        raise NotImplementedError


def answers() -> bool:
    """Whether ddtrace asks us which span is active."""
    return isinstance(tracer.context_provider, _Answering)


def answer_active(
    answer: Callable[[Active | None], Active | None],
    taken: Callable[[Active, Context | None], Active | None] = lambda found, taken: found,
) -> None:
    """Make ddtrace ask us which span is active.

    All integrations, log injection and ``tracer.trace()`` use the tracer's context provider, which
    is replaced once per process. The existing provider stays in use underneath.

    Args:
        answer: Given what ddtrace has as active in the calling task, returns what to report as
            active. Must not raise.
        taken: Called where a task is created, with what ddtrace has as active; returns what the
            task inherits. Called again where the task begins, with that as well; returns what is
            active in the task. Must not raise.
    """
    provider = tracer.context_provider
    # configure() would turn on again what DD_TRACE_ENABLED=false has turned off; and without
    # spans there is nothing to answer.
    if isinstance(provider, _Answering) or not is_enabled():
        return
    kind: Any = type(provider)

    class AnsweringProvider(kind, _Answering):  # type: ignore[misc]
        """Reports the conversation's current stage as active."""

        def active(self) -> Active | None:
            beneath: tuple[Active, list[Span]] | None = getattr(thread_state, "beneath", None)
            if beneath is not None:
                return beneath[0]
            found: Active | None = super().active()
            # Callers, including asyncio's create_task, must never get an error of ours. There is
            # no context manager here, since ddtrace.auto asks at each callback of the event loop.
            try:
                if is_busy():
                    return found
                if _is_over(found):
                    found = None
                asker = _asker(sys._getframe(1))
                if asker is not None:
                    name = asker.f_code.co_name
                    if found is None or name == _PROFILING:
                        return found
                    along = None
                    if name == _BEGINNING_TASK:
                        along = asker.f_locals.get("dd_active")
                    return taken(found, along)
            except Exception as error:
                _guard.spans.failed(error)
                return found
            return answer(found)

        def activate(self, ctx: Active | None) -> None:
            beneath = getattr(thread_state, "beneath", None)
            if beneath is None:
                super().activate(ctx)
                if isinstance(ctx, Span):
                    _note(ctx)
            elif isinstance(ctx, Span):
                beneath[1].append(ctx)

        def activated(self) -> Active | None:
            return super().active()  # type: ignore[no-any-return]

    tracer.configure(context_provider=AnsweringProvider())


def traces_messages(websocket: Any) -> bool:
    """Whether each message of a websocket behind FastAPI or Starlette gets a span of its own.

    Args:
        websocket: The websocket, with its ASGI scope.
    """
    # If that is turned off, ddtrace's middleware leaves the scope of websockets unchanged.
    return "datadog" in (getattr(websocket, "scope", None) or ())
