"""Finds the session of code that has no work context, by the object whose method is running.

SDKs call their users back from threads of their own, which carry no context. What they start with
``asyncio.run_coroutine_threadsafe`` or ``call_soon_threadsafe`` has none, either. But a processor
belongs to one session, and so does whatever runs in one of its methods. So where nothing else is
known, the stack is searched for a method of an object that a session owns: a processor, its
transport, its worker. What is found is exact, and code with a context pays nothing for it.
"""

import sys
import weakref
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from pipecat_dd.conversation.model import Phase, Processor, Session

_MAX_FRAMES: Final = 64
"""How far up the stack to search: a web framework's can be deep, and has nothing of ours."""


class _Owned(NamedTuple):
    instance: "weakref.ref[Any]"
    session: "weakref.ref[Session]"
    processor: Processor | None
    is_shared: bool


# By id, since objects of the user's classes need not be hashable. Removed with the object.
_owned: dict[int, _Owned] = {}
# The names of their classes and base classes: only as many as a program has.
_classes: set[str] = set()
_TAKES_LOCALS: Final = frozenset({"locals", "vars", "dir", "eval", "exec"})


def register(session: Session, instance: Any, processor: Processor | None = None) -> None:
    """Record that what an object does is a session's work.

    Args:
        session: The session.
        instance: The object. One that two running sessions share is attributed to neither.
        processor: The object as a processor, if it is one.
    """
    key = id(instance)
    before = _owned.get(key)
    is_shared = False
    if before is not None and before.instance() is instance:
        other = before.session()
        is_shared = (
            other is not None and other is not session and other.phase is not Phase.ENDED
        ) or (before.is_shared and other is not session)
    try:
        held = weakref.ref(instance, lambda _: _owned.pop(key, None))
    except TypeError:  # no weak reference to it is possible: its class has slots, say
        return
    _owned[key] = _Owned(held, weakref.ref(session), processor, is_shared)
    _classes.update(kind.__qualname__ for kind in type(instance).__mro__ if kind is not object)


def has_any() -> bool:
    """Whether any object is known to be owned by a session."""
    return bool(_owned)


def owner_of(instance: Any) -> tuple[Session | None, Processor | None]:
    """Return the session that an object belongs to, and the object as a processor."""
    owned = _entry(instance)
    if owned is None:
        return None, None
    return None if owned.is_shared else owned.session(), owned.processor


def find() -> tuple[Session, Processor | None] | None:
    """Return the session and processor of the innermost method on the stack that has one."""
    if not _owned:
        return None
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return None
        owned = _owned_by(frame)
        if owned is not None:
            return _owner(owned)
        frame = frame.f_back
    return None


def find_among(frames: Iterable[FrameType]) -> tuple[Session, Processor | None] | None:
    """Return the session and processor of the first frame that is of a method that has one.

    Args:
        frames: The stack of another thread, the innermost frame first.
    """
    if _owned:
        for frame in frames:
            owned = _owned_by(frame)
            if owned is not None:
                return _owner(owned)
    return None


def is_owned(frame: FrameType) -> bool:
    """Whether a frame is that of a method of an object that a session owns."""
    return _owned_by(frame) is not None


def owner_of_frame(frame: FrameType) -> tuple[Session, Processor | None] | None:
    """Return the session and processor whose method a frame is of; None if there is none."""
    owned = _owned_by(frame) if _owned else None
    return None if owned is None else _owner(owned)


def _owned_by(frame: FrameType) -> _Owned | None:
    """Return the entry of the object whose method a frame is of."""
    if not _may_be_owned(frame.f_code):
        return None
    return _entry(frame.f_locals.get("self"))


def _entry(instance: Any) -> _Owned | None:
    """Return the entry of an object; another object may have the id of one that is gone."""
    owned = _owned.get(id(instance))
    return owned if owned is not None and owned.instance() is instance else None


def _owner(owned: _Owned) -> tuple[Session, Processor | None] | None:
    session = owned.session()
    return None if session is None or owned.is_shared else (session, owned.processor)


def _may_be_owned(code: CodeType) -> bool:
    """Whether code is that of a method of an owned object's class, or of a function within one.

    Before Python 3.13, reading a frame's variables overwrites the dict that ``locals()`` has
    returned there, which the bot may be using. So frames are read only where that can be of use,
    and never where the code uses such a dict.
    """
    if "self" not in code.co_varnames[:1] and "self" not in code.co_freevars:
        return False
    if not _TAKES_LOCALS.isdisjoint(code.co_names):
        return False
    name = code.co_qualname
    while name := name.rpartition(".")[0]:
        if name in _classes:
            return True
    return False
