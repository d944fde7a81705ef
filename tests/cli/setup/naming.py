"""Holds every query, field, span, tag and metric that definitions name against what is sent."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipecat_dd.cli.setup.definition import Definition, Kind
from pipecat_dd.cli.setup.definitions.generated_metrics import MARK
from pipecat_dd.cli.setup.definitions.queries import FREE, TRACE_TAGS
from pipecat_dd.names.fields import BOUND_BY_CONVENTION, FIELDS
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import METRICS, MetricDoc, Type
from pipecat_dd.names.spans import SPANS
from pipecat_dd.names.tags import TAGS, TagDoc
from tests.support import queries

_FIELDS = {f"@{one.name}": one.meaning for one in (*FIELDS, *BOUND_BY_CONVENTION)}
_TAGS = {f"@{tag.name}": tag for tag in TAGS}
_SPANS = {f"pipecat.{span.kind}": span.kind for span in SPANS}
_SENT = {metric.name: metric for metric in METRICS}
_TRACE_COUNTS = {f"trace.pipecat.{kind}.{what}" for kind in FREE for what in ("hits", "errors")}
_TRACE_TIMES = {f"trace.pipecat.{kind}" for kind in FREE}
"""What Datadog makes of entry spans and measured ones by itself."""

_LINE_CORE = {*UNIFIED, "status", "source", "host"}
_SPAN_CORE = {*UNIFIED, "status", "operation_name", "resource_name", "@duration"}
_COLUMNS = {"timestamp", "status_line", "matches", "volume", "message", "service"}
_STATUSES = {"ok", "debug", "info", "notice", "warn", "error", "critical"}
_LEVELS = {"TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"}
_SETTINGS = {
    *("DD_TRACE_ENABLED", "asyncio.to_thread", "pipecat-dd setup", "pipecat-dd doctor"),
}
_NUMBER_VARIABLES = {"value", "threshold", "last_triggered_at_epoch"}


@dataclass
class Checker:
    """What is named by definitions and not sent, and what does not parse."""

    wrong: list[str] = field(default_factory=list)
    percentiles: set[str] = field(default_factory=set)
    made: dict[str, set[str]] = field(default_factory=dict)
    distributions: set[str] = field(default_factory=set)
    grouped: set[tuple[str, str]] = field(default_factory=set)
    """Fields that need a facet or measure: the source, and the field."""
    asked_percentiles: set[str] = field(default_factory=set)
    checked: int = 0

    def check(self, things: Sequence[Definition]) -> list[str]:
        """Return all that is wrong with definitions."""
        for thing in things:
            if thing.kind is Kind.PERCENTILES:
                self.percentiles.add(thing.key)
            elif thing.kind in (Kind.LINE_METRIC, Kind.SPAN_METRIC):
                self.made[thing.key] = {one["tag_name"] for one in thing.body["group_by"]}
                if thing.body["compute"]["aggregation_type"] == "distribution":
                    self.distributions.add(thing.key)
        for thing in things:
            self._thing(thing)
        return self.wrong

    def _thing(self, thing: Definition) -> None:
        where, body = f"{thing.kind} {thing.key}", thing.body
        match thing.kind:
            case Kind.DASHBOARD:
                for title, widget in _widgets(body["widgets"]):
                    for word in unknown_words(widget.get("content", "")):
                        self.wrong.append(f"{where}: nothing is called {word}")
                    self._widget(f"{where}, {title}", widget)
            case Kind.MONITOR:
                self._monitor(where, body)
            case Kind.PIPELINE:
                self.search(where, "lines", body["filter"]["query"])
                for processor in body["processors"]:
                    for source in processor["sources"]:
                        self.field(where, "lines", f"@{source}")
                    if processor.get("target_type") == "tag":
                        self.field(where, "lines", processor["target"])
                    elif "target" in processor:
                        self.field(where, "lines", f"@{processor['target']}")
            case Kind.LINE_METRIC | Kind.SPAN_METRIC:
                source = "lines" if thing.kind is Kind.LINE_METRIC else "spans"
                query = body["filter"]["query"]
                if not query.endswith(f" {MARK}"):
                    self.wrong.append(f"{where}: bears no mark")
                kinds = self.search(where, source, query.removesuffix(MARK))
                for one in body["group_by"]:
                    self.field(where, source, one["path"], kinds)
                if "path" in body["compute"]:
                    self.field(where, source, body["compute"]["path"], kinds, is_number=True)
            case Kind.PERCENTILES:
                if _SENT[thing.key].type is not Type.DISTRIBUTION:
                    self.wrong.append(f"{where}: is no distribution")
            case Kind.DESCRIPTION:
                if thing.key not in _SENT:
                    self.wrong.append(f"{where}: is never sent")
            case Kind.RETENTION:
                self.search(where, "spans", body["filter"]["query"])

    # Searches

    def search(self, where: str, source: str, query: str) -> set[str]:
        """Check a search; return the kinds of spans that it looks for."""
        self.checked += 1
        try:
            uses = queries.search(query)
        except queries.BadQueryError as error:
            self.wrong.append(f"{where}: {error}")
            return set()
        kinds = {value for use in uses if use.name == "operation_name" for value in use.values}
        if source == "lines":
            self._of_ours(where, query, uses)
        for use in uses:
            self.field(where, source, use.name, kinds, use.values, use.is_number)
        return kinds

    def _of_ours(self, where: str, query: str, uses: Sequence[queries.Use]) -> None:
        if "@pipecat.version:*" not in query.split():
            self.wrong.append(f"{where}: looks at other people's lines too")
        if any(use.name.startswith("@dd.") for use in uses):
            self.wrong.append(f"{where}: Datadog takes dd.* off lines")

    def field(
        self,
        where: str,
        source: str,
        name: str,
        kinds: Iterable[str] = (),
        values: Iterable[str] = (),
        is_number: bool = False,
    ) -> None:
        """Check a field of lines or spans, and what it is held against."""
        values = [value for value in values if not value.startswith(("{{", "$"))]
        if is_number:
            self.grouped.add((source, name))
        if name == "status":
            self._among(where, name, values, _STATUSES)
        elif source == "lines":
            if name not in _FIELDS and name not in _LINE_CORE:
                self.wrong.append(f"{where}: lines have no {name}")
            if name == "@levelname":
                self._among(where, name, values, _LEVELS)
        elif name == "operation_name":
            self._among(where, name, values, set(_SPANS))
        elif name not in _SPAN_CORE:
            tag = _TAGS.get(name)
            if tag is None:
                self.wrong.append(f"{where}: spans have no {name}")
            else:
                self._tag(where, tag, kinds, values, is_number)

    def _tag(
        self, where: str, tag: TagDoc, kinds: Iterable[str], values: list[str], is_number: bool
    ) -> None:
        for kind in kinds:
            if tag.on and kind in _SPANS and _SPANS[kind] not in tag.on:
                self.wrong.append(f"{where}: {kind} has no {tag.name}")
        if tag.unit:
            if not all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in values):
                self.wrong.append(f"{where}: {tag.name} is a number, not {values}")
        elif is_number:
            self.wrong.append(f"{where}: {tag.name} is text, and cannot be compared")
        else:
            self._among(where, tag.name, values, _words(tag.meaning))

    def _among(self, where: str, name: str, values: Iterable[str], allowed: set[str]) -> None:
        for value in values:
            if value not in allowed:
                self.wrong.append(f"{where}: {name} is never {value}")

    # Metrics

    def metric(self, where: str, query: str) -> None:
        """Check a metric query."""
        self.checked += 1
        try:
            uses = queries.metric(query)
        except queries.BadQueryError as error:
            self.wrong.append(f"{where}: {error}")
            return
        for use in uses:
            self.metric_use(where, use)

    def metric_use(self, where: str, use: queries.MetricUse) -> None:
        """Check what a query says of a metric."""
        if use.name in _TRACE_COUNTS | _TRACE_TIMES:
            self._trace_metric(where, use)
            return
        doc = _SENT.get(use.name)
        if doc is None and use.name not in self.made:
            self.wrong.append(f"{where}: {use.name} is no metric")
            return
        tags = {*UNIFIED, *doc.tags} if doc else self.made[use.name]
        variables = {name.removeprefix("$") for name in use.variables}
        for tag in {*use.tags, *use.by, *variables} - tags:
            self.wrong.append(f"{where}: {use.name} has no tag {tag}")
        is_distribution = doc.type is Type.DISTRIBUTION if doc else use.name in self.distributions
        if use.aggregation.startswith("p") and not is_distribution:
            self.wrong.append(f"{where}: {use.name} has no percentiles")
        if use.aggregation.startswith("p") and doc:
            self.asked_percentiles.add(use.name)
            if use.name not in self.percentiles:
                self.wrong.append(f"{where}: the percentiles of {use.name} are not made")
        is_count = use.aggregation == "count" or (
            doc.type is Type.COUNT if doc else use.name not in self.distributions
        )
        if is_count is not ("as_count" in use.methods):
            self.wrong.append(f"{where}: {use.name} is asked for as what it is not")
        if doc:
            for tag, values in use.tags.items():
                if tag not in UNIFIED and values != ("*",):
                    self._among(where, f"{use.name}'s {tag}", values, _values(doc, tag))

    def _trace_metric(self, where: str, use: queries.MetricUse) -> None:
        variables = {name.removeprefix("$") for name in use.variables}
        for tag in {*use.tags, *use.by, *variables} - set(TRACE_TAGS):
            self.wrong.append(f"{where}: {use.name} has no tag {tag}")
        is_count = use.name in _TRACE_COUNTS
        if is_count is not ("as_count" in use.methods):
            self.wrong.append(f"{where}: {use.name} is asked for as what it is not")
        if is_count is use.aggregation.startswith("p"):
            self.wrong.append(f"{where}: {use.name} has no {use.aggregation}")

    # Widgets and monitors

    def _widget(self, where: str, definition: dict[str, Any]) -> None:
        for request in definition.get("requests", ()):
            if "columns" in request:
                self._stream(where, request)
                continue
            asked = {query["name"]: query for query in request["queries"]}
            used = set().union(*(queries.formula(one["formula"]) for one in request["formulas"]))
            if used != set(asked):
                self.wrong.append(f"{where}: asks for {set(asked)} and draws {used}")
            for query in asked.values():
                if query["data_source"] == "metrics":
                    self.metric(where, query["query"])
                    continue
                source = {"logs": "lines", "spans": "spans"}[query["data_source"]]
                kinds = self.search(where, source, query["search"]["query"])
                fields = [one["facet"] for one in query["group_by"]]
                fields += [query["compute"]["metric"]] if "metric" in query["compute"] else []
                for name in fields:
                    self.grouped.add((source, name))
                    self.field(where, source, name, kinds)

    def _stream(self, where: str, request: dict[str, Any]) -> None:
        query = request["query"]
        source = "spans" if query["data_source"] == "trace_stream" else "lines"
        kinds = self.search(where, source, query["query_string"])
        for one in (*request["columns"], *query.get("group_by", ())):
            name = one.get("field") or one["facet"]
            if name not in _COLUMNS:
                self.field(where, source, name, kinds)

    def _monitor(self, where: str, body: dict[str, Any]) -> None:
        self.checked += 1
        try:
            asked = queries.monitor(body["query"])
        except queries.BadQueryError as error:
            self.wrong.append(f"{where}: {error}")
            return
        self._thresholds(where, asked, body["options"]["thresholds"])
        for use in asked.metrics:
            self.metric_use(where, use)
            if use.aggregation.startswith("p") is not (asked.time_aggregation == "percentile"):
                self.wrong.append(f"{where}: a percentile is a percentile of the whole window")
            if use.name.startswith("pipecat_dd.spans"):
                self.wrong.append(f"{where}: {use.name} sees only what was kept")
        if asked.search:
            self.search(where, "lines", asked.search)
        by = set(asked.by)
        counts = body["options"].get("variables", [])
        for count in counts:
            self.search(where, "lines", count["search"]["query"])
            by |= {one["facet"] for one in count["group_by"]}
        if asked.formula and queries.formula(asked.formula) != {one["name"] for one in counts}:
            self.wrong.append(f"{where}: draws what it does not count")
        text = f"{body['name']}\n{body['message']}"
        self.wrong += [f"{where}: nothing is called {word}" for word in unknown_words(text)]
        for name in re.findall(r"\{\{(?![#/^])(?:eval \")?([a-z_.]+)", text):
            if name not in _NUMBER_VARIABLES and name.removesuffix(".name") not in by:
                self.wrong.append(f"{where}: it does not alert by {name}")
        for state in ("is_recovery", "is_no_data" if "is_no_data" in text else "is_alert"):
            if not re.search(rf"\{{\{{#{state}\}}\}}\n.+?\n\{{\{{/{state}\}}\}}", text, re.S):
                self.wrong.append(f"{where}: says nothing when it {state}")
        links = re.findall(r"\]\((https://\S+?query=[^)]*)\)", body["message"])
        if len(links) < 2:
            self.wrong.append(f"{where}: links to no traces or no lines")
        for link in links:
            address = urlsplit(link)
            source = "spans" if address.path.startswith("/apm/") else "lines"
            self.search(where, source, parse_qs(address.query)["query"][0])

    def _thresholds(
        self, where: str, asked: queries.MonitorQuery, thresholds: dict[str, float]
    ) -> None:
        if asked.threshold != thresholds["critical"]:
            self.wrong.append(f"{where}: two thresholds")
        order = [
            thresholds[name]
            for name in ("warning_recovery", "warning", "critical_recovery", "critical")
            if name in thresholds
        ]
        if order != sorted(set(order)) and thresholds.get("warning"):
            self.wrong.append(f"{where}: its thresholds are in no order: {order}")


def unknown_words(text: str) -> list[str]:
    """Return what a text names in backticks that is nothing of what is sent.

    Searches are not looked at: what stands in them is checked where they are parsed.
    """
    known = {one.name for one in (*FIELDS, *BOUND_BY_CONVENTION, *TAGS, *METRICS)} | set(_SPANS)
    known |= {tag for metric in METRICS for tag in metric.tags}
    values = set().union(*(_words(one.meaning) for one in (*TAGS, *METRICS)))
    named = [word for word in re.findall(r"`([^`]+)`", text) if ":" not in word]
    return [
        word
        for word in named
        if word not in values | {kind.value for kind in _SPANS.values()} | _SETTINGS
        and word.lstrip("@") not in known
        and not (word.endswith("*") and any(name.startswith(word[:-1]) for name in known))
    ]


def _widgets(widgets: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for widget in widgets:
        definition = widget["definition"]
        yield definition.get("title", definition["type"]), definition
        yield from _widgets(definition.get("widgets", []))


def _words(meaning: str) -> set[str]:
    """Return the values that a meaning names."""
    return set(re.findall(r"`(?:\w+:)?(\w+)`", meaning))


def _values(doc: MetricDoc, tag: str) -> set[str]:
    """Return the values a metric's tag can have: as its meaning says, or as that of the span's."""
    stage = doc.name.split(".")[1].removesuffix("s")
    of_span = next((one.meaning for one in TAGS if one.name == f"{stage}.{tag}"), "")
    return _words(doc.meaning) | _words(of_span)
