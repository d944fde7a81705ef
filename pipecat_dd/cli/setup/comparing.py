"""Compare a definition with what exists in Datadog.

Datadog adds fields to what it receives (ids, authors, times, defaults) and returns the rest
unchanged, apart from a few known differences that this module ignores. So an object is up to date
if it *contains* its definition; it need not equal it. (In the 226 recorded exchanges with the real
API in the tests of ``datadog-api-client``, there are no other differences.)
"""

from collections.abc import Iterator
from typing import Any

from pipecat_dd.cli.setup.definition import Body

_UNORDERED = ("tags", "group_by")
_ALIKE = {"metric alert": "query alert"}


def differences(wanted: Body, found: Body) -> list[str]:
    """Return the paths at which an existing body differs from its definition.

    Args:
        wanted: The body of the definition.
        found: The existing body, as Datadog returned it.
    """
    return list(_of_objects(wanted, found, ""))


def _of(wanted: Any, found: Any, path: str) -> Iterator[str]:
    if not wanted and not found and not _is_number(wanted) and not _is_number(found):
        return
    if isinstance(wanted, dict) and isinstance(found, dict):
        yield from _of_objects(wanted, found, path)
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from _of_lists(wanted, found, path)
    elif _plain(wanted) != _plain(found):
        yield path


def _of_objects(wanted: Body, found: Body, path: str) -> Iterator[str]:
    for name, value in wanted.items():
        there = found.get(name)
        below = f"{path}.{name}" if path else name
        if name in _UNORDERED and isinstance(value, list):
            value, there = _sorted(value), _sorted(there or [])
            if name == "tags":
                # Ignore tags that the user has added.
                there = [tag for tag in there if tag in value]
        yield from _of(value, there, below)


def _of_lists(wanted: list[Any], found: list[Any], path: str) -> Iterator[str]:
    if len(wanted) != len(found):
        yield path
        return
    for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
        yield from _of(one, other, f"{path}[{number}]")


def _sorted(values: list[Any]) -> list[Any]:
    return sorted(values, key=lambda one: one.get("path", "") if isinstance(one, dict) else one)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\r\n", "\n").strip()
        return _ALIKE.get(text, text)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float))
