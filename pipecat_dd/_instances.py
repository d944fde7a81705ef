"""Handles the mistake of giving Pipecat the observer's class instead of an instance.

``observers=[DatadogObserver]`` passes all of Pipecat's checks. Pipecat then calls methods of the
class, without ``self``, and the worker's setup or the observer's task fails with a ``TypeError``
that does not name the mistake. So the methods that Pipecat calls can also be called on the class:
they do nothing, an error is logged that names the mistake, and the bot goes on.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from loguru import logger


def answer_on_class(kind: type, names: Iterable[str], reporters: Iterable[str]) -> None:
    """Let methods that Pipecat calls be called on the class itself, without raising.

    Args:
        kind: The class of the observer.
        names: The names of the methods, which are coroutine functions.
        reporters: Those of the names that Pipecat calls once for each worker: these methods log
            the mistake.
    """
    once = tuple(reporters)
    for name in names:
        setattr(kind, name, _OnInstance(kind.__dict__[name], name in once))


class _OnInstance:
    """A method that, when called on the class, does nothing but log the mistake."""

    def __init__(self, method: Callable[..., Any], reports: bool) -> None:
        self._method = method
        self._reports = reports
        functools.update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is not None:
            return self._method.__get__(instance, owner)
        method, reports = self._method, self._reports

        @functools.wraps(method)
        async def on_class(*args: Any, **kwargs: Any) -> Any:
            if args and isinstance(args[0], owner):  # as in `DatadogObserver.setup(observer, …)`
                return await method(*args, **kwargs)
            if reports:
                name = owner.__name__
                logger.error(
                    f"pipecat_dd: a worker was given the class {name} as an observer, not an "
                    f"instance of it: write observers=[{name}()]. This conversation is not observed"
                )
            return None

        return on_class
