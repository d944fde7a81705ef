"""The lowest severity of lines that are written, by the name they come from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loguru import Record

_REMEMBERED: Final = 4096


class Thresholds:
    """Lets records through by their name and severity.

    Args:
        level: The lowest severity for names that are not in ``by_name``.
        by_name: The lowest severity for a name and the names below it ("httpx" applies to
            "httpx._client", not to "httpx2"). The longest matching name decides.

    Attributes:
        least: The lowest of all these severities, with which the handler is added.
    """

    __slots__ = ("_by_name", "_level", "_names", "least")

    def __init__(self, level: int, by_name: Mapping[str, int]) -> None:
        self._level = level
        self._by_name = dict(by_name)
        self._names: dict[str | None, int] = {}
        self.least = min([level, *self._by_name.values()])

    def lets_through(self, record: "Record") -> bool:
        """Whether a record's severity is high enough for its name."""
        if not self._by_name:
            return True
        name = record["name"]
        threshold = self._names.get(name)
        if threshold is None:
            if len(self._names) >= _REMEMBERED:  # a program may generate names without end
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
