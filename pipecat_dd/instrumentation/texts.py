"""Converts values of the user's, such as a tool's arguments, to text."""

import json
from typing import Any


def as_text(value: Any) -> str:
    """Return a value as JSON, or its ``repr`` if that is impossible. Never raises."""
    for write in (_as_json, repr):
        try:
            return write(value)
        except Exception:  # raised by the value's own code
            continue
    return f"<unreadable {type(value).__name__}>"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
