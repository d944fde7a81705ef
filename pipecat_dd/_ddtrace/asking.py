"""Who asks which span is active, and who answers."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from pipecat_dd import _guard
from pipecat_dd._ddtrace.busy import is_busy, thread_state
from pipecat_dd._ddtrace.public import Active, Span, tracer
from pipecat_dd._ddtrace.settings import is_enabled


def activated() -> Active | None:
    """Return what ddtrace has active in this task, leaving aside what we would answer."""
    provider = tracer.context_provider
    if isinstance(provider, _Answering):
        return provider.activated()
    return provider.active()


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


_LOOKING = frozenset({"_sync_active_otel_thread_context", "_wrapped_create_task"})


def _is_only_looking(caller: FrameType) -> bool:
    """Whether ddtrace asks what is active without anything to nest in it.

    With ``ddtrace.auto`` it asks at every callback of the event loop, to tell its profiler, and
    at every task that is made. An answer would be taken for work on whatever is at work there,
    and cost what an answer costs.
    """
    if caller.f_code.co_name in _LOOKING:
        return True
    above = caller.f_back
    return (
        above is not None
        and caller.f_code.co_name == "current_trace_context"
        and above.f_code.co_name in _LOOKING
    )


class _Answering:
    """Marks a context provider as ours."""

    def activated(self) -> Active | None:
        raise NotImplementedError


def answers() -> bool:
    """Whether ddtrace asks us which span is active."""
    return isinstance(tracer.context_provider, _Answering)


def answer_active(answer: Callable[[Active | None], Active | None]) -> None:
    """Have ddtrace ask us which span is active.

    Every integration, log injection and ``tracer.trace()`` goes through the tracer's context
    provider, so one place serves them all. Done once per process; what was there before keeps
    doing its work underneath.

    Args:
        answer: Given what ddtrace has active in the task that asks, returns what is. It must
            not raise.
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
                if is_busy() or _is_only_looking(sys._getframe(1)):
                    return found
            except Exception as error:
                _guard.spans.failed(error)
                return found
            return answer(found)

        def activate(self, ctx: Active | None) -> None:
            beneath = getattr(thread_state, "beneath", None)
            if beneath is None:
                super().activate(ctx)
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
