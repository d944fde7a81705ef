"""Wraps the user's event handlers in order to record what they raise."""

import inspect
from collections.abc import Callable
from typing import Any


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
