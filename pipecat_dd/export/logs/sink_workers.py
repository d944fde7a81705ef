"""Recognises the worker of a sink: the thread or task that posts the sink's lines later.

Many sinks only put a line into a queue. A thread or task that was started when the sink was
created, and not while it writes, reads the queue. Such a worker is recognised by its stack: it has
a method of the sink's object on it, or a function that has taken something from the sink's queue.
A function that only refers to the queue does not count.
"""

import asyncio
import dis
import functools
import inspect
import queue
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from logging.handlers import QueueListener
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

from pipecat_dd import _loguru

_MAX_FRAMES: Final = 64
_QUEUES: Final = (queue.Queue, queue.SimpleQueue, asyncio.Queue, deque)
_READS: Final = frozenset({"get", "get_nowait", "popleft", "pop", "get_message"})
_LOCALS: Final = frozenset({"locals", "vars", "dir", "eval", "exec"})
_LISTENER_FILE: Final = QueueListener.handle.__code__.co_filename


class _Sinks:
    """The objects, queues and code of the current sinks.

    Attributes:
        objects: The sinks that are objects with methods of their own, by ``id()``.
        queues: The queues that the sinks may put lines into, by ``id()``.
        codes: The code of the objects' methods, and of functions inside of these.
    """

    def __init__(self, sinks: Iterable[Any]) -> None:
        self.objects: dict[int, Any] = {}
        self.queues: dict[int, Any] = {}
        self.codes: set[CodeType] = set()
        for sink in sinks:
            self._add(sink)

    def __bool__(self) -> bool:
        return bool(self.objects or self.queues)

    def _add(self, sink: Any) -> None:
        while isinstance(sink, functools.partial):
            for given in (*sink.args, *sink.keywords.values()):
                self._add_queue(given)
            sink = sink.func
        if inspect.isroutine(sink):
            # The object of a bound method does not count: it may be the whole bot.
            self._add_function(inspect.unwrap(sink))
            return
        kind = type(sink)
        if methods := set(_codes_of(kind)):
            self.objects[id(sink)] = sink
            self.codes |= methods
        for value in list(getattr(sink, "__dict__", {}).values()):
            self._add_queue(value)

    def _add_function(self, routine: Any) -> None:
        function = getattr(routine, "__func__", routine)
        if not isinstance(function, FunctionType):
            return
        for value in _referenced_by(function):
            self._add_queue(value)
        of_owner = getattr(getattr(routine, "__self__", None), "__dict__", {})
        for name in function.__code__.co_names:
            self._add_queue(of_owner.get(name))

    def _add_queue(self, value: Any) -> None:
        if isinstance(value, _QUEUES):
            self.queues[id(value)] = value


_handlers: Mapping[int, Any] | None = None
_sinks = _Sinks(())


def is_at_work() -> bool:
    """Whether the calling code runs in the worker of a sink."""
    global _handlers, _sinks
    handlers = _loguru.handlers()
    if handlers is not _handlers:
        _handlers, _sinks = handlers, _Sinks(_loguru.sinks(handlers))
    return bool(_sinks) and _is_on_stack(_sinks, sys._getframe(1))


def _is_on_stack(sinks: _Sinks, frame: FrameType | None) -> bool:
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return False
        code = frame.f_code
        if sinks.queues and _is_listener(sinks, frame):
            return True
        if code in sinks.codes and _contains(sinks.objects, frame.f_locals.values()):
            return True
        if sinks.queues and _has_read(sinks, frame):
            return True
        frame = frame.f_back
    return False


def _has_read(sinks: _Sinks, frame: FrameType) -> bool:
    reads = _queue_reads(frame.f_code)
    if not reads:
        return False
    for name, attribute, at in reads:
        if frame.f_lasti < at:
            continue
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        if attribute is not None:
            value = getattr(value, "__dict__", {}).get(attribute)
        if sinks.queues.get(id(value)) is value and value is not None:
            return True
    return False


def _is_listener(sinks: _Sinks, frame: FrameType) -> bool:
    """Whether a frame is that of a `QueueListener` which passes a record on to its handlers."""
    if frame.f_code.co_filename != _LISTENER_FILE:
        return False
    listener = frame.f_locals.get("self")
    return isinstance(listener, QueueListener) and _contains(sinks.queues, (listener.queue,))


@lru_cache(maxsize=4096)
def _queue_reads(code: CodeType) -> tuple[tuple[str, str | None, int], ...]:
    """Return where code takes something from a queue.

    Each item is the variable that holds the queue, or holds an object with the queue in an
    attribute; that attribute, or None; and the offset of the instruction.
    """
    # Code that calls locals() or the like is skipped: before Python 3.13, reading a frame's
    # variables changes the dict that locals() returned.
    if _READS.isdisjoint(code.co_names) or not _LOCALS.isdisjoint(code.co_names):
        return ()
    found: list[tuple[str, str | None, int]] = []
    before: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_METHOD", "LOAD_ATTR") and step.argval in _READS and before:
            of = before[-1]
            if of.opname == "LOAD_ATTR" and len(before) > 1:
                found.append((_variable(before[-2]), str(of.argval), step.offset))
            else:
                found.append((_variable(of), None, step.offset))
        if step.opname not in ("CACHE", "NOP", "EXTENDED_ARG", "RESUME"):
            before.append(step)
    return tuple((name, of, at) for name, of, at in found if name)


def _variable(step: Any) -> str:
    """Return the variable that an instruction loads; an empty text if it loads none."""
    if not step.opname.startswith("LOAD_"):
        return ""
    value = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
    return value if isinstance(value, str) else ""


def _codes_of(kind: type) -> Iterator[CodeType]:
    """Yield the code of a class's methods, without those of the standard library's classes."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in sys.stdlib_module_names:
            continue
        for value in vars(base).values():
            function = getattr(value, "__func__", value)
            if isinstance(function, FunctionType):
                yield from _with_inner(inspect.unwrap(function).__code__)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _referenced_by(function: FunctionType) -> Iterator[Any]:
    """Yield the objects that a function's code refers to by name."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet set
            continue
    for code in _with_inner(function.__code__):
        for name in code.co_names:
            yield function.__globals__.get(name)
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()


def _contains(objects: dict[int, Any], values: Iterable[Any]) -> bool:
    return any(objects.get(id(value)) is value for value in values if value is not None)
