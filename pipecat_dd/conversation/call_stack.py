"""Inspects the running code: its stack, its task, and what a suspended task awaits."""

import asyncio
import contextvars
import dis
import gc
import importlib
import inspect
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    GeneratorType,
)
from typing import Any, Final, NamedTuple

from pipecat_dd._private import peek

PRIVATE: dict[str, str] = {
    "Handle._run": "asyncio's call of a callback, beyond which a stack is the loop's own",
    "_bootstrap._find_and_load": "the import of a module, while it goes on",
}
"""The private attributes of other code that this module uses, and why."""


def _code_of(function: object) -> CodeType | None:
    found = getattr(function, "__code__", None)
    return found if isinstance(found, CodeType) else None


RUN_CALLBACK: Final = _code_of(peek(asyncio.Handle, "_run"))
"""The code with which asyncio's own event loop calls each callback."""

IMPORT_MODULE: Final = _code_of(peek(peek(importlib, "_bootstrap"), "_find_and_load"))
"""The code that imports a module, whose name is its variable ``name``."""

_SUSPENDED: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)
_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_MAX_AWAITED: Final = 256
"""How many coroutines of a chain that await one another are followed."""


class SampledCode(NamedTuple):
    """Code of an event loop as another thread sees it. It holds frames: keep it briefly.

    Attributes:
        thread_id: The thread that the code runs in.
        context: The context it runs in; None if that is not known.
        task: The task it runs in; None for a callback.
        frames: Its stack, the innermost first, up to what the event loop called.
    """

    thread_id: int
    context: contextvars.Context | None
    task: asyncio.Task[Any] | None
    frames: list[FrameType]

    @property
    def error(self) -> BaseException | None:
        """The exception that the thread is handling, if any."""
        found: Any = sys._current_exceptions().get(self.thread_id)
        if isinstance(found, tuple):  # before Python 3.12
            found = found[1]
        return found if isinstance(found, BaseException) else None


class CodePoint:
    """Where in its code a function was, to tell later whether a loop has come round since.

    Attributes:
        code: The function's code.
    """

    __slots__ = ("_loops", "_offset", "code")

    def __init__(self, frame: FrameType) -> None:
        """Record the point at which a frame's function is."""
        self.code = frame.f_code
        self._offset = frame.f_lasti
        self._loops: _LoopsAround | None = None

    @property
    def is_in_loop(self) -> bool:
        """Whether the point is in a loop, so that one call of the function may reach it twice."""
        return bool((self._loops or self._find_loops()).bodies)

    def precedes(self, frame: FrameType, sampled: SampledCode | None = None) -> bool:
        """Whether the function has passed this point, in the current round of a loop.

        Args:
            frame: The frame of the same call of the function.
            sampled: The code that the frame is of; None for the calling code.
        """
        loops = self._loops or self._find_loops()
        if not loops.bodies:
            return True
        if not loops.is_before(frame.f_lasti):
            return False
        # While an exception is handled, what counts is where it was raised.
        error = sys.exc_info()[1] if sampled is None else sampled.error
        traceback = None if error is None else error.__traceback__
        while traceback is not None:
            if traceback.tb_frame is frame:
                return loops.is_before(traceback.tb_lasti)
            traceback = traceback.tb_next
        return True

    def _find_loops(self) -> "_LoopsAround":
        self._loops = _loops_around(self.code, self._offset)
        return self._loops


class _LoopsAround:
    """The loops around a point of a function.

    Attributes:
        bodies: The positions at which their bodies begin.
    """

    __slots__ = ("_code", "_known", "_offsets", "_reachable", "bodies")

    def __init__(self, code: CodeType, point: int) -> None:
        self._code = code
        self._known: dict[int, bool] = {}
        self._offsets: list[int] = []
        self._reachable: frozenset[int] = frozenset()
        positions = _positions(code)
        instructions = list(dis.get_instructions(code))
        self.bodies = [
            positions[one.argval // 2]
            for one in instructions
            if _jumps_back(one) and one.argval <= point <= one.offset
        ]
        if self.bodies:
            self._offsets = [one.offset for one in instructions]
            start = self._offsets[bisect_right(self._offsets, point) - 1]
            self._reachable = _reachable(code, instructions, start)

    def is_before(self, offset: int) -> bool:
        """Whether an instruction comes after the point, in the same round of each loop."""
        known = self._known.get(offset)
        if known is None:
            known = self._known[offset] = self._can_follow(offset)
        return known

    def _can_follow(self, offset: int) -> bool:
        # During a call, a frame may already point past the instruction that makes the call.
        if self._offsets[bisect_right(self._offsets, offset) - 1] not in self._reachable:
            return False
        # The condition of a loop is compiled twice, the second time after its body.
        start = _positions(self._code)[offset // 2]
        return all(start >= body for body in self.bodies)


@lru_cache(maxsize=256)
def _loops_around(code: CodeType, point: int) -> _LoopsAround:
    # Kept, since it takes half a millisecond, and a server runs the same function for each call.
    return _LoopsAround(code, point)


def has_passed(code: CodeType, point: int, raised_at: int) -> bool:
    """Whether a function that raised an exception had passed a point, in this round of a loop.

    The answer is the same for every call of the function.

    Args:
        code: The function's code.
        point: The offset of the point's instruction.
        raised_at: The offset of the instruction that raised.
    """
    instructions = list(dis.get_instructions(code))
    offsets = [one.offset for one in instructions]
    point = offsets[bisect_right(offsets, point) - 1]
    raised_at = offsets[bisect_right(offsets, raised_at) - 1]
    if point == raised_at or raised_at not in _reachable(code, instructions, point):
        return False
    around = _reachable(code, instructions, offsets[0], without=point, comes_round=True)
    return raised_at not in around


_Position = tuple[int, int]
_ALWAYS_JUMP: Final = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})


def _positions(code: CodeType) -> list[_Position]:
    """Return the source position at which each instruction begins: line and column."""
    return [(line or 0, column or 0) for line, _, column, _ in code.co_positions()]


def _jumps_back(instruction: dis.Instruction) -> bool:
    """Whether an instruction ends a round of a loop. An await is compiled to a loop, too."""
    return "JUMP_BACKWARD" in instruction.opname and not instruction.opname.endswith("NO_INTERRUPT")


def _reachable(
    code: CodeType,
    instructions: list[dis.Instruction],
    offset: int,
    *,
    without: int | None = None,
    comes_round: bool = False,
) -> frozenset[int]:
    """Return the offsets of the instructions that may follow one.

    Args:
        code: The code.
        instructions: All instructions of the code.
        offset: The offset of the instruction to begin with.
        without: The offset of an instruction that must not be passed; None for no such limit.
        comes_round: Whether to follow loops into their next round.
    """
    following = {one.offset: after.offset for one, after in pairwise(instructions)}
    by_offset = {one.offset: one for one in instructions}
    handlers = getattr(dis.Bytecode(code), "exception_entries", ())
    found: set[int] = set()
    waiting = [offset]
    while waiting:
        at = waiting.pop()
        if at in found or at not in by_offset or at == without:
            continue
        found.add(at)
        one = by_offset[at]
        waiting += [entry.target for entry in handlers if entry.start <= at < entry.end]
        if one.opcode in dis.hasjrel or one.opcode in dis.hasjabs:
            if comes_round or not (_jumps_back(one) and one.argval <= at):
                waiting.append(one.argval)
            if one.opname in _ALWAYS_JUMP:
                continue
        if not one.opname.startswith(("RETURN_", "RAISE_VARARGS", "RERAISE")) and at in following:
            waiting.append(following[at])
    return frozenset(found)


def maker(observer: Any) -> FrameType | None:
    """Return the frame of the function that makes an observer.

    Call it in the observer's constructor.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        is_constructor = code.co_name == "__init__" and frame.f_locals.get("self") is observer
        if not is_constructor and code.co_name not in _COMPREHENSIONS:
            return frame
        frame = frame.f_back
    return None


def is_function(frame: FrameType | None) -> bool:
    """Whether a frame is that of a function, which may run a call, not of a module or a class."""
    return frame is not None and bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED)


# Called for each log line: without a running loop `asyncio.get_running_loop` raises an exception,
# which costs more than everything else.
running_loop: Final = asyncio._get_running_loop
"""Return the event loop that runs in this thread, or None."""


def running_task() -> asyncio.Task[Any] | None:
    """Return the task that the calling code runs in, if any."""
    loop = running_loop()
    return None if loop is None else asyncio.current_task(loop)


def context_of(task: Any) -> contextvars.Context | None:
    """Return the context that a task or a handle of asyncio runs in."""
    if hasattr(task, "get_context"):  # from Python 3.12 on
        found = task.get_context()
        return found if isinstance(found, contextvars.Context) else None
    # In older versions only the garbage collector can see a task's context.
    for held in gc.get_referents(task):
        if isinstance(held, contextvars.Context):
            return held
    return None


_RUN_TASKS: Final[dict[CodeType, str]] = {
    asyncio.Runner.run.__code__: "task",
    asyncio.BaseEventLoop.run_until_complete.__code__: "future",
}
"""Functions that run a task in an event loop until it is done, and their variable for the task."""


def task_run_by(frame: FrameType) -> object:
    """Return the task that a frame runs in an event loop until it is done; None for others."""
    name = _RUN_TASKS.get(frame.f_code)
    return None if name is None else frame.f_locals.get(name)


def callers_of(frame: FrameType) -> "Iterator[tuple[FrameType, CodePoint]]":
    """Yield the coroutines' frames further up a function's stack, and the point each is at."""
    caller = frame.f_back
    while caller is not None:
        if caller.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            yield caller, CodePoint(caller)
        caller = caller.f_back


def awaiter(task: asyncio.Task[Any], runs: Callable[[Any], bool]) -> tuple[Any, FrameType] | None:
    """Return the innermost function in a suspended task that awaits the run of a session.

    Args:
        task: The task.
        runs: Whether an object runs the session: its runner or a worker.
    """
    found = None
    for suspended, is_own in awaited_by(task):
        frame = frame_of(suspended)
        if frame is None:
            continue
        if frame.f_code.co_name == "run" and runs(frame.f_locals.get("self")):
            return found
        if is_own:
            found = suspended, frame
    return None


def frame_of(suspended: Any) -> FrameType | None:
    """Return the frame of a coroutine or generator; None once it has ended."""
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(suspended, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def awaited_by(task: asyncio.Task[Any]) -> Iterator[tuple[Any, bool]]:
    """Yield a suspended task's coroutine, the one that it awaits, and so on inwards.

    With each comes whether it runs in that same task rather than in another one that is awaited.
    """
    found: Any = task.get_coro()
    is_own = True
    for _ in range(_MAX_AWAITED):
        if found is None:
            return
        if isinstance(found, asyncio.Task):
            found, is_own = found.get_coro(), False
        elif isinstance(found, _SUSPENDED):
            yield found, is_own
            found = next(
                (
                    awaited
                    for name in ("cr_await", "gi_yieldfrom", "ag_await")
                    if (awaited := getattr(found, name, None)) is not None
                ),
                None,
            )
        else:
            # What stands between two coroutines (`coroutine.__await__()`, a step of an
            # asynchronous generator, a future's iterator) hides what it refers to from all but
            # the garbage collector.
            held = gc.get_referents(found)
            found = next(
                (one for one in held if isinstance(one, (*_SUSPENDED, asyncio.Task))), None
            )
