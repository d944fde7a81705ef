"""The least severity of a line, by the name it comes from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loguru import Record

_REMEMBERED: Final = 4096


class Thresholds:
    """Lets records through by their name and severity.

    Args:
        level: The least severity of all names not in ``by_name``.
        by_name: The least severity of a name and of those below it ("httpx" for
            "httpx._client", not for "httpx2"); the longest that fits decides.

    Attributes:
        least: The least severity that any name has: what a handler has to be added with.
    """

    __slots__ = ("_by_name", "_level", "_names", "least")

    def __init__(self, level: int, by_name: Mapping[str, int]) -> None:
        self._level = level
        self._by_name = dict(by_name)
        self._names: dict[str | None, int] = {}
        self.least = min([level, *self._by_name.values()])

    def lets_through(self, record: "Record") -> bool:
        """Tell whether a record is grave enough for where it comes from."""
        if not self._by_name:
            return True
        name = record["name"]
        threshold = self._names.get(name)
        if threshold is None:
            if len(self._names) >= _REMEMBERED:  # names made up at run time must not pile up
                self._names.clear()
            threshold = self._names[name] = self._of(name)
        return record["level"].no >= threshold

    def _of(self, name: str | None) -> int:
        rest = name or ""
        while rest:
            threshold = self._by_name.get(rest)
            if threshold is not None:
                return threshold
            rest = rest.rpartition(".")[0]
        return self._level
