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
        Undoes what a session must not leave behind; None if it did not work and all events are
        queued.
    """
    try:
        whole = proxy_of(processor)
        queue = peek(whole, "_proxies")[observer].queue
        if type(queue) is not asyncio.Queue:
            return None
        # Not an attribute `put`: as long as one queue of a class has one, Python looks for it
        # whenever anything is put into any other.
        spared = cast("_SparingQueue", queue)
        spared.heard, spared.admits, spared.done = heard, admits, _done()
        queue.__class__ = _SparingQueue
    except Exception:
        return None
    try:
        return _pass_by(peek(processor, "_setup"), whole, observer, heard)
    except Exception:
        return _nothing


def _nothing() -> None:
    """Undo nothing."""


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
        pipecat_dd_processing: A second copy, with those that do something with a frame that is
            processed; None if there are none.
        pipecat_dd_done: What to deliver it to none comes to.
    """

    pipecat_dd_whole: Any
    pipecat_dd_heard: Set[int]
    pipecat_dd_setup: Any
    pipecat_dd_processing: Any
    pipecat_dd_done: asyncio.Future[None]


_IGNORES = BaseObserver.on_process_frame


def _ignores_processing(observer: Any) -> bool:
    """Whether an observer has left it at Pipecat's method that does nothing."""
    method = getattr(observer, "on_process_frame", None)
    return getattr(method, "__func__", None) is _IGNORES and not _IGNORES.__code__.co_names


def _bypass_class(proxy_class: type) -> type:
    """Return the class of such a copy.

    Args:
        proxy_class: The class of Pipecat's proxy.
    """

    def on_process_frame(self: _Bypass, data: Any) -> Awaitable[None]:
        if id(data.processor) in self.pipecat_dd_heard:
            processing = self.pipecat_dd_processing
            if processing is None:
                return self.pipecat_dd_done
            return cast("Awaitable[None]", processing.on_process_frame(data))
        # A processor that is not patched, before it has pushed anything: it may be held by one of
        # the user's. From here on all events go to all observers.
        self.pipecat_dd_setup.observer = self.pipecat_dd_whole
        return cast("Awaitable[None]", self.pipecat_dd_whole.on_process_frame(data))

    def forwarding(name: str) -> Callable[..., Any]:
        return lambda self, *args, **kwargs: getattr(self.pipecat_dd_whole, name)(*args, **kwargs)

    of_frames = ("on_process_frame", "on_push_frame")
    names = [n for n in vars(proxy_class) if not n.startswith("_") and n not in of_frames]
    methods = {n: forwarding(n) for n in names if callable(vars(proxy_class)[n])}
    return type(
        proxy_class.__name__, (proxy_class,), {**methods, "on_process_frame": on_process_frame}
    )


_bypass_classes = ClassMemo(_bypass_class)


def _copy(proxy: Any, kind: type[Any]) -> Any:
    found = object.__new__(kind)
    for name, value in vars(proxy).items():
        setattr(found, name, value)
    return found


def _pass_by(setup: Any, whole: Any, observer: Any, heard: Set[int]) -> Callable[[], None]:
    """Let the events of a pipeline's processors go to all observers but one.

    Those that ignore that a frame is processed do not get that, either: Pipecat would queue it, and
    wake the observer's task, for nothing. It is most of what Pipecat's own observers cost.

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
    rest, processing = _copy(whole, _bypass_classes(type(whole))), _copy(whole, type(whole))
    rest.pipecat_dd_whole, rest.pipecat_dd_heard, rest.pipecat_dd_setup = whole, heard, setup
    rest.pipecat_dd_done = _done()
    add, remove = whole.add_observer, whole.remove_observer

    def look_again() -> None:
        found = peek(whole, "_proxies") or {}
        rest._proxies = {one: proxy for one, proxy in found.items() if one is not observer}
        processing._proxies = {
            one: proxy for one, proxy in rest._proxies.items() if not _ignores_processing(one)
        }
        rest.pipecat_dd_processing = processing if processing._proxies else None

    def add_observer(*args: Any, **kwargs: Any) -> Any:
        try:
            return add(*args, **kwargs)
        finally:
            keep_up()

    async def remove_observer(*args: Any, **kwargs: Any) -> Any:
        try:
            return await remove(*args, **kwargs)
        finally:
            keep_up()

    def keep_up() -> None:
        try:
            look_again()
        except Exception:
            give_way()

    def give_way() -> None:
        if setup.observer is rest:
            setup.observer = whole

    def end() -> None:
        give_way()
        for name, ours in (("add_observer", add_observer), ("remove_observer", remove_observer)):
            if getattr(whole, name) is ours:
                delattr(whole, name)

    look_again()
    whole.add_observer, whole.remove_observer = add_observer, remove_observer
    setup.observer = rest
    return end


def _done() -> asyncio.Future[None]:
    """Return what is awaited some hundred times a second; a new coroutine each time costs more."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
