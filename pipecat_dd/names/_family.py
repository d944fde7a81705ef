"""Names that differ in one part: a processor's key, a provider, a setting."""

from typing import Final


class Family:
    """Makes the names of a family, and knows them by what they begin with.

    Attributes:
        prefix: What all of its names begin with.
    """

    __slots__ = ("_suffix", "prefix")

    def __init__(self, pattern: str) -> None:
        """Prepare the names.

        Args:
            pattern: A name, with ``<…>`` in the place of what differs: ``failovers.<provider>``.
        """
        self.prefix: Final = pattern.partition("<")[0]
        self._suffix: Final = pattern.partition(">")[2]

    def __call__(self, part: str) -> str:
        """Return one of the names.

        Args:
            part: What stands in the place of ``<…>``.
        """
        return f"{self.prefix}{part}{self._suffix}"
