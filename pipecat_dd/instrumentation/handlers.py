"""Handlers of events that do what the user's do, and let us know what they raise."""

import inspect
from collections.abc import Callable
from typing import Any


def noting(
    handler: Any,
    call: tuple[Any, ...],
    options: dict[str, Any],
    failed: Callable[[Exception], None],
) -> Any:
    """Return a handler that does what another does, noting what it raises.

    Args:
        handler: The handler: a function or a coroutine function.
        call: The arguments that Pipecat will call it with.
        options: The keyword arguments that Pipecat will call it with.
        failed: Told what it raises. It must not raise.
    """
    try:
        # Pipecat's error line names the place where an error was raised. Of a call that does
        # not fit the handler that is the call itself, so that must stay Pipecat's.
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
