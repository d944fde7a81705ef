"""The interface for the objects of one kind."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pipecat_dd.cli.setup._datadog_api import Api
from pipecat_dd.cli.setup.definition import Body, Definition, Found, Kind


class Resource(ABC):
    """The objects of one kind in an organisation.

    Args:
        api: The API of the organisation.

    Attributes:
        kind: The kind of the objects.
        permission: The permissions that an application key needs, by Datadog's names.
    """

    kind: ClassVar[Kind]
    permission: ClassVar[str]

    def __init__(self, api: Api) -> None:
        self._api = api

    @abstractmethod
    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created.

        Args:
            definitions: The definitions of this kind.
        """

    def conflict(self, definition: Definition) -> str:
        """Return why a user's own object prevents creating one; empty if nothing does.

        Args:
            definition: The definition of the object.
        """
        return ""

    def body_for(self, definition: Definition, found: Found) -> Body:
        """Return the body that an existing object should have.

        Args:
            definition: The definition of the object.
            found: The existing object, whose id becomes part of its mark.
        """
        return definition.body

    @abstractmethod
    def create(self, definition: Definition) -> Found | None:
        """Create an object.

        Args:
            definition: The definition of the object.

        Returns:
            The object, if its id must still be added to its mark; else None.

        Raises:
            UnknownMetricError: Datadog has not received the metric yet.
        """

    @abstractmethod
    def update(self, found: Found, body: Body) -> None:
        """Update an object.

        Args:
            found: The existing object.
            body: The body that it should have.
        """

    @abstractmethod
    def delete(self, found: Found) -> None:
        """Delete an object.

        Args:
            found: The existing object.
        """
