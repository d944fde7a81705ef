"""The resources whose mark is in a description, in tags or in a name."""

from collections.abc import Iterable, Iterator

from pipecat_dd.cli.setup.definition import (
    OWNER,
    Body,
    Definition,
    Found,
    Kind,
    Mark,
    mark_in_tags,
    mark_in_text,
)
from pipecat_dd.cli.setup.resources.base import Resource

_PAGE = 100
_MARKS = ("pipecat-dd", "pipecat-dd-id", "pipecat-dd-scope")


class Dashboards(Resource):
    """Dashboards, marked in their description."""

    kind = Kind.DASHBOARD
    permission = "dashboards_read, dashboards_write"

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created."""
        start = 0
        while True:
            page = self._api.read(self._api.dashboards.list_dashboards, count=_PAGE, start=start)
            summaries = page["dashboards"]
            for summary in summaries:
                mark = mark_in_text(summary.get("description"))
                if mark and mark.is_original(summary["id"]):
                    body = self._api.read(self._api.dashboards.get_dashboard, summary["id"])
                    signed = mark.id is not None
                    yield Found(
                        self.kind, mark.key, body["title"], body, body["id"], is_signed=signed
                    )
            start += len(summaries)
            if len(summaries) < _PAGE:
                return

    def body_for(self, definition: Definition, found: Found) -> Body:
        """Return the body that an existing object should have, with its id in the mark."""
        plain, signed = Mark(definition.key).as_text(), Mark(definition.key, found.id).as_text()
        return {
            **definition.body,
            "description": definition.body["description"].replace(plain, signed),
        }

    def create(self, definition: Definition) -> Found:
        """Create an object."""
        body = self._api.create(self._api.dashboards.create_dashboard, body=definition.body)
        return Found(self.kind, definition.key, definition.title, body, body["id"])

    def update(self, found: Found, body: Body) -> None:
        """Update an object."""
        self._api.change(self._api.dashboards.update_dashboard, found.id, body=body)

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.dashboards.delete_dashboard, found.id)


class _Tagged(Resource):
    """Objects that are marked with tags."""

    def body_for(self, definition: Definition, found: Found) -> Body:
        """Return the body it should have, with its id in the mark and the user's own tags."""
        tags = Mark(definition.key, found.id, definition.scope).as_tags()
        others = (*definition.body["tags"], *(found.body.get("tags") or ()))
        kept = dict.fromkeys(tag for tag in others if not _is_mark_tag(tag))
        return {**definition.body, "tags": [*tags, *kept]}

    def _new(self, definition: Definition, body: Body) -> Found:
        return Found(
            self.kind, definition.key, definition.title, body, str(body["id"]), definition.scope
        )

    def _ours(self, body: Body, title: str) -> Iterator[Found]:
        mark = mark_in_tags(body.get("tags"))
        if mark and mark.is_original(str(body["id"])):
            own_id, signed = str(body["id"]), mark.id is not None
            yield Found(self.kind, mark.key, title, body, own_id, mark.scope, signed)


class Monitors(_Tagged):
    """Monitors."""

    kind = Kind.MONITOR
    permission = "monitors_read, monitors_write"

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created."""
        page = 0
        while True:
            monitors = self._api.read(
                self._api.monitors.list_monitors,
                monitor_tags="managed-by:pipecat-dd",
                page=page,
                page_size=_PAGE,
            )
            for monitor in monitors:
                yield from self._ours(monitor, monitor["name"])
            page += 1
            if len(monitors) < _PAGE:
                return

    def create(self, definition: Definition) -> Found:
        """Create a monitor, after Datadog has validated it."""
        self._api.read(self._api.monitors.validate_monitor, body=definition.body)
        return self._new(
            definition, self._api.create(self._api.monitors.create_monitor, body=definition.body)
        )

    def update(self, found: Found, body: Body) -> None:
        """Update a monitor. If its type differs, recreate it, since the type cannot be changed."""
        if _monitor_type(found.body) != _monitor_type(body):
            mark = mark_in_tags(body["tags"])
            assert mark is not None
            self.delete(found)
            made = self.create(Definition(self.kind, found.key, found.title, body, mark.scope))
            signed = Mark(mark.key, made.id, mark.scope).as_tags()
            own = [tag for tag in body["tags"] if not _is_mark_tag(tag)]
            self.update(made, {**body, "tags": [*signed, *own]})
            return
        body = {name: value for name, value in body.items() if name != "type"}
        self._api.change(self._api.monitors.update_monitor, int(found.id), body=body)

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.monitors.delete_monitor, int(found.id))


class Pipelines(_Tagged):
    """Log pipelines."""

    kind = Kind.PIPELINE
    permission = "logs_read_config, logs_write_pipelines"

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created."""
        for pipeline in self._api.read(self._api.pipelines.list_logs_pipelines):
            yield from self._ours(pipeline, pipeline["name"])

    def create(self, definition: Definition) -> Found:
        """Create an object."""
        return self._new(
            definition,
            self._api.create(self._api.pipelines.create_logs_pipeline, body=definition.body),
        )

    def update(self, found: Found, body: Body) -> None:
        """Update an object."""
        self._api.change(self._api.pipelines.update_logs_pipeline, found.id, body=body)

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.pipelines.delete_logs_pipeline, found.id)


class RetentionFilters(Resource):
    """Retention filters, marked in their name."""

    kind = Kind.RETENTION
    permission = "apm_retention_filter_read, apm_retention_filter_write"

    def find(self, definitions: Iterable[Definition]) -> Iterator[Found]:
        """Yield the existing objects that this command created."""
        answer = self._api.read(self._api.retention_filters.list_apm_retention_filters)
        for data in answer["data"]:
            body = data["attributes"]
            mark = mark_in_text(body["name"])
            if mark:
                yield Found(self.kind, mark.key, body["name"], body, data["id"])

    def create(self, definition: Definition) -> None:
        """Create an object."""
        data = {"type": "apm_retention_filter", "attributes": definition.body}
        self._api.create(
            self._api.retention_filters.create_apm_retention_filter, body={"data": data}
        )

    def update(self, found: Found, body: Body) -> None:
        """Update an object."""
        data = {"id": found.id, "type": "apm_retention_filter", "attributes": body}
        self._api.change(
            self._api.retention_filters.update_apm_retention_filter, found.id, body={"data": data}
        )

    def delete(self, found: Found) -> None:
        """Delete an object."""
        self._api.change(self._api.retention_filters.delete_apm_retention_filter, found.id)


def _monitor_type(body: Body) -> str:
    # Datadog uses both names for a metric alert.
    return str(body["type"]).replace("metric alert", "query alert")


def _is_mark_tag(tag: str) -> bool:
    return tag == OWNER or tag.partition(":")[0] in _MARKS
