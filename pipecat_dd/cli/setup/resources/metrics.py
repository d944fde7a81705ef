"""The resources of log-based and span-based metrics, percentiles and metric descriptions."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from pipecat_dd.cli.setup._datadog_api import Api
from pipecat_dd.cli.setup.definition import Body, Definition, Found, Kind
from pipecat_dd.cli.setup.definitions.descriptions import MARK as TEXT_MARK
from pipecat_dd.cli.setup.definitions.descriptions import NOTHING
from pipecat_dd.cli.setup.definitions.distributions import MARK as TAG_MARK
from pipecat_dd.cli.setup.definitions.generated_metrics import MARK as QUERY_MARK
from pipecat_dd.cli.setup.definitions.retired import RETIRED
from pipecat_dd.cli.setup.errors import NotFoundError, RejectedError, UnknownMetricError
from pipecat_dd.cli.setup.resources.base import Resource

_UNKNOWN = "does not exist"
"""Part of Datadog's answer (400) if it has never received a metric."""


_NOT_SEEN = (
    "Datadog has not received this metric yet; run the command again after the first conversation "
    "with metrics=True"
)


class _Counted(Resource):
    """Log-based and span-based metrics, which are marked in their query."""

    type: ClassVar[str]

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._foreign: set[str] = set()

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created."""
        for metric in self._list()["data"]:
            name, body = metric["id"], metric["attributes"]
            if QUERY_MARK in body["filter"]["query"].split():
                yield Found(self.kind, name, name, body, name)
            else:
                self._foreign.add(name)

    def conflict(self, definition: Definition) -> str:
        """Return that a user's metric has the same name; empty if none has."""
        return "a metric of yours has this name" if definition.key in self._foreign else ""

    def create(self, definition: Definition) -> None:
        """Create an object."""
        self._create(
            definition.key, {"id": definition.key, "type": self.type, "attributes": definition.body}
        )

    def update(self, found: Found, body: Body) -> None:
        """Update a metric. If its computation differs, recreate it: Datadog cannot change that."""
        if _computed(found.body) != _computed(body):
            self.delete(found)
            self._create(found.id, {"id": found.id, "type": self.type, "attributes": body})
            return
        changed: Body = {"filter": body["filter"], "group_by": body["group_by"]}
        if "include_percentiles" in body["compute"]:
            changed["compute"] = {"include_percentiles": body["compute"]["include_percentiles"]}
        self._update(found.id, {"type": self.type, "attributes": changed})

    @abstractmethod
    def _list(self) -> Any: ...

    @abstractmethod
    def _create(self, name: str, data: Body) -> None: ...

    @abstractmethod
    def _update(self, name: str, data: Body) -> None: ...


class LineMetrics(_Counted):
    """Log-based metrics."""

    kind = Kind.LINE_METRIC
    permission = "logs_read_config, logs_generate_metrics"
    type = "logs_metrics"

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.line_metrics.delete_logs_metric, found.id)

    def _list(self) -> Any:
        return self._api.read(self._api.line_metrics.list_logs_metrics)

    def _create(self, name: str, data: Body) -> None:
        self._api.create(self._api.line_metrics.create_logs_metric, body={"data": data})

    def _update(self, name: str, data: Body) -> None:
        self._api.change(self._api.line_metrics.update_logs_metric, name, body={"data": data})


class SpanMetrics(_Counted):
    """Span-based metrics."""

    kind = Kind.SPAN_METRIC
    permission = "apm_read, apm_generate_metrics"
    type = "spans_metrics"

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.span_metrics.delete_spans_metric, found.id)

    def _list(self) -> Any:
        return self._api.read(self._api.span_metrics.list_spans_metrics)

    def _create(self, name: str, data: Body) -> None:
        self._api.create(self._api.span_metrics.create_spans_metric, body={"data": data})

    def _update(self, name: str, data: Body) -> None:
        self._api.change(self._api.span_metrics.update_spans_metric, name, body={"data": data})


class Percentiles(Resource):
    """Configurations of metrics, which are marked by a tag that they exclude."""

    kind = Kind.PERCENTILES
    permission = "metrics_read, metric_tags_write"

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._foreign: dict[str, str] = {}

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing configurations, also those that an earlier version created."""
        retired = (key for kind, key in RETIRED if kind is self.kind)
        for name in dict.fromkeys((*(definition.key for definition in definitions), *retired)):
            try:
                answer = self._api.read(self._api.metrics.list_tag_configuration_by_name, name)
            except NotFoundError:
                continue
            body = answer["data"]["attributes"]
            if body.get("exclude_tags_mode") and TAG_MARK in body.get("tags", ()):
                yield Found(self.kind, name, name, body, name)
            else:
                has = "" if body.get("include_percentiles") else ", without percentiles"
                self._foreign[name] = f"you have configured this metric yourself{has}"

    def conflict(self, definition: Definition) -> str:
        """Return that a user has configured the metric; empty if none has."""
        return self._foreign.get(definition.key, "")

    def create(self, definition: Definition) -> None:
        """Create the configuration of a metric.

        Raises:
            UnknownMetricError: Datadog has not received the metric yet.
        """
        data = {"type": "manage_tags", "id": definition.key, "attributes": definition.body}
        try:
            self._api.create(
                self._api.metrics.create_tag_configuration, definition.key, body={"data": data}
            )
        except (NotFoundError, RejectedError) as error:
            if not isinstance(error, NotFoundError) and _UNKNOWN not in str(error):
                raise
            raise UnknownMetricError(_NOT_SEEN) from error

    def update(self, found: Found, body: Body) -> None:
        """Update an object."""
        attributes = {name: value for name, value in body.items() if name != "metric_type"}
        data = {"type": "manage_tags", "id": found.id, "attributes": attributes}
        self._api.change(self._api.metrics.update_tag_configuration, found.id, body={"data": data})

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.metrics.delete_tag_configuration, found.id)


class Descriptions(Resource):
    """Descriptions and units of metrics, which are marked at the end of the description.

    They cannot be created or deleted: every metric has them, empty at first.
    """

    kind = Kind.DESCRIPTION
    permission = "metrics_read, metrics_metadata_write"

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._foreign: set[str] = set()

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created."""
        for definition in definitions:
            try:
                body = self._api.read(self._api.metadata.get_metric_metadata, definition.key)
            except NotFoundError:
                continue
            description = body.get("description") or ""
            if description.endswith(TEXT_MARK):
                yield Found(self.kind, definition.key, definition.title, body, definition.key)
            elif description or body.get("unit"):
                self._foreign.add(definition.key)

    def conflict(self, definition: Definition) -> str:
        """Return that a user has described the metric; empty if none has."""
        return "you have described this metric yourself" if definition.key in self._foreign else ""

    def create(self, definition: Definition) -> None:
        """Set the description and unit of a metric.

        Raises:
            UnknownMetricError: Datadog has not received the metric yet.
        """
        try:
            self._put(definition.key, definition.body)
        except NotFoundError as error:
            raise UnknownMetricError(_NOT_SEEN) from error

    def update(self, found: Found, body: Body) -> None:
        """Replace the description and unit of a metric."""
        self._put(found.id, body)

    def delete(self, found: Found) -> None:
        """Clear the description and unit of a metric."""
        self._put(found.id, NOTHING)

    def _put(self, name: str, body: Body) -> None:
        self._api.change(self._api.metadata.update_metric_metadata, name, body=body)


def _computed(body: Body) -> tuple[Any, Any]:
    compute = body["compute"]
    return compute["aggregation_type"], compute.get("path")
