"""Who asks which span is active, and who answers."""

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
    """Return what ddtrace has active in this task, leaving aside what we would answer."""
    provider = tracer.context_provider
    found = provider.activated() if isinstance(provider, _Answering) else provider.active()
    return None if _is_over(found) else found


def _is_over(found: Active | None) -> bool:
    """Whether it is a stand-in whose span is sent. Not every ddtrace looks at those itself."""
    return isinstance(found, StandIn) and found.finished


def set_aside() -> Callable[[], None]:
    """Have nothing active here until what is returned is called.

    For what somebody else's span (a web request's) happens to be active around, and which is
    no part of it.
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
    """Return who asks what is active without anything to nest in it, if it is one of those.

    With ``ddtrace.auto`` it asks at every callback of the event loop, to tell its profiler, and
    at every task that is made and that begins. An answer would be taken for work on whatever is
    at work there, and cost what an answer costs.
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
    """Have ddtrace ask us which span is active.

    Every integration, log injection and ``tracer.trace()`` goes through the tracer's context
    provider, so one place serves them all. Done once per process; what was there before keeps
    doing its work underneath.

    Args:
        answer: Given what ddtrace has active in the task that asks, returns what is. It must
            not raise.
        taken: Given what ddtrace has active where a task is made, returns what the task takes
            along; where the task begins, it is given that too, and returns what is active
            there. It must not raise.
    """
    provider = tracer.context_provider
    # configure() turns on what DD_TRACE_ENABLED=false has turned off; with nothing to nest,
    # there is nothing to answer.
    if isinstance(provider, _Answering) or not is_enabled():
        return
    kind: Any = type(provider)

    class AnsweringProvider(kind, _Answering):  # type: ignore[misc]
        """Answers with the stage of the conversation that is at work."""

        def active(self) -> Active | None:
            beneath: tuple[Active, list[Span]] | None = getattr(thread_state, "beneath", None)
            if beneath is not None:
                return beneath[0]
            found: Active | None = super().active()
            # Whoever asks, asyncio's create_task among them, must not hear of an error of ours.
            # (ddtrace.auto asks at each callback of the event loop: no context manager here.)
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
    # ddtrace's middleware leaves websockets alone, and their scope, where that is turned off.
    return "datadog" in (getattr(websocket, "scope", None) or ())
