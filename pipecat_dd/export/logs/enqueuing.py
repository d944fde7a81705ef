"""The queue of ``enqueue=True``, which loses no line, whatever was bound to it.

Loguru pickles a line together with its record. If a bound value cannot be pickled (a socket, a
lock, a Pipecat service), or cannot be unpickled in the writing thread, Loguru would lose the line
and print the record without redaction. Through this queue the line's text always arrives, and
those values of the record that can be pickled.
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
"""The keys of a record whose values Loguru sets, and which can be pickled."""


class _Queue(SimpleQueue):  # type: ignore[type-arg]
    """A queue of Loguru's messages, and of the other objects that Loguru puts there."""

    def put(self, obj: Any) -> None:
        """Put a message, without the values that cannot be pickled."""
        record = getattr(obj, "record", None)
        if not isinstance(record, dict):
            super().put(obj)
            return
        own = {name: value for name, value in record.items() if name in _OWN}
        rest = {name: value for name, value in record.items() if name not in _OWN}
        try:
            super().put((type(obj), str(obj), own, _pickled(rest)))
        except Exception:
            # A patcher of the user's has changed the values that Loguru sets.
            super().put((type(obj), str(obj), {}, _pickled(record)))

    def get(self) -> Any:
        """Take the oldest object."""
        taken = super().get()
        if not isinstance(taken, tuple):
            return taken
        kind, text, own, rest = taken
        message = kind(text)
        message.record = {**own, **_unpickled(rest)}
        return message


class QueueContext(BaseContext):
    """The context from which Loguru gets its queue, instead of ``multiprocessing`` itself."""

    def SimpleQueue(self) -> Any:  # noqa: N802 (the name in multiprocessing)
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
    """Return a value, or a placeholder if it cannot be pickled."""
    if name == "extra" and isinstance(value, dict):
        return {str(key): _portable("", member) for key, member in value.items()}
    try:
        pickle.dumps(value)
    except Exception:
        # Not its repr, which may be very long or slow.
        return None if name == "exception" else f"<{type(value).__name__}>"
    return value


def _unpickled(data: bytes) -> dict[str, Any]:
    try:
        values = pickle.loads(data)
        return values if isinstance(values, dict) else {}
    except Exception:
        return {"extra": {}, "exception": None}
