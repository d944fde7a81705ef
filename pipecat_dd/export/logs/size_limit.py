"""Writes a line's fields as JSON, and cuts lines that are too long for Datadog.

Datadog recommends at most 25 kB a line
(https://docs.datadoghq.com/logs/log_collection/#custom-log-forwarding). The Agent splits a much
longer line in two, the second without ids; container runtimes split at less (see
``containers.py``). Long texts are cut first. If that is not enough, bound values are removed, and
then, if the limit is very small, all fields but the ids, which are never cut.
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
"""The fields that are removed last, in this order, if the limit is hardly enough for the ids."""
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class Json:
    """Writes values of JSON types as JSON text.

    Args:
        ascii_only: Whether to escape all characters beyond ASCII, for a stream whose encoding is
            not UTF-8.
    """

    __slots__ = ("quote", "text")

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.quote = encode_basestring_ascii if ascii_only else encode_basestring
        # Sanitized values have no cycles.
        self.text = json.JSONEncoder(
            ensure_ascii=ascii_only, check_circular=False, separators=(",", ":")
        ).encode

    def members(self, fields: dict[str, Any]) -> str:
        """Return the members of an object, each with a comma before it."""
        quote, text = self.quote, self.text
        members = ""
        for name, value in fields.items():
            kind = type(value)
            # Calling the encoder takes longer than writing most values.
            if kind is str:
                members += f",{quote(name)}:{quote(value)}"
            elif kind is int or kind is float:
                members += f",{quote(name)}:{value!r}"
            else:
                members += f",{quote(name)}:{text(value)}"
        return members


def limit_size(text: str, json_: Json, kept: frozenset[str], limit: int = MAX_LINE_BYTES) -> str:
    """Return a line's JSON text, cut to its limit, in characters that UTF-8 can encode.

    Args:
        text: The line, a JSON object.
        json_: Writes the line again if it is cut.
        kept: The fields that are not cut unless the limit is hardly enough for the ids.
        limit: The most bytes of the line, its end included.
    """
    text, size = _measured(text)
    return text if size < limit else _cut(json.loads(text), json_, kept, limit)


def _measured(text: str) -> tuple[str, int]:
    """Return the text, and its size in bytes."""
    if text.isascii():
        return text, len(text)
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot encode
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
    for step in (_keep, _shorten_error, _shorten_participant, *_LEFT_OUT_LAST):
        if callable(step):
            step(line)
        else:
            line.pop(step, None)
        text, size = _measured(json_.text(line))
        if size < limit:
            break
    return text


def _keep(line: dict[str, Any]) -> None:
    """Leave a line as it is."""


def _shorten_error(line: dict[str, Any]) -> None:
    """Keep only the parts of an error that Error Tracking reads."""
    error = line.get(fields.ERROR)
    if isinstance(error, dict):
        line[fields.ERROR] = {
            name: _capped(error[name], _CAPS[-1])
            for name in (fields.KIND_KEY, fields.MESSAGE_KEY, fields.STACK_KEY)
            if name in error
        }


def _shorten_participant(line: dict[str, Any]) -> None:
    """Keep only the parts of a participant that identify it."""
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
        # Both ends are kept: a traceback's end and a message's beginning matter most.
        tail = cap // 3
        return value[: cap - tail] + " … " + value[-tail:]
    if isinstance(value, list):
        return [_capped(item, cap) for item in value[: max(cap // 20, 5)]]
    if isinstance(value, dict):
        return {key: _capped(item, cap) for key, item in value.items()}
    return value
