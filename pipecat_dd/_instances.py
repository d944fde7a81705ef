"""What happens where somebody gives Pipecat the observer's class instead of an instance.

``observers=[DatadogObserver]`` passes every check of Pipecat's: it calls methods of what it was
given, and each then lacks ``self``. Setting the worker up fails, or the observer's task does, with
a ``TypeError`` that names neither. So the methods that Pipecat calls can be called on the class,
too: they do nothing, and the mistake is logged by its name. The bot goes on.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from loguru import logger


def answer_on_class(kind: type, names: Iterable[str], reporters: Iterable[str]) -> None:
    """Let methods of a class that Pipecat calls be called on the class itself.

    Args:
        kind: The class.
        names: The methods: coroutine functions.
        reporters: Those of them that Pipecat calls once for each worker: they log the mistake.
    """
    once = tuple(reporters)
    for name in names:
        setattr(kind, name, _OnInstance(kind.__dict__[name], name in once))


class _OnInstance:
    """A method that, called on the class, does nothing but to say so."""

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
                    f"instance of it: write observers=[{name}()]. Nothing of this conversation is "
                    "seen"
                )
            return None

        return on_class
