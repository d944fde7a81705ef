"""Wraps the dispatch of events, and the user's handlers of them."""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.conversation.context import WorkContext, current

SetAside = Callable[[], Callable[[], None]]
"""Makes the span that is active here inactive; returns a function that makes it active again."""


async def dispatch_within(
    work: WorkContext,
    set_aside: SetAside,
    settle: Callable[[], None],
    inner: Callable[..., Awaitable[Any]],
    event_name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """Dispatch an event as Pipecat does, in the event's work context, which its handlers inherit.

    Args:
        work: The event's work context.
        set_aside: Called if the event comes from outside the session.
        settle: Called once the event is dispatched. Must not raise.
        inner: Pipecat's ``_call_event_handler``.
        event_name: The event.
        args: What Pipecat passes on to the handlers.
        kwargs: The same, by name.
    """
    before = current.get()
    outside = before is None or before.session is not work.session
    put_back = None
    with _guard.instrumentation.guarded():
        put_back = set_aside() if outside else None
    token = current.set(work)
    try:
        return await inner(event_name, *args, **kwargs)
    finally:
        # Raised if the garbage collector closes the coroutine, in another context.
        with contextlib.suppress(ValueError):
            current.reset(token)
        if put_back is not None:
            with _guard.instrumentation.guarded():
                put_back()
        settle()


def reporting_failures(
    handler: Any,
    call: tuple[Any, ...],
    options: dict[str, Any],
    failed: Callable[[Exception], None],
) -> Any:
    """Return a handler that calls the given one and reports what it raises.

    Args:
        handler: A function or a coroutine function.
        call: The arguments with which Pipecat will call it.
        options: The keyword arguments with which Pipecat will call it.
        failed: Called with each exception; must not raise.
    """
    try:
        # Pipecat's error line names the line that raised. If the arguments do not fit the
        # handler, that line is the call itself, which must therefore stay Pipecat's.
        inspect.signature(handler).bind(*call, **options)
    except TypeError as error:
        failed(error)
        return handler
    except Exception:
        return handler

    if inspect.iscoroutinefunction(handler):

        async def noted_async(*args: Any, **kwargs: Any) -> Any:
            try:
                return await handler(*args, **kwargs)
            except Exception as error:
                failed(error)
                raise

        return noted_async

    def noted(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            failed(error)
            raise

    return noted
