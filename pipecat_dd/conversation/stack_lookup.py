"""Whose work is it, where no context says so: the object that is at work tells.

SDKs call their users back from threads of their own, which carry no context; what they start
with ``asyncio.run_coroutine_threadsafe`` or ``call_soon_threadsafe`` has none either. But a
processor belongs to one session, and so does whatever runs in a method of it. So where nothing
else is known, the stack is searched for a method of something that a session owns: a processor,
its transport, its worker. That is exact, where there is something to be found, and it costs
nothing anywhere else.
"""

import sys
import weakref
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from pipecat_dd.conversation.model import Phase, Processor, Session

_MAX_FRAMES: Final = 64
"""How far up the stack is looked: a web framework's can be deep, and has nothing of ours."""


class _Owned(NamedTuple):
    instance: "weakref.ref[Any]"
    session: "weakref.ref[Session]"
    processor: Processor | None
    is_shared: bool


# By id, since what a user makes need not be hashable; gone with the object.
_owned: dict[int, _Owned] = {}
# The names of their classes, and of what those derive from: as many as a program has.
_classes: set[str] = set()
_TAKES_LOCALS: Final = frozenset({"locals", "vars", "dir", "eval", "exec"})


def register(session: Session, instance: Any, processor: Processor | None = None) -> None:
    """Note that what an object does is a session's work.

    Args:
        session: The session.
        instance: The object. One that two running sessions have says nothing any more.
        processor: What is known of the processor that it is, if it is one.
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
    except TypeError:  # an object of a class with slots, say, which cannot be held like this
        return
    _owned[key] = _Owned(held, weakref.ref(session), processor, is_shared)
    _classes.update(kind.__qualname__ for kind in type(instance).__mro__ if kind is not object)


def has_any() -> bool:
    """Whether any object is known to be a session's."""
    return bool(_owned)


def owner_of(instance: Any) -> tuple[Session | None, Processor | None]:
    """Return the session that an object belongs to, and what is known of it as a processor.

    Args:
        instance: The object.
    """
    owned = _entry(instance)
    if owned is None:
        return None, None
    return None if owned.is_shared else owned.session(), owned.processor


def find() -> tuple[Session, Processor | None] | None:
    """Return the session, and the processor, of the innermost method that is at work here."""
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


def is_owned(frame: FrameType) -> bool:
    """Whether a frame is that of a method of something that a session owns."""
    return _owned_by(frame) is not None


def owner_of_frame(frame: FrameType) -> tuple[Session, Processor | None] | None:
    """Return the session, and the processor, whose method a frame is of.

    Args:
        frame: The frame.
    """
    owned = _owned_by(frame) if _owned else None
    return None if owned is None else _owner(owned)


def _owned_by(frame: FrameType) -> _Owned | None:
    """Return what is known of the object whose method a frame is of."""
    if not _may_be_owned(frame.f_code):
        return None
    return _entry(frame.f_locals.get("self"))


def _entry(instance: Any) -> _Owned | None:
    """Return what is known of an object; an id alone may be that of one that is gone."""
    owned = _owned.get(id(instance))
    return owned if owned is not None and owned.instance() is instance else None


def _owner(owned: _Owned) -> tuple[Session, Processor | None] | None:
    session = owned.session()
    return None if session is None or owned.is_shared else (session, owned.processor)


def _may_be_owned(code: CodeType) -> bool:
    """Whether code is a method's of an owned object's class, or a function's within one.

    Before Python 3.13 to look at a frame's variables is to write them into the dict that
    ``locals()`` has returned there, which the bot may be at work on: so only what can be of use is
    looked at, and nothing that uses such a dict.
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
