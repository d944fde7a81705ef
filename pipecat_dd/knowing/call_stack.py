"""What the code that runs here is part of: the stack, the running task, and what a task awaits."""

import asyncio
import contextvars
import dis
import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final

_SUSPENDED: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)
_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_MAX_AWAITED: Final = 256
"""How many coroutines that await one another are followed."""

End = tuple[int, int]
"""Where in a source file a piece of code ends: line and column."""


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


def end_of(frame: FrameType) -> End:
    """Return where the code ends that a frame is at, in its source.

    By where it stands in the source, not among the instructions: the condition of a loop is
    compiled twice, the second time after its body.
    """
    positions = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if positions is None:
        return frame.f_lineno or 0, 0
    line, end_line, _, end_column = positions
    return end_line or line or frame.f_lineno or 0, end_column or 0


def callers_of(frame: FrameType) -> Iterator[tuple[FrameType, End, int]]:
    """Yield the frames of the coroutines that a function runs in, and where each is."""
    caller = frame.f_back
    while caller is not None:
        if caller.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            yield caller, end_of(caller), caller.f_lasti
        caller = caller.f_back


def is_in_loop(code: CodeType, offset: int) -> bool:
    """Whether an instruction is part of a loop, and so may come round again in the same call."""
    return any(
        "JUMP_BACKWARD" in instruction.opname
        # An await is compiled to a loop, too.
        and not instruction.opname.endswith("NO_INTERRUPT")
        and isinstance(instruction.argval, int)
        and instruction.argval <= offset <= instruction.offset
        for instruction in dis.get_instructions(code)
    )


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
