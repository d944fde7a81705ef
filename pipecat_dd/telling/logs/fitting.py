"""A line's fields as JSON text, and cutting it where it is too long for Datadog.

Datadog advises at most 25 kB a line
(https://docs.datadoghq.com/logs/log_collection/#custom-log-forwarding), and the Agent splits
one far longer in two, of which the second has no ids. Text is cut first, the longest first;
then whole bound values go. The ids, and the fields that a line is found by, are never cut.
"""

import json
import re
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final

MAX_LINE_BYTES: Final = 25_000

_CAPS: Final = (8000, 4000, 2000, 1000, 300, 100)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class Json:
    """Writes plain values as JSON text.

    Args:
        ascii_only: Write every character beyond ASCII as an escape, for a stream whose
            encoding is not UTF-8.
    """

    __slots__ = ("quote", "text")

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.quote = encode_basestring_ascii if ascii_only else encode_basestring
        # The values are plain by now: no cycles to look for.
        self.text = json.JSONEncoder(
            ensure_ascii=ascii_only, check_circular=False, separators=(",", ":")
        ).encode

    def members(self, fields: dict[str, Any]) -> str:
        """Return the members of an object, each with a comma before it."""
        quote, text = self.quote, self.text
        members = ""
        for name, value in fields.items():
            kind = type(value)
            # An encoder costs more to start than most values cost to write.
            if kind is str:
                members += f",{quote(name)}:{quote(value)}"
            elif kind is int or kind is float:
                members += f",{quote(name)}:{value!r}"
            else:
                members += f",{quote(name)}:{text(value)}"
        return members


def fitted(text: str, json_: Json, kept: frozenset[str]) -> str:
    """Return a line's JSON text within Datadog's limit and of characters that UTF-8 has.

    Args:
        text: The line, a JSON object.
        json_: What wrote it.
        kept: The fields that are never cut.
    """
    text, size = _measured(text)
    return text if size <= MAX_LINE_BYTES else _cut(json.loads(text), json_, kept)


def _measured(text: str) -> tuple[str, int]:
    """Return the text, and its size in bytes."""
    if text.isascii():
        return text, len(text)
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:  # half a surrogate pair: nothing that UTF-8 could hold
        text = _SURROGATES.sub("\ufffd", text)
        return text, len(text.encode())


def _cut(line: dict[str, Any], json_: Json, kept: frozenset[str]) -> str:
    line["truncated"] = True
    for cap in _CAPS:
        for key, value in line.items():
            if key not in kept:
                line[key] = _capped(value, cap)
        text, size = _measured(json_.text(line))
        if size <= MAX_LINE_BYTES:
            return text
    for key in [key for key in line if key not in kept and key not in ("message", "error")]:
        del line[key]
    return _measured(json_.text(line))[0]


def _capped(value: Any, cap: int) -> Any:
    if isinstance(value, str):
        if len(value) <= cap:
            return value
        # A traceback says most at its end, a message at its start: keep of both.
        tail = cap // 3
        return value[: cap - tail] + " … " + value[-tail:]
    if isinstance(value, list):
        return [_capped(item, cap) for item in value[: max(cap // 20, 5)]]
    if isinstance(value, dict):
        return {key: _capped(item, cap) for key, item in value.items()}
    return value
