"""A server that speaks the part of Datadog's API that ``pipecat-dd setup`` uses.

Every body is held against the client's models of the published schema, and refused if it does not
fit. What it gives back differs from what it was given as the real API's answers do: ids, authors,
times and defaults are added, tags come in another order, a metric alert is called a query alert,
a null stands where nothing was given (seen in the exchanges recorded in the client's own tests).
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from aiohttp import web
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.metric_metadata import MetricMetadata
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_update_request import MonitorUpdateRequest
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest
from datadog_api_client.v2.model.logs_metric_update_request import LogsMetricUpdateRequest
from datadog_api_client.v2.model.metric_tag_configuration_create_request import (
    MetricTagConfigurationCreateRequest,
)
from datadog_api_client.v2.model.metric_tag_configuration_update_request import (
    MetricTagConfigurationUpdateRequest,
)
from datadog_api_client.v2.model.retention_filter_create_request import (
    RetentionFilterCreateRequest,
)
from datadog_api_client.v2.model.retention_filter_update_request import (
    RetentionFilterUpdateRequest,
)
from datadog_api_client.v2.model.spans_metric_create_request import SpansMetricCreateRequest
from datadog_api_client.v2.model.spans_metric_update_request import SpansMetricUpdateRequest

from tests.support.datadog_models import mistakes
from tests.support.datadog_organisation import API_KEY, APP_KEY, DatadogApi, Json
from tests.support.server import serving_app

_SIGNED = re.compile(r" ?pipecat-dd-id:[\w-]+")


class _Server:
    def __init__(self, api: DatadogApi) -> None:
        self.api = api

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._gate], client_max_size=10_000_000)
        v1, v2 = "/api/v1", "/api/v2"
        add = app.router.add_route
        add("GET", f"{v1}/validate", self._validate)
        add("GET", f"{v1}/dashboard", self._list_dashboards)
        add("POST", f"{v1}/dashboard", self._make_dashboard)
        for method in ("GET", "PUT", "DELETE"):
            add(method, f"{v1}/dashboard/{{id}}", self._dashboard)
            add(method, f"{v1}/monitor/{{id:\\d+}}", self._monitor)
            add(method, f"{v1}/logs/config/pipelines/{{id}}", self._pipeline)
            add(method, f"{v2}/apm/config/retention-filters/{{id}}", self._filter)
        add("GET", f"{v1}/monitor", self._list_monitors)
        add("POST", f"{v1}/monitor", self._make_monitor)
        add("POST", f"{v1}/monitor/validate", self._validate_monitor)
        add("GET", f"{v1}/logs/config/pipelines", self._list_pipelines)
        add("POST", f"{v1}/logs/config/pipelines", self._make_pipeline)
        add("GET", f"{v2}/apm/config/retention-filters", self._list_filters)
        add("POST", f"{v2}/apm/config/retention-filters", self._make_filter)
        for path in ("logs", "apm"):
            add("GET", f"{v2}/{path}/config/metrics", self._list_metrics)
            add("POST", f"{v2}/{path}/config/metrics", self._make_metric)
            for method in ("PATCH", "DELETE"):
                add(method, f"{v2}/{path}/config/metrics/{{id}}", self._metric)
        for method in ("GET", "POST", "PATCH", "DELETE"):
            add(method, f"{v2}/metrics/{{id}}/tags", self._tags)
        for method in ("GET", "PUT"):
            add(method, f"{v1}/metrics/{{id}}", self._description)
        return app

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.api.requests.append((request.method, request.path))
        refusal = self.api.refusals.pop(len(self.api.requests), None)
        if refusal is not None:
            if refusal.after:
                await handler(request)
            return _error(refusal.status, self.api.bad_words, refusal.headers)
        if request.headers.get("DD-API-KEY") != API_KEY:
            return _error(403, "Forbidden")
        if request.path != "/api/v1/validate":
            if request.headers.get("DD-APPLICATION-KEY") != APP_KEY:
                return _error(403 if "/v1/" in request.path else 401, "Unauthorized")
            is_change = request.method != "GET" and request.path.startswith(self.api.read_only)
            if is_change or request.path.startswith(self.api.forbidden):
                return _error(403, self.api.bad_words)
        if request.path in self.api.answers:
            return web.Response(text=self.api.answers[request.path])
        try:
            return await handler(request)
        except KeyError as error:
            return _error(404, f"{error} not found")

    async def _body(self, request: web.Request, model: type) -> Json:
        body = await request.json()
        wrong = _mistakes(_SIGNED.sub("", json.dumps(body)), model)
        if wrong:
            self.api.wrong += wrong
            raise web.HTTPBadRequest(text=f'{{"errors": ["{len(wrong)} mistakes"]}}')
        return body

    async def _validate(self, request: web.Request) -> web.Response:
        return web.json_response({"valid": True})

    # Dashboards

    async def _list_dashboards(self, request: web.Request) -> web.Response:
        start = int(request.query.get("start", 0))
        count = int(request.query.get("count", 100))
        named = ("id", "title", "description", "layout_type", "url", "created_at")
        every = [{name: one[name] for name in named} for one in self.api.dashboards.values()]
        return web.json_response({"dashboards": every[start : start + count]})

    async def _make_dashboard(self, request: web.Request) -> web.Response:
        body = await self._body(request, Dashboard)
        new_id = self.api.next_id("abc-def-")
        self.api.dashboards[new_id] = self._as_dashboard(body, new_id)
        return web.json_response(self.api.dashboards[new_id])

    def _as_dashboard(self, body: Json, own_id: str) -> Json:
        body = {"description": None, "notify_list": None, **body}
        for widget in _widgets(body["widgets"]):
            widget["id"] = int(self.api.next_id())
        return {
            **body,
            "id": own_id,
            "author_handle": "someone@example.com",
            "author_name": None,
            "url": f"/dashboard/{own_id}",
            "is_read_only": False,
            "restricted_roles": [],
            "created_at": "2026-01-01T00:00:00.000000+00:00",
            "modified_at": "2026-01-01T00:00:00.000000+00:00",
        }

    async def _dashboard(self, request: web.Request) -> web.Response:
        own_id = request.match_info["id"]
        found = self.api.dashboards[own_id]
        if request.method == "DELETE":
            del self.api.dashboards[own_id]
            return web.json_response({"deleted_dashboard_id": own_id})
        if request.method == "PUT":
            body = await self._body(request, Dashboard)
            found = self.api.dashboards[own_id] = self._as_dashboard(body, own_id)
        return web.json_response(found)

    # Monitors

    async def _list_monitors(self, request: web.Request) -> web.Response:
        tags = set(filter(None, request.query.get("monitor_tags", "").split(",")))
        page, size = (int(request.query.get(name, 0)) for name in ("page", "page_size"))
        every = [one for one in self.api.monitors.values() if tags <= set(one["tags"])]
        return web.json_response(every[page * size : (page + 1) * size] if size else every)

    async def _validate_monitor(self, request: web.Request) -> web.Response:
        await self._body(request, Monitor)
        return web.json_response({})

    async def _make_monitor(self, request: web.Request) -> web.Response:
        body = await self._body(request, Monitor)
        new_id = self.api.next_id()
        self.api.monitors[new_id] = self._as_monitor(body, new_id)
        return web.json_response(self.api.monitors[new_id])

    def _as_monitor(self, body: Json, own_id: str) -> Json:
        options = {"notify_audit": False, "silenced": {}, "new_host_delay": 300}
        kind = body["type"].replace("metric alert", "query alert")
        return {
            **body,
            "id": int(own_id),
            "type": kind,
            "message": body["message"].strip(),
            "tags": sorted({tag.lower() for tag in body.get("tags", [])}, reverse=True),
            "options": {**options, **body["options"]},
            "multi": True,
            "created": "2026-01-01T00:00:00.000000+00:00",
            "creator": {"handle": "someone@example.com"},
            "restricted_roles": None,
            "overall_state": "No Data",
        }

    async def _monitor(self, request: web.Request) -> web.Response:
        own_id = request.match_info["id"]
        found = self.api.monitors[own_id]
        if request.method == "DELETE":
            del self.api.monitors[own_id]
            return web.json_response({"deleted_monitor_id": int(own_id)})
        if request.method == "PUT":
            body = await self._body(request, MonitorUpdateRequest)
            merged = {**found, **body}
            found = self.api.monitors[own_id] = self._as_monitor(merged, own_id)
        return web.json_response(found)

    # Pipelines

    async def _list_pipelines(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.api.pipelines.values()))

    async def _make_pipeline(self, request: web.Request) -> web.Response:
        body = await self._body(request, LogsPipeline)
        new_id = self.api.next_id("DuWU4bc3ROq5nz7GVi5TzA")
        self.api.pipelines[new_id] = _as_pipeline(body, new_id)
        return web.json_response(self.api.pipelines[new_id])

    async def _pipeline(self, request: web.Request) -> web.Response:
        own_id = request.match_info["id"]
        found = self.api.pipelines[own_id]
        if request.method == "DELETE":
            del self.api.pipelines[own_id]
            return web.json_response({})
        if request.method == "PUT":
            body = await self._body(request, LogsPipeline)
            found = self.api.pipelines[own_id] = _as_pipeline(body, own_id)
        return web.json_response(found)

    # Metrics that Datadog makes

    def _made(self, request: web.Request) -> tuple[dict[str, Json], type, type, str]:
        if "/logs/" in request.path:
            create, update = LogsMetricCreateRequest, LogsMetricUpdateRequest
            return self.api.line_metrics, create, update, "logs_metrics"
        return (
            self.api.span_metrics,
            SpansMetricCreateRequest,
            SpansMetricUpdateRequest,
            "spans_metrics",
        )

    async def _list_metrics(self, request: web.Request) -> web.Response:
        made, _, _, kind = self._made(request)
        return web.json_response(
            {"data": [{"id": name, "type": kind, "attributes": one} for name, one in made.items()]}
        )

    async def _make_metric(self, request: web.Request) -> web.Response:
        made, create, _, kind = self._made(request)
        data = (await self._body(request, create))["data"]
        name = data["id"].replace("-", "_")
        if name in made:
            return _error(409, "metric exists")
        made[name] = data["attributes"]
        return web.json_response({"data": {"id": name, "type": kind, "attributes": made[name]}})

    async def _metric(self, request: web.Request) -> web.Response:
        made, _, update, kind = self._made(request)
        name = request.match_info["id"]
        found = made[name]
        if request.method == "DELETE":
            del made[name]
            return web.Response(status=204)
        changed = (await self._body(request, update))["data"]["attributes"]
        compute = {**found["compute"], **changed.pop("compute", {})}
        made[name] = {**found, **changed, "compute": compute}
        return web.json_response({"data": {"id": name, "type": kind, "attributes": made[name]}})

    # What Datadog computes of metrics that are sent

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        made = self.api.tag_configurations
        if request.method == "POST":
            data = (await self._body(request, MetricTagConfigurationCreateRequest))["data"]
            if name in self.api.unknown_metrics:
                return _error(400, "Cannot configure tags on a metric that does not exist.")
            if name in made:
                return _error(409, "exists")
            if not data["attributes"]["tags"]:
                return _error(400, "no tags to exclude")
            made[name] = data["attributes"]
        elif request.method == "DELETE":
            del made[name]
            return web.Response(status=204)
        elif request.method == "PATCH":
            data = (await self._body(request, MetricTagConfigurationUpdateRequest))["data"]
            made[name] = {**made[name], **data["attributes"]}
        attributes = {**made[name], "created_at": "2026-01-01T00:00:00+00:00"}
        return web.json_response(
            {"data": {"type": "manage_tags", "id": name, "attributes": attributes}}
        )

    async def _description(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name in self.api.unknown_metrics:
            return _error(404, "metric not found")
        described = self.api.descriptions
        if request.method == "PUT":
            body = await self._body(request, MetricMetadata)
            described[name] = {**described.get(name, {}), **body}
            if not any(described[name].values()):
                del described[name]
        plain = {"type": "count", "description": None, "unit": None, "per_unit": None}
        return web.json_response({**plain, "statsd_interval": 10, **described.get(name, {})})

    # Retention filters

    async def _list_filters(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"data": [_filter(own_id, one) for own_id, one in self.api.retention_filters.items()]}
        )

    async def _make_filter(self, request: web.Request) -> web.Response:
        data = (await self._body(request, RetentionFilterCreateRequest))["data"]
        new_id = self.api.next_id("x1aRVkAVQN2CBx1ghs4xDQ")
        self.api.retention_filters[new_id] = data["attributes"]
        return web.json_response({"data": _filter(new_id, data["attributes"])})

    async def _filter(self, request: web.Request) -> web.Response:
        own_id = request.match_info["id"]
        found = self.api.retention_filters[own_id]
        if request.method == "DELETE":
            del self.api.retention_filters[own_id]
            return web.json_response({})
        if request.method == "PUT":
            body = await self._body(request, RetentionFilterUpdateRequest)
            found = self.api.retention_filters[own_id] = body["data"]["attributes"]
        return web.json_response({"data": _filter(own_id, found)})


@cache
def _mistakes(body: str, model: type) -> list[str]:
    # A dashboard takes a second to be held against the models, and is made by most tests.
    return mistakes(json.loads(body), model)


def _as_pipeline(body: Json, own_id: str) -> Json:
    # Off unless it is said to be on.
    return {
        "is_enabled": False,
        **body,
        "id": own_id,
        "type": "pipeline",
        "is_read_only": False,
        "tags": sorted(tag.lower() for tag in body.get("tags", [])),
    }


def _filter(own_id: str, attributes: Json) -> Json:
    added = {"trace_rate": 0.0, "editable": True, "execution_order": 1, "created_at": 1743678740}
    return {
        "id": own_id,
        "type": "apm_retention_filter",
        "attributes": {**added, **attributes},
    }


def _widgets(widgets: list[Json]) -> Iterator[Json]:
    for widget in widgets:
        yield widget
        yield from _widgets(widget["definition"].get("widgets", []))


def _error(status: int, words: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": [words]}, status=status, headers=headers)


@contextmanager
def running() -> Iterator[DatadogApi]:
    """Run the server on a free port of this machine, in a thread of its own."""
    api = DatadogApi()
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving_app(_Server(api).app()) as api.url:
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(10), "the server did not start"
    try:
        yield api
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
