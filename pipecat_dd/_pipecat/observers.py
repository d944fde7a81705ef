"""Keeps events that our patches report already away from Pipecat's queue for an observer.

For every observer, Pipecat queues each push and each processing of a frame, and wakes the
observer's task for it, which is most of an observer's cost. What happens in a patched processor
need not be queued as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Set
from typing import Any, Protocol, cast

from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed

from pipecat_dd._pipecat.class_memo import ClassMemo
from pipecat_dd._pipecat.events import finished
from pipecat_dd._private import peek

Admits = Callable[[type, int], bool]
"""Given the class of an event's frame and how many events wait, returns whether to queue the event.
Must not raise."""


def proxy_of(processor: Any) -> Any:
    """Return Pipecat's proxy for the observers of a processor's worker, or None if unknown."""
    setup = peek(processor, "_setup")
    found = getattr(setup, "observer", None) or peek(processor, "_observer")
    return peek(found, "pipecat_dd_whole", found)


def spare_events(
    processor: Any,
    observer: Any,
    heard: Set[int],
    admits: Admits = lambda kind, waiting: True,
) -> Callable[[], None] | None:
    """Keep events out of an observer's queue if our patches report them already.

    Args:
        processor: Any processor of the pipeline.
        observer: The observer.
        heard: The ids, as of :func:`id`, of the processors whose events are not queued.
        admits: Whether to queue the event of another processor.

    Returns:
        Undoes what a session must not leave behind; None if there is nothing to undo.
    """
    try:
        whole = proxy_of(processor)
        queue = peek(whole, "_proxies")[observer].queue
        if type(queue) is not asyncio.Queue:
            return None
        # Not an attribute `put`: as long as one queue of a class has one, Python looks for it
        # whenever anything is put into any other.
        spared = cast("_SparingQueue", queue)
        spared.heard, spared.admits, spared.done = heard, admits, finished()
        queue.__class__ = _SparingQueue
    except Exception:
        return None
    try:
        return _pass_by(peek(processor, "_setup"), whole, observer, heard)
    except Exception:
        return None


class _SparingQueue(asyncio.Queue[Any]):
    """An observer's queue, without the events that our patches report already.

    Attributes:
        heard: The ids, as of :func:`id`, of the processors whose events are left out.
        admits: Whether to take the event of another.
        done: What to leave an event out comes to.
    """

    heard: Set[int]
    admits: Admits
    done: asyncio.Future[None]

    def put(self, event: Any) -> Awaitable[None]:  # type: ignore[override]
        """Take an event, or leave it out."""
        kind = type(event)
        if kind is FrameProcessed:
            if id(event.processor) in self.heard:
                return self.done
        elif kind is not FramePushed:
            return super().put(event)
        elif id(event.source) in self.heard:
            return self.done
        return super().put(event) if self.admits(type(event.frame), self.qsize()) else self.done


class _Bypass(Protocol):
    """A copy of Pipecat's proxy for a worker's observers, which has all of them but one.

    It is itself one of Pipecat's proxies, so the others get their events from Pipecat's own code.

    Attributes:
        pipecat_dd_whole: The proxy.
        pipecat_dd_heard: The ids, as of :func:`id`, of the patched processors.
        pipecat_dd_setup: What Pipecat has set the processors up with.
        pipecat_dd_done: What to deliver an event to none comes to.
    """

    pipecat_dd_whole: Any
    pipecat_dd_heard: Set[int]
    pipecat_dd_setup: Any
    pipecat_dd_done: asyncio.Future[None]
    _proxies: dict[Any, Any]


_IGNORES = BaseObserver.on_process_frame


def _ignores_processing(observer: Any) -> bool:
    """Whether an observer has left it at Pipecat's method that does nothing.

    Raises:
        AttributeError: It has something else than a method.
    """
    return observer.on_process_frame.__func__ is _IGNORES and not _IGNORES.__code__.co_names


def _bypass_class(proxy_class: type) -> type:
    """Return the class of such a copy.

    Args:
        proxy_class: The class of Pipecat's proxy.
    """
    pipecats: Any = proxy_class
    process_of_others, push_of_others = pipecats.on_process_frame, pipecats.on_push_frame

    def give_way(self: _Bypass) -> Any:
        # A processor that is not patched: it may be held by one of the user's. From here on all
        # events go to all observers.
        self.pipecat_dd_setup.observer = self.pipecat_dd_whole
        return self.pipecat_dd_whole

    def on_process_frame(self: _Bypass, data: Any) -> Awaitable[None]:
        if id(data.processor) not in self.pipecat_dd_heard:
            return cast("Awaitable[None]", give_way(self).on_process_frame(data))
        # Asked for each event: a method may be replaced at any time.
        try:
            if all(map(_ignores_processing, self._proxies)):
                return self.pipecat_dd_done
        except Exception:
            pass  # one of them has something else than a method
        return cast("Awaitable[None]", process_of_others(self, data))

    def on_push_frame(self: _Bypass, data: Any) -> Awaitable[None]:
        if id(data.source) not in self.pipecat_dd_heard:
            return cast("Awaitable[None]", give_way(self).on_push_frame(data))
        return cast("Awaitable[None]", push_of_others(self, data))

    def forwarding(name: str) -> Callable[..., Any]:
        return lambda self, *args, **kwargs: getattr(self.pipecat_dd_whole, name)(*args, **kwargs)

    methods: dict[str, Any] = {}
    for base in proxy_class.__mro__[: proxy_class.__mro__.index(BaseObserver)]:
        for name, value in vars(base).items():
            if not name.startswith("_") and callable(value):
                methods[name] = forwarding(name)
    methods |= {"on_process_frame": on_process_frame, "on_push_frame": on_push_frame}
    return type(proxy_class.__name__, (proxy_class,), methods)


_bypass_classes = ClassMemo(_bypass_class)


def _pass_by(setup: Any, whole: Any, observer: Any, heard: Set[int]) -> Callable[[], None]:
    """Let the events of a pipeline's processors go to all observers but one.

    Where all others ignore that a frame is processed, that goes to none: Pipecat would queue it for
    each, and wake the observer's task, for nothing. It is most of what its own observers cost.

    Args:
        setup: What Pipecat has set the processors up with.
        whole: The proxy of all observers.
        observer: The one.
        heard: The ids, as of :func:`id`, of the patched processors. With the first event of
            another processor this ends.

    Returns:
        Ends it.

    Raises:
        Exception: It is not possible with this version.
    """
    if setup.observer is not whole:
        raise ValueError("the processors have another proxy")
    proxy_class = type(whole)
    rest: Any = object.__new__(_bypass_classes(proxy_class))
    for name, value in vars(whole).items():
        setattr(rest, name, value)
    rest.pipecat_dd_whole, rest.pipecat_dd_heard, rest.pipecat_dd_setup = whole, heard, setup
    rest.pipecat_dd_done = finished()
    add, remove = whole.add_observer, whole.remove_observer

    def look_again() -> None:
        found = peek(whole, "_proxies") or {}
        rest._proxies = {one: proxy for one, proxy in found.items() if one is not observer}

    def add_observer(*args: Any, **kwargs: Any) -> Any:
        try:
            return add(*args, **kwargs)
        finally:
            keep_up()

    async def remove_observer(*args: Any, **kwargs: Any) -> Any:
        # Before anything is awaited, as Pipecat does.
        for one in (*args, *kwargs.values()):
            rest._proxies = {o: proxy for o, proxy in rest._proxies.items() if o is not one}
        try:
            return await remove(*args, **kwargs)
        finally:
            keep_up()

    def keep_up() -> None:
        try:
            if rest.__class__ is not proxy_class:
                look_again()
        except Exception:
            end()

    def end() -> None:
        if setup.observer is rest:
            setup.observer = whole
        # A processor may have kept it: from here on it is as the proxy itself.
        rest.__class__ = proxy_class
        rest._proxies = peek(whole, "_proxies")
        for name in ("pipecat_dd_heard", "pipecat_dd_setup"):
            vars(rest).pop(name, None)
        for name, ours in (("add_observer", add_observer), ("remove_observer", remove_observer)):
            if getattr(whole, name) is ours:
                delattr(whole, name)

    look_again()
    whole.add_observer, whole.remove_observer = add_observer, remove_observer
    setup.observer = rest
    return end
