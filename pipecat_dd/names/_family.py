"""Names that differ in one part: a processor's key, a provider, a setting."""

from typing import Final


class Family:
    """The names of a family: a function from the part that varies to the name.

    Attributes:
        prefix: The prefix of all its names.
    """

    __slots__ = ("_suffix", "prefix")

    def __init__(self, pattern: str) -> None:
        """Prepare the names.

        Args:
            pattern: A name, with ``<…>`` for the part that varies: ``failovers.<provider>``.
        """
        self.prefix: Final = pattern.partition("<")[0]
        self._suffix: Final = pattern.partition(">")[2]

    def __call__(self, part: str) -> str:
        """Return one of the names.

        Args:
            part: What replaces ``<…>``.
        """
        return f"{self.prefix}{part}{self._suffix}"
