"""Any Python value as plain JSON, redacted and within Datadog's limits.

What is bound to a line is whatever the user had at hand. Here it becomes dicts with string
keys, lists, strings, finite numbers, booleans and None, and never an exception: a value that
cannot be read says so in its place.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Mapping, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, Final

from pipecat_dd._phone_patterns import PHONE
from pipecat_dd.export.redaction import Redactor, Secrecy
from pipecat_dd.export.secrets import REDACTED

# Datadog's limits (https://docs.datadoghq.com/logs/log_collection/#custom-log-forwarding):
# fewer than 256 attributes, keys under 50 characters, nested in fewer than 10 levels. Of the
# attributes and levels some are kept for the fields of the line itself.
MAX_ATTRIBUTES: Final = 220
MAX_KEY_CHARS: Final = 49
MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 500
"""Items kept of a list: it counts as one attribute, but it has to be walked."""
MAX_ITEMS_IN_ALL: Final = 5_000
MAX_TEXT_CHARS: Final = 50_000
"""Characters of a text that are looked at at all; a whole line has half as many bytes."""
MAX_BOUND_CHARS: Final = 100_000
"""Characters that are looked at of all bound values; a whole line has a quarter as many bytes."""
LEAST_CHARS: Final = 250
"""Characters of a bound text that are looked at in any case: a long value that was bound first
must not empty those beside it."""

_NAME_CHARS: Final = 500
"""Characters of a name that are looked at: 49 of them are written."""
_WORD_CHARS: Final = 4096
_NUMBER_CHARS: Final = "0123456789 ().-+"
_BIGGEST: Final = 2**63


class Sanitizer:
    """Makes the values of one line plain, and counts what it has made.

    Args:
        redactor: Takes secrets out of text, by look and by name.

    Attributes:
        cut: Whether something had to be left out to stay within the limits.
    """

    __slots__ = ("_attributes_left", "_chars_left", "_items_left", "_path", "_redactor", "cut")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._attributes_left = MAX_ATTRIBUTES
        self._items_left = MAX_ITEMS_IN_ALL
        self._chars_left = MAX_BOUND_CHARS
        self._path: set[int] = set()
        self.cut = False

    def text(self, text: str, name: str | None = None, limit: int = MAX_TEXT_CHARS) -> str:
        """Return redacted text of at most about ``limit`` characters.

        The text is redacted before it is cut. One too long to be looked at whole is first cut
        at a space: half a secret is no longer recognised as one.
        """
        if len(text) > MAX_TEXT_CHARS:
            self.cut = True
            text = _cut_at_space(text, MAX_TEXT_CHARS)
        text = self._redactor.text(text, name)
        if len(text) > limit:
            self.cut = True
            text = text[:limit] + "…"
        return text

    def _bound_text(self, text: str, name: str | None = None) -> str:
        """Return redacted text of a bound value, cut where all of them together are too long.

        Redacting takes time by the character, and holds up the bot.
        """
        chars = len(text)
        room = max(self._chars_left, LEAST_CHARS)
        is_cut = room < chars and room < MAX_TEXT_CHARS
        if is_cut:
            self.cut = True
            text = _cut_at_space(text, room, room)
            chars = len(text)
        self._chars_left -= min(chars, MAX_TEXT_CHARS)
        text = self.text(text, name)
        return text + "…" if is_cut else text

    def id(self, text: str) -> str:
        """Return an id, kept as it is unless it is a secret."""
        return self._redactor.id(text)

    def item(
        self, key: object, value: object, depth: int = 1, owner: str | None = None
    ) -> tuple[str, Any] | None:
        """Return a key and its value, plain; None when the line has no room for one more.

        Args:
            key: The name it was bound under; anything, though mostly a string.
            value: Anything.
            depth: How many objects of the line it stands in.
            owner: The name to judge the value by instead of its own: that of the object it
                stands in, where that one names tokens.
        """
        if self._attributes_left <= 0:
            self.cut = True
            return None
        self._attributes_left -= 1
        name = key if type(key) is str else self._safely(key)
        name = name if len(name) <= _NAME_CHARS else self._shorter(name)
        written, secrecy = self._redactor.judge(name)
        if len(name) > MAX_KEY_CHARS:
            written = self._key(name)
        if owner is not None:
            return written, self.value(value, owner, depth)
        return written, self._value(value, name, depth, secrecy)

    def add_all(self, fields: dict[str, Any], values: Mapping[Any, Any]) -> None:
        """Add values that were bound to a line's fields, plain, but under no name that is there.

        Args:
            fields: The fields.
            values: The values.
        """
        for key, value in values.items():
            # What most lines bind; all else takes the longer way.
            if type(key) is str and len(key) <= MAX_KEY_CHARS and self._attributes_left > 0:
                written, secrecy = self._redactor.judge(key)
                if secrecy is Secrecy.NONE:
                    kind = type(value)
                    if kind is str:
                        self._attributes_left -= 1
                        fields.setdefault(written, self._bound_text(value, key))
                        continue
                    if kind is float and math.isfinite(value):
                        self._attributes_left -= 1
                        fields.setdefault(written, value)
                        continue
            pair = self.item(key, value)
            if pair is not None:
                fields.setdefault(*pair)

    def value(self, value: Any, name: str | None = None, depth: int = 1) -> Any:
        """Return a value as plain JSON. Never raises."""
        secrecy = Secrecy.NONE if name is None else self._redactor.secrecy(name)
        return self._value(value, name, depth, secrecy)

    def _value(self, value: Any, name: str | None, depth: int, secrecy: Secrecy) -> Any:
        kind = type(value)
        if secrecy is Secrecy.SECRET and value is not None:
            return REDACTED
        if kind is str:
            return self._bound_text(value, name)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self._integer(value, name, secrecy)
        if kind is float:
            if math.isfinite(value):
                return value
            return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        try:
            return self._other(value, name, depth)
        except Exception:  # the value's own code ran: its repr, its properties
            return f"<unreadable {kind.__name__}>"

    def _integer(self, value: int, name: str | None, secrecy: Secrecy) -> int | str:
        if secrecy is Secrecy.PHONE and 10**6 < value < 10**15:
            return PHONE
        if secrecy is Secrecy.TOKEN and name is not None and name.lower() == "token":
            return REDACTED
        if -_BIGGEST <= value < _BIGGEST:
            return value
        # More than Datadog, or any reader with 64 bits, could hold as a number.
        bits = value.bit_length()
        return str(value) if bits < 4096 else f"<integer of {bits} bits>"

    def _other(self, value: Any, name: str | None, depth: int) -> Any:
        if isinstance(value, Enum):
            value = value.value if isinstance(value.value, (str, int, float)) else value.name
            return self.value(value, name, depth)
        if isinstance(value, str):
            return self._bound_text(str.__str__(value), name)
        if isinstance(value, Integral):  # bool and int of other makes: numpy, subclasses
            return self.value(int(value), name, depth)
        if isinstance(value, (Real, Decimal)):
            return self.value(float(value), name, depth)
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, (date, time)):
            return value.isoformat()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(bytes(value[:64]), len(value), name)
        if isinstance(value, BaseException):
            return self._bound_text(f"{type(value).__name__}: {value}", name)
        fields = _fields_of(value)
        if fields is None and not isinstance(value, (list, tuple, Set, deque)):
            return self._bound_text(str(value), name)
        return self._container(value, fields, name, depth)

    def _container(
        self, value: Any, fields: Mapping[Any, Any] | None, name: str | None, depth: int
    ) -> Any:
        if depth >= MAX_DEPTH:
            self.cut = True
            return f"<{type(value).__name__} nested too deep>"
        if id(value) in self._path:
            return f"<{type(value).__name__} that holds itself>"
        self._path.add(id(value))
        try:
            if fields is None:
                items: list[Any] = []
                for item in value:
                    if len(items) >= MAX_ITEMS or self._items_left <= 0 or self._chars_left <= 0:
                        self.cut = True
                        break
                    self._items_left -= 1
                    items.append(self.value(item, name, depth + 1))
                return items
            made: dict[str, Any] = {}
            owner = name if name and self._redactor.secrecy(name) is Secrecy.TOKEN else None
            for key, member in fields.items():
                pair = self.item(key, member, depth + 1, owner)
                if pair is None:
                    break
                made[pair[0]] = pair[1]
            return made
        finally:
            self._path.discard(id(value))

    def _bytes(self, head: bytes, length: int, name: str | None) -> str:
        # Bytes in a bot are mostly audio: their size says more than they do.
        if length <= 64 and head.isascii() and head.decode("ascii").isprintable():
            return self.text(head.decode("ascii"), name)
        return f"<{length} bytes>"

    def _key(self, name: str) -> str:
        self.cut = True
        return self.text(name)[:MAX_KEY_CHARS]

    def _shorter(self, name: str) -> str:
        """Return a text that somebody keyed a dict by, no longer than any name is."""
        self.cut = True
        return _cut_at_space(name, _NAME_CHARS, _NAME_CHARS // 2)

    def _safely(self, value: object) -> str:
        try:
            return str(value)
        except Exception:
            return f"<unreadable {type(value).__name__}>"


def _fields_of(value: Any) -> Mapping[Any, Any] | None:
    """Return the named parts of a mapping, dataclass, pydantic model or named tuple."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # What its author keeps out of the repr stays out of the line.
        return {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value) if f.repr}
    kind = type(value)
    if isinstance(models := getattr(kind, "model_fields", None), dict):  # pydantic
        return {
            name: getattr(value, name, None)
            for name, field in models.items()
            if getattr(field, "repr", True)
        }
    if isinstance(value, tuple) and isinstance(names := getattr(kind, "_fields", None), tuple):
        return dict(zip(names, value, strict=False))
    return None


def _cut_at_space(text: str, chars: int, word_chars: int = _WORD_CHARS) -> str:
    """Return the beginning of a text that is too long, without half a secret at its end.

    A secret is one word; a telephone number may be several.

    Args:
        text: The text, longer than ``chars``.
        chars: How many characters it may have.
        word_chars: How many of them may be dropped as the word, or the number, that was cut.
    """
    head = text[:chars]
    if not (head[-1].isspace() or text[chars].isspace()):
        word = head[-word_chars:].rsplit(maxsplit=1)[-1]
        head = head[: len(head) - len(word)]
    end = head[-word_chars:]
    return head[: len(head) - len(end)] + end.rstrip(_NUMBER_CHARS)
