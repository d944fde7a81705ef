"""The queue of ``enqueue=True``, through which every line gets, whatever was bound to it.

Loguru pickles a line together with its record. A bound value that cannot be pickled (a socket, a
lock, a Pipecat service) would cost the line, and have Loguru print the record, raw, instead; one
that cannot be unpickled, the same in the writing thread. Here the line's text always arrives; of
the record, what can be carried.
"""

import multiprocessing
import pickle
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from typing import Any, Final

_OWN: Final = frozenset(
    {
        "elapsed",
        "file",
        "function",
        "level",
        "line",
        "message",
        "module",
        "name",
        "process",
        "thread",
        "time",
    }
)
"""What Loguru itself puts into a record, of types that can be pickled."""


class _Queue(SimpleQueue):  # type: ignore[type-arg]
    """A queue of Loguru's messages, and of what else Loguru puts there."""

    def put(self, obj: Any) -> None:
        """Put a message, as what can be pickled of it."""
        record = getattr(obj, "record", None)
        if not isinstance(record, dict):
            super().put(obj)
            return
        own = {name: value for name, value in record.items() if name in _OWN}
        rest = {name: value for name, value in record.items() if name not in _OWN}
        try:
            super().put((type(obj), str(obj), own, _pickled(rest)))
        except Exception:
            # What a patcher of the user's has made of the record's own.
            super().put((type(obj), str(obj), {}, _pickled(record)))

    def get(self) -> Any:
        """Take what was put first."""
        taken = super().get()
        if not isinstance(taken, tuple):
            return taken
        kind, text, own, rest = taken
        message = kind(text)
        message.record = {**own, **_unpickled(rest)}
        return message


class QueueContext(BaseContext):
    """What Loguru takes its queue from, in place of ``multiprocessing`` itself."""

    def SimpleQueue(self) -> Any:  # noqa: N802 (as it is called there)
        """Return a queue."""
        return _Queue(ctx=multiprocessing.get_context())

    def Event(self) -> Any:  # noqa: N802
        """Return an event."""
        return multiprocessing.get_context().Event()

    def Lock(self) -> Any:  # noqa: N802
        """Return a lock."""
        return multiprocessing.get_context().Lock()


def _pickled(values: dict[str, Any]) -> bytes:
    try:
        return pickle.dumps(values)
    except Exception:
        return pickle.dumps({name: _portable(name, value) for name, value in values.items()})


def _portable(name: str, value: Any) -> Any:
    """Return a value, or what stands for it where it cannot be pickled."""
    if name == "extra" and isinstance(value, dict):
        return {str(key): _portable("", member) for key, member in value.items()}
    try:
        pickle.dumps(value)
    except Exception:
        # Without its repr, which may be of any length and cost any time.
        return None if name == "exception" else f"<{type(value).__name__}>"
    return value


def _unpickled(data: bytes) -> dict[str, Any]:
    try:
        values = pickle.loads(data)
        return values if isinstance(values, dict) else {}
    except Exception:
        return {"extra": {}, "exception": None}
