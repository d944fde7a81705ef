"""What the code that runs here is part of: the stack, the running task, and what a task awaits."""

import asyncio
import contextvars
import dis
import gc
import inspect
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import (
    AsyncGeneratorType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    ModuleType,
)
from typing import Any, Final

_SUSPENDED: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)
_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_WAITING: Final = ("asyncio.", "wait_for2")
"""Whose functions wait for tasks: asyncio's, and what Pipecat puts in its place before 3.12."""
_MAX_AWAITED: Final = 256
"""How many coroutines that await one another are followed."""
_MAX_VARIABLES: Final = 256
"""How many variables of a function, or attributes of an object, are looked at."""


class CodePoint:
    """Where a function was at one moment, to tell whether it has come round again since.

    Attributes:
        code: The function's code.
    """

    __slots__ = ("_loops", "_offset", "_offsets", "_reachable", "code")

    def __init__(self, frame: FrameType) -> None:
        """Note where a function is.

        Args:
            frame: Its frame.
        """
        self.code = frame.f_code
        self._offset = frame.f_lasti
        self._loops: list[_Position] | None = None
        self._offsets: list[int] = []
        self._reachable: frozenset[int] = frozenset()

    @property
    def is_in_loop(self) -> bool:
        """Whether it is part of a loop, and so may come round again in the same call."""
        return bool(self._find_loops())

    def precedes(self, frame: FrameType) -> bool:
        """Whether the function has been here, in this round of the loop if it is in one.

        Args:
            frame: Its frame, of the very call.
        """
        loops = self._find_loops()
        if not loops:
            return True
        if not self._is_before(frame.f_lasti, loops):
            return False
        # In a handler of an exception, what counts is where that was raised.
        error = sys.exc_info()[1]
        traceback = None if error is None else error.__traceback__
        while traceback is not None:
            if traceback.tb_frame is frame:
                return self._is_before(traceback.tb_lasti, loops)
            traceback = traceback.tb_next
        return True

    def _is_before(self, offset: int, loops: "list[_Position]") -> bool:
        # While a function is called, a frame may be at what follows the instruction that calls it.
        if self._offsets[bisect_right(self._offsets, offset) - 1] not in self._reachable:
            return False
        # The condition of a loop is compiled twice, the second time after its body.
        start = _positions(self.code)[offset // 2]
        return all(start >= body for body in loops)

    def _find_loops(self) -> "list[_Position]":
        """Return where the bodies of the loops begin that this is part of."""
        if self._loops is None:
            code, positions = self.code, _positions(self.code)
            instructions = list(dis.get_instructions(code))
            self._loops = [
                positions[one.argval // 2]
                for one in instructions
                if _jumps_back(one) and one.argval <= self._offset <= one.offset
            ]
            if self._loops:
                self._offsets = [one.offset for one in instructions]
                start = self._offsets[bisect_right(self._offsets, self._offset) - 1]
                self._reachable = _reachable(code, instructions, start)
        return self._loops


_Position = tuple[int, int]
_ALWAYS_JUMP: Final = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})


def _positions(code: CodeType) -> list[_Position]:
    """Return where in its source each instruction begins: line and column."""
    return [(line or 0, column or 0) for line, _, column, _ in code.co_positions()]


def _jumps_back(instruction: dis.Instruction) -> bool:
    """Whether an instruction ends a round of a loop. An await is compiled to a loop, too."""
    return "JUMP_BACKWARD" in instruction.opname and not instruction.opname.endswith("NO_INTERRUPT")


def _reachable(code: CodeType, instructions: list[dis.Instruction], offset: int) -> frozenset[int]:
    """Return the instructions that may follow one without a loop coming round."""
    following = {one.offset: after.offset for one, after in pairwise(instructions)}
    by_offset = {one.offset: one for one in instructions}
    handlers = getattr(dis.Bytecode(code), "exception_entries", ())
    found: set[int] = set()
    waiting = [offset]
    while waiting:
        at = waiting.pop()
        if at in found or at not in by_offset:
            continue
        found.add(at)
        one = by_offset[at]
        waiting += [entry.target for entry in handlers if entry.start <= at < entry.end]
        if one.opcode in dis.hasjrel or one.opcode in dis.hasjabs:
            if not (_jumps_back(one) and one.argval <= at):
                waiting.append(one.argval)
            if one.opname in _ALWAYS_JUMP:
                continue
        if not one.opname.startswith(("RETURN_", "RAISE_VARARGS", "RERAISE")) and at in following:
            waiting.append(following[at])
    return frozenset(found)


def maker(observer: Any) -> FrameType | None:
    """Return the frame of the function that makes an observer, from within its constructor.

    Args:
        observer: The observer.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        is_constructor = code.co_name == "__init__" and frame.f_locals.get("self") is observer
        if not is_constructor and code.co_name not in _COMPREHENSIONS:
            return frame
        frame = frame.f_back
    return None


def is_for_one_call(frame: FrameType | None) -> bool:
    """Whether what makes an observer may run a call: a function, not a module's or class's code.

    Args:
        frame: The frame of what makes it.
    """
    return frame is not None and bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED)


def running_task() -> asyncio.Task[Any] | None:
    """Return the task that the code which asks runs in, if it runs in one."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def context_of(task: Any) -> contextvars.Context | None:
    """Return the context that a task, or a handle, of asyncio runs in.

    Args:
        task: The task or handle.
    """
    if hasattr(task, "get_context"):  # Python 3.12 on
        found = task.get_context()
        return found if isinstance(found, contextvars.Context) else None
    # Before, a task has its context and shows it to none but the garbage collector.
    for held in gc.get_referents(task):
        if isinstance(held, contextvars.Context):
            return held
    return None


def has_running_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def callers_of(frame: FrameType) -> "Iterator[tuple[FrameType, CodePoint]]":
    """Yield the frames of the coroutines that a function runs in, and where each is."""
    caller = frame.f_back
    while caller is not None:
        if caller.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            yield caller, CodePoint(caller)
        caller = caller.f_back


def awaiter(task: asyncio.Task[Any], runs: Callable[[Any], bool]) -> tuple[Any, FrameType] | None:
    """Return the innermost function of a suspended task that awaits what runs a session."""
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


def has(function: Any, is_meant: Callable[[Any], bool]) -> bool:
    """Whether a function has an object in a variable, or in an attribute of what is in one.

    What a collection holds is not looked at: a server may have all its calls in one.

    Args:
        function: Its suspended coroutine, or its frame, which has ended.
        is_meant: Whether an object is the one. It must not raise.
    """
    # The garbage collector shows variables without writing them into a dict, as `f_locals` does.
    for one in gc.get_referents(function)[:_MAX_VARIABLES]:
        found = one
        if isinstance(one, CellType):
            try:
                found = one.cell_contents
            except ValueError:  # has nothing yet
                continue
        if is_meant(found) or any(map(is_meant, _attributes(found))):
            return True
    return False


def _attributes(instance: Any) -> list[Any]:
    if isinstance(instance, (type, ModuleType, FunctionType)):
        return []
    try:
        attributes = object.__getattribute__(instance, "__dict__")
    except Exception:
        return []
    return list(attributes.values())[:_MAX_VARIABLES] if isinstance(attributes, dict) else []


def tasks_waited_for(task: asyncio.Task[Any]) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks that a suspended task waits for by asyncio's own means.

    By ``wait_for``, ``wait``, ``gather`` or at the end of a ``TaskGroup``.

    Args:
        task: The task.
    """
    innermost: Any = None
    for innermost, is_own in awaited_by(task):
        frame = frame_of(innermost)
        name = "" if frame is None else frame.f_globals.get("__name__", "")
        if is_own and str(name).startswith(_WAITING):
            yield from _tasks_in(innermost)
    # A future that gathers others is awaited by no coroutine of asyncio's.
    for one in gc.get_referents(getattr(innermost, "cr_await", None)):
        if isinstance(one, asyncio.Future):
            yield from _tasks_in(one)


def _tasks_in(waiting: Any) -> Iterator[asyncio.Task[Any]]:
    for one in gc.get_referents(waiting):
        # A future shows its attributes to none but the garbage collector.
        held = [one, *(one.values() if type(one) is dict else _attributes(one))]
        for some in tuple(held):
            if isinstance(some, (list, tuple, set, frozenset)):
                held += list(some)[:_MAX_VARIABLES]
        yield from (some for some in held if isinstance(some, asyncio.Task))


def frame_of(suspended: Any) -> FrameType | None:
    """Return the frame of a coroutine or generator; None once it has ended."""
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(suspended, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def awaited_by(task: asyncio.Task[Any]) -> Iterator[tuple[Any, bool]]:
    """Yield a suspended task's coroutine, what that awaits, and so on inwards.

    With each, whether it runs in that very task, rather than in one that is awaited.
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
            # asynchronous generator, a future's iterator) shows what it holds to none but the
            # garbage collector.
            held = gc.get_referents(found)
            found = next(
                (one for one in held if isinstance(one, (*_SUSPENDED, asyncio.Task))), None
            )
