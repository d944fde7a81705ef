"""Metrics that Datadog makes, and what it computes of metrics that are sent."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from pipecat_dd.cli.setup._datadog_api import Api
from pipecat_dd.cli.setup.definition import Body, Definition, Found, Kind
from pipecat_dd.cli.setup.definitions.counted import MARK as QUERY_MARK
from pipecat_dd.cli.setup.definitions.descriptions import MARK as TEXT_MARK
from pipecat_dd.cli.setup.definitions.descriptions import NOTHING
from pipecat_dd.cli.setup.definitions.distributions import MARK as TAG_MARK
from pipecat_dd.cli.setup.definitions.retired import RETIRED
from pipecat_dd.cli.setup.errors import NotThere, NotYet, Rejected
from pipecat_dd.cli.setup.resources.base import Resource

_UNKNOWN = "does not exist"
"""In what Datadog answers (400) where a metric was never sent."""


_NOT_SEEN = (
    "Datadog has not seen the metric; run this again after the first conversation with metrics=True"
)


class _Counted(Resource):
    """Metrics that Datadog makes, marked in their query."""

    type: ClassVar[str]

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._taken: set[str] = set()

    def found(self, things: Iterable[Definition]) -> Iterator[Found]:
        """Yield what is there of ours."""
        for metric in self._list()["data"]:
            name, body = metric["id"], metric["attributes"]
            if QUERY_MARK in body["filter"]["query"].split():
                yield Found(self.kind, name, name, body, name)
            else:
                self._taken.add(name)

    def taken(self, thing: Definition) -> str:
        """Return what has its name and is not ours."""
        return "a metric of yours has this name" if thing.key in self._taken else ""

    def create(self, thing: Definition) -> None:
        """Make it."""
        self._create(thing.key, {"id": thing.key, "type": self.type, "attributes": thing.body})

    def update(self, found: Found, body: Body) -> None:
        """Change it; anew, where Datadog lets nobody change what is computed."""
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
    """Metrics that Datadog makes of lines."""

    kind = Kind.LINE_METRIC
    permission = "logs_read_config, logs_generate_metrics"
    type = "logs_metrics"

    def delete(self, found: Found) -> None:
        """Take it away."""
        self._api.change(self._api.line_metrics.delete_logs_metric, found.id)

    def _list(self) -> Any:
        return self._api.read(self._api.line_metrics.list_logs_metrics)

    def _create(self, name: str, data: Body) -> None:
        self._api.create(self._api.line_metrics.create_logs_metric, body={"data": data})

    def _update(self, name: str, data: Body) -> None:
        self._api.change(self._api.line_metrics.update_logs_metric, name, body={"data": data})


class SpanMetrics(_Counted):
    """Metrics that Datadog makes of spans."""

    kind = Kind.SPAN_METRIC
    permission = "apm_read, apm_generate_metrics"
    type = "spans_metrics"

    def delete(self, found: Found) -> None:
        """Take it away."""
        self._api.change(self._api.span_metrics.delete_spans_metric, found.id)

    def _list(self) -> Any:
        return self._api.read(self._api.span_metrics.list_spans_metrics)

    def _create(self, name: str, data: Body) -> None:
        self._api.create(self._api.span_metrics.create_spans_metric, body={"data": data})

    def _update(self, name: str, data: Body) -> None:
        self._api.change(self._api.span_metrics.update_spans_metric, name, body={"data": data})


class Percentiles(Resource):
    """Configurations of metrics, marked by a tag that they leave out."""

    kind = Kind.PERCENTILES
    permission = "metrics_read, metric_tags_write"

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._taken: dict[str, str] = {}

    def found(self, things: Iterable[Definition]) -> Iterator[Found]:
        """Yield what is there of ours, also of what an earlier version configured."""
        retired = (key for kind, key in RETIRED if kind is self.kind)
        for name in dict.fromkeys((*(thing.key for thing in things), *retired)):
            try:
                answer = self._api.read(self._api.metrics.list_tag_configuration_by_name, name)
            except NotThere:
                continue
            body = answer["data"]["attributes"]
            if body.get("exclude_tags_mode") and TAG_MARK in body.get("tags", ()):
                yield Found(self.kind, name, name, body, name)
            else:
                has = "" if body.get("include_percentiles") else ", without percentiles"
                self._taken[name] = f"you have configured this metric yourself{has}"

    def taken(self, thing: Definition) -> str:
        """Return how the metric is configured, where that is not by us."""
        return self._taken.get(thing.key, "")

    def create(self, thing: Definition) -> None:
        """Make it.

        Raises:
            NotYet: The metric was never sent.
        """
        data = {"type": "manage_tags", "id": thing.key, "attributes": thing.body}
        try:
            self._api.create(
                self._api.metrics.create_tag_configuration, thing.key, body={"data": data}
            )
        except (NotThere, Rejected) as refusal:
            if not isinstance(refusal, NotThere) and _UNKNOWN not in str(refusal):
                raise
            raise NotYet(_NOT_SEEN) from refusal

    def update(self, found: Found, body: Body) -> None:
        """Change it."""
        attributes = {name: value for name, value in body.items() if name != "metric_type"}
        data = {"type": "manage_tags", "id": found.id, "attributes": attributes}
        self._api.change(self._api.metrics.update_tag_configuration, found.id, body={"data": data})

    def delete(self, found: Found) -> None:
        """Take it away."""
        self._api.change(self._api.metrics.delete_tag_configuration, found.id)


class Descriptions(Resource):
    """What Datadog says of a metric, marked in its words.

    It cannot be made or taken away: a metric has it from when it is first seen, and it is empty.
    """

    kind = Kind.DESCRIPTION
    permission = "metrics_read, metrics_metadata_write"

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._taken: set[str] = set()

    def found(self, things: Iterable[Definition]) -> Iterator[Found]:
        """Yield what is there of ours."""
        for thing in things:
            try:
                body = self._api.read(self._api.metadata.get_metric_metadata, thing.key)
            except NotThere:
                continue
            description = body.get("description") or ""
            if description.endswith(TEXT_MARK):
                yield Found(self.kind, thing.key, thing.title, body, thing.key)
            elif description or body.get("unit"):
                self._taken.add(thing.key)

    def taken(self, thing: Definition) -> str:
        """Return who has described the metric, where that is not us."""
        return "you have described this metric yourself" if thing.key in self._taken else ""

    def create(self, thing: Definition) -> None:
        """Describe it.

        Raises:
            NotYet: The metric was never sent.
        """
        try:
            self._put(thing.key, thing.body)
        except NotThere as refusal:
            raise NotYet(_NOT_SEEN) from refusal

    def update(self, found: Found, body: Body) -> None:
        """Describe it anew."""
        self._put(found.id, body)

    def delete(self, found: Found) -> None:
        """Leave it without description and unit, as it was."""
        self._put(found.id, NOTHING)

    def _put(self, name: str, body: Body) -> None:
        self._api.change(self._api.metadata.update_metric_metadata, name, body=body)


def _computed(body: Body) -> tuple[Any, Any]:
    compute = body["compute"]
    return compute["aggregation_type"], compute.get("path")
