"""A line's fields as JSON text, and cutting it where it is too long for Datadog.

Datadog advises at most 25 kB a line
(https://docs.datadoghq.com/logs/log_collection/#custom-log-forwarding), and the Agent splits
one far longer in two, of which the second has no ids; container runtimes split at less (see
``containers.py``). Text is cut first, the longest first; then whole bound values go; then, where
a line may be very short, what else it can be read without. Its ids are never cut.
"""

import json
import re
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final

from pipecat_dd.names import fields
from pipecat_dd.settings.table import MAX_LINE_BYTES

_CAPS: Final = (24_000, 16_000, 12_000, 8000, 4000, 2000, 1000, 300, 100)
_LEFT_OUT_LAST: Final = (
    fields.ERROR,
    fields.PARTICIPANT,
    fields.FUNCTION,
    fields.NAME,
    fields.LINE,
    fields.DD_SERVICE,
    fields.MESSAGE,
    fields.LOGGING_ERROR,
    fields.DD_VERSION,
    fields.DD_ENV,
    fields.SAMPLE_RATE,
    fields.SERVICE,
)
"""What goes last, one after the other, where a line may hold little more than its ids."""
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


def limit_size(text: str, json_: Json, kept: frozenset[str], limit: int = MAX_LINE_BYTES) -> str:
    """Return a line's JSON text within its limit and of characters that UTF-8 has.

    Args:
        text: The line, a JSON object.
        json_: What wrote it.
        kept: The fields that are never cut, but for a limit that holds little more than ids.
        limit: The most bytes that it may have with the end that is put to it.
    """
    text, size = _measured(text)
    return text if size < limit else _cut(json.loads(text), json_, kept, limit)


def _measured(text: str) -> tuple[str, int]:
    """Return the text, and its size in bytes."""
    if text.isascii():
        return text, len(text)
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:  # half a surrogate pair: nothing that UTF-8 could hold
        text = _SURROGATES.sub("\ufffd", text)
        return text, len(text.encode())


def _cut(line: dict[str, Any], json_: Json, kept: frozenset[str], limit: int) -> str:
    line[fields.TRUNCATED] = True
    for cap in _CAPS:
        for key, value in line.items():
            if key not in kept:
                line[key] = _capped(value, cap)
        text, size = _measured(json_.text(line))
        if size < limit:
            return text
    for key in [
        key for key in line if key not in kept and key not in (fields.MESSAGE, fields.ERROR)
    ]:
        del line[key]
    for lessen in (_nothing, _error_lessened, _participant_lessened, *_LEFT_OUT_LAST):
        if callable(lessen):
            lessen(line)
        else:
            line.pop(lessen, None)
        text, size = _measured(json_.text(line))
        if size < limit:
            break
    return text


def _nothing(line: dict[str, Any]) -> None:
    """Leave a line as it is."""


def _error_lessened(line: dict[str, Any]) -> None:
    """Leave of an error what Error Tracking reads."""
    error = line.get(fields.ERROR)
    if isinstance(error, dict):
        line[fields.ERROR] = {
            name: _capped(error[name], _CAPS[-1])
            for name in (fields.KIND_KEY, fields.MESSAGE_KEY, fields.STACK_KEY)
            if name in error
        }


def _participant_lessened(line: dict[str, Any]) -> None:
    """Leave of a participant's values those that say who it is."""
    person = line.get(fields.PARTICIPANT)
    if isinstance(person, dict):
        line[fields.PARTICIPANT] = {
            name: value if name == fields.ID_KEY else _capped(value, _CAPS[-1])
            for name, value in person.items()
            if name in (fields.ID_KEY, fields.NAME_KEY)
        }


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
