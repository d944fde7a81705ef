"""What can be done with each kind of what is made."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pipecat_dd.cli.setup._datadog_api import Api
from pipecat_dd.cli.setup.definition import Body, Definition, Found, Kind


class Resource(ABC):
    """One kind of what is made.

    Args:
        api: Datadog's API.

    Attributes:
        kind: The kind.
        permission: What an application key must be allowed, in Datadog's words.
    """

    kind: ClassVar[Kind]
    permission: ClassVar[str]

    def __init__(self, api: Api) -> None:
        self._api = api

    @abstractmethod
    def found(self, things: Iterable[Definition]) -> Iterator[Found]:
        """Yield what is there of ours.

        Args:
            things: What is wanted of this kind.
        """

    def taken(self, thing: Definition) -> str:
        """Return what takes its place and is not ours, in words; empty where nothing does.

        Args:
            thing: What is wanted.
        """
        return ""

    def body_for(self, thing: Definition, found: Found) -> Body:
        """Return what it should be, now that its id is known.

        Args:
            thing: What is wanted.
            found: What is there.
        """
        return thing.body

    @abstractmethod
    def create(self, thing: Definition) -> Found | None:
        """Make it.

        Args:
            thing: What is wanted.

        Returns:
            What was made, where its mark still lacks the id that Datadog gave it.

        Raises:
            NotYet: It cannot be made before something has been sent.
        """

    @abstractmethod
    def update(self, found: Found, body: Body) -> None:
        """Change it.

        Args:
            found: What is there.
            body: What it should be.
        """

    @abstractmethod
    def delete(self, found: Found) -> None:
        """Take it away.

        Args:
            found: What is there.
        """
