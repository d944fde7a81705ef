"""Converts any Python value to JSON types, redacted and within Datadog's limits.

Users bind objects of any type to a line. Here they become dicts with string keys, lists, strings,
finite numbers, booleans and None. Nothing raises: a value that cannot be read is replaced by a
placeholder.
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
# fewer than 256 attributes, keys under 50 characters, fewer than 10 levels of nesting. Some of the
# attributes and levels are reserved for the fields of the line itself.
MAX_ATTRIBUTES: Final = 220
MAX_KEY_CHARS: Final = 49
MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 500
"""The most items of a list. A list counts as one attribute, but converting it takes time."""
MAX_ITEMS_IN_ALL: Final = 5_000
MAX_TEXT_CHARS: Final = 50_000
"""The most characters of a text that are processed; a whole line has at most half as many bytes."""
MAX_BOUND_CHARS: Final = 100_000
"""The most characters of all bound values together that are processed; a whole line has at most a
quarter as many bytes."""
LEAST_CHARS: Final = 250
"""Characters of a bound text that are processed in any case, so that a long value that was bound
first does not leave the others empty."""

_NAME_CHARS: Final = 500
"""The most characters of a name that are processed; 49 of them are written."""
_WORD_CHARS: Final = 4096
_NUMBER_CHARS: Final = "0123456789 ().-+"
_BIGGEST: Final = 2**63


class Sanitizer:
    """Converts the values of one line, and counts them against the limits.

    Args:
        redactor: Redacts secrets, which it recognises by their form and by their names.

    Attributes:
        cut: Whether something was cut or left out to stay within the limits.
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
        """Return redacted text of at most ``limit`` characters and an ellipsis.

        The text is redacted before it is cut. If it is too long to process as a whole, it is cut
        at a space first, since half a secret would not be recognised.
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
        """Return redacted text of a bound value, cut if all of them together are too long.

        Redaction takes time for each character, and blocks the bot meanwhile.
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
        """Return an id, unchanged unless it is a secret."""
        return self._redactor.id(text)

    def item(
        self, key: object, value: object, depth: int = 1, owner: str | None = None
    ) -> tuple[str, Any] | None:
        """Return a converted key and value; None if the line has no room for another attribute.

        Args:
            key: The name the value was bound under: an object of any type, mostly a string.
            value: An object of any type.
            depth: The number of objects around the value, those of the line included.
            owner: The name that decides how the value is redacted, instead of the key: that of
                the object around it, if that is a name of tokens.
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
        """Convert bound values and add them to a line's fields, without replacing any field."""
        for key, value in values.items():
            # A faster way for the most common types.
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
        """Return a value as JSON types. Never raises.

        Args:
            value: An object of any type.
            name: The name that decides how the value is redacted; None if it has none.
            depth: The number of objects around the value, those of the line included.
        """
        secrecy = Secrecy.NONE if name is None else self._redactor.judge(name)[1]
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
        except Exception:  # the value's own code has raised: its __str__, its properties
            return f"<unreadable {kind.__name__}>"

    def _integer(self, value: int, name: str | None, secrecy: Secrecy) -> int | str:
        if secrecy is Secrecy.PHONE and 10**6 < value < 10**15:
            return PHONE
        if secrecy is Secrecy.TOKEN and name is not None and name.lower() == "token":
            return REDACTED
        if -_BIGGEST <= value < _BIGGEST:
            return value
        # Datadog, like any reader with 64 bits, cannot store it as a number.
        bits = value.bit_length()
        return str(value) if bits < 4096 else f"<integer of {bits} bits>"

    def _other(self, value: Any, name: str | None, depth: int) -> Any:
        if isinstance(value, Enum):
            value = value.value if isinstance(value.value, (str, int, float)) else value.name
            return self.value(value, name, depth)
        if isinstance(value, str):
            return self._bound_text(str.__str__(value), name)
        if isinstance(value, Integral):  # numpy's types, and subclasses of int
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
            owner = name if name and self._redactor.judge(name)[1] is Secrecy.TOKEN else None
            for key, member in fields.items():
                pair = self.item(key, member, depth + 1, owner)
                if pair is None:
                    break
                made[pair[0]] = pair[1]
            return made
        finally:
            self._path.discard(id(value))

    def _bytes(self, head: bytes, length: int, name: str | None) -> str:
        # Bytes in a bot are mostly audio, of which only the size is of interest.
        if length <= 64 and head.isascii() and head.decode("ascii").isprintable():
            return self.text(head.decode("ascii"), name)
        return f"<{length} bytes>"

    def _key(self, name: str) -> str:
        self.cut = True
        return self.text(name)[:MAX_KEY_CHARS]

    def _shorter(self, name: str) -> str:
        """Return a name without the characters that are too many to process."""
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
        # Fields with repr=False stay out of the line, too.
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
    """Return the beginning of a text, without the first half of a secret at its end.

    A word that was cut is dropped, since it may be a secret; so is a number of several words,
    since it may be a telephone number.

    Args:
        text: A text of more than ``chars`` characters.
        chars: The most characters of the result.
        word_chars: The most characters that are dropped for a cut word or number.
    """
    head = text[:chars]
    if not (head[-1].isspace() or text[chars].isspace()):
        word = head[-word_chars:].rsplit(maxsplit=1)[-1]
        head = head[: len(head) - len(word)]
    end = head[-word_chars:]
    return head[: len(head) - len(end)] + end.rstrip(_NUMBER_CHARS)
