"""Reads, from another thread, what an event loop is running.

A frame is never kept: what is read of the stack is the functions' code and lines, and whose work
it is. Values are read in four places only: asyncio's own call of a callback, Python's import of a
module, methods of objects that a session owns, and the function that made an observer (see
:mod:`pipecat_dd.conversation.ambient`).
"""

import asyncio
import sys
from types import FrameType
from typing import Any, Final, NamedTuple

from pipecat_dd.conversation.call_stack import (
    IMPORT_MODULE,
    RUN_CALLBACK,
    SampledCode,
    context_of,
    frame_of,
)
from pipecat_dd.conversation.context import (
    WorkContext,
    carried_sampled,
    open_stage,
    sampled_context,
)
from pipecat_dd.conversation.model import Stage
from pipecat_dd.instrumentation.code_places import MAX_NAME_CHARS, Spot, culprit

MAX_FRAMES: Final = 300
"""How many calls of a stack are read, the innermost first."""


class Sighting:
    """What an event loop was seen to run, once or several times.

    Attributes:
        step: Identifies the callback, or the step of a task, that ran.
        spots: Its stack, the innermost call first.
        named: The index of the call to name; None if there is none.
        task: The name of the task; None for a callback.
        importing: The module that was being imported; None for none.
        work: Whose work it was; None if that is not known.
        carried: The values of the variables that code takes along to stay with its session.
        stage: The innermost stage that was open there; None if a frame was being processed that
            had none of its own yet, or if it belongs to no session.
        around: The turn or the session at that moment; None if it belongs to no session.
        count: How often it was seen.
    """

    __slots__ = (
        "around",
        "carried",
        "count",
        "importing",
        "named",
        "spots",
        "stage",
        "step",
        "task",
        "work",
    )

    def __init__(self, code: SampledCode, step: int) -> None:
        self.step = step
        self.spots, imports = _read(code.frames)
        self.named = culprit(self.spots)
        self.importing = _importing(imports, self.named)
        self.task = None if code.task is None else str(code.task.get_name())[:MAX_NAME_CHARS]
        self.work: WorkContext | None = sampled_context(code)
        self.carried = None if self.work is None else carried_sampled(code, self.work)
        self.stage: Stage | None = None
        self.around: Stage | None = None
        if self.work is not None and self.work.session is not None:
            self.stage = open_stage(self.work)
            self.around = self.work.session.stage
        self.count = 1

    @property
    def spot(self) -> Spot | None:
        """The call to name; None if there is none."""
        return None if self.named is None else self.spots[self.named]

    @property
    def who(self) -> tuple[Any, ...]:
        """What two sightings of one callback, or of one step of a task, have in common."""
        work = self.work
        return self.step, id(None if work is None else work.session)

    @property
    def key(self) -> tuple[Any, ...]:
        """What two sightings of the same have in common."""
        spot = self.spot
        place = None if spot is None else (spot.code, spot.line)
        return *self.who, id(self.stage or self.around), place


class Caller(NamedTuple):
    """How an event loop calls its callbacks.

    Attributes:
        is_asyncios: Whether it is asyncio's own loop, which calls them by ``Handle._run``.
        depth: How many calls are on the stack below a callback.
    """

    is_asyncios: bool
    depth: int

    @classmethod
    def of(cls, callback: FrameType) -> "Caller":
        """Return how the loop has called a callback.

        Args:
            callback: The callback's frame.
        """
        frame = callback.f_back
        return cls(frame is not None and frame.f_code is RUN_CALLBACK, _depth(frame))

    @classmethod
    def of_running(cls, loop: asyncio.AbstractEventLoop | None) -> "Caller | None":
        """Return how the loop has called the code that calls this; None if that is not known.

        Args:
            loop: The running loop.
        """
        frame: FrameType | None = sys._getframe(1)
        task = None if loop is None else asyncio.current_task(loop)
        began = None if task is None else frame_of(task.get_coro())
        while frame is not None:
            if frame is began or (frame.f_back is not None and frame.f_back.f_code is RUN_CALLBACK):
                return cls.of(frame)
            frame = frame.f_back
        return None


def _depth(frame: FrameType | None) -> int:
    depth = 0
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def see(loop: asyncio.AbstractEventLoop, thread_id: int, caller: Caller) -> Sighting | None:
    """Return what an event loop is running; None if it runs nothing: it waits, or has stopped.

    Call it in another thread.

    Args:
        loop: The loop.
        thread_id: The thread in which it runs, as of ``threading.get_ident``.
        caller: How it calls its callbacks.
    """
    # Not by a variable for the dictionary: it holds this function's frame, too.
    frame = sys._current_frames().get(thread_id)
    frames: list[FrameType] = []
    try:
        while frame is not None and not (caller.is_asyncios and frame.f_code is RUN_CALLBACK):
            frames.append(frame)
            frame = frame.f_back
        handle = None
        if caller.is_asyncios:
            if frame is None:
                return None
            handle = frame.f_locals.get("self")
            if not frames:
                frames.append(frame)  # the callback is no function in Python
        else:
            del frames[max(0, len(frames) - caller.depth) :]
        if not frames:
            return None
        task = asyncio.current_task(loop)
        source = handle if task is None else task
        context = None if source is None else context_of(source)
        step = id(frames[-1]) if source is None else id(source)
        return Sighting(SampledCode(thread_id, context, task, frames[:MAX_FRAMES]), step)
    finally:
        frames.clear()
        del frame


def _read(frames: list[FrameType]) -> tuple[list[Spot], list[tuple[int, str]]]:
    """Return the calls, and which of them import which module."""
    spots: list[Spot] = []
    imports: list[tuple[int, str]] = []
    for index, frame in enumerate(frames):
        code = frame.f_code
        spots.append(Spot(code, frame.f_lineno or 0, str(frame.f_globals.get("__name__", "?"))))
        if code is IMPORT_MODULE:
            name = frame.f_locals.get("name")
            if isinstance(name, str):
                imports.append((index, name[:MAX_NAME_CHARS]))
    return spots, imports


def _importing(imports: list[tuple[int, str]], named: int | None) -> str | None:
    """Return the module that the named place imports, else the one whose import it is part of."""
    if not imports:
        return None
    within = [name for index, name in imports if named is not None and index < named]
    return within[-1] if within else imports[0][1]
