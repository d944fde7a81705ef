"""The few rules of Datadog's that decide what a query finds, held over what a bot sends.

Written after Datadog's documentation, its Agent's source and its command-line tool's notes; see
docs/setup.md on what could not be tried. The rules:

- A line's ``dd.trace_id`` is remapped for correlation. By one reading the attribute is then gone
  from the line; by the other it stays. What a trace-id remapper names is gone by both.
- A pipeline changes what its filter finds. Without ``@``, a search looks at what is reserved and at
  tags; a service's ``env`` and ``version`` are tags where the Agent, or a pipeline, puts them.
- Datadog makes ``trace.<name>.hits``, ``.errors`` and ``trace.<name>`` of spans that are entry
  spans, measured, or of kind client, server, producer or consumer; tags are service, env, version
  and resource.
- The Agent refuses a chunk whose spans do not all have one trace id, 128 bits of it.
- A monitor judges each group by itself; it recovers only below its recovery threshold.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from pipecat_dd.cli.setup.definition import Body, Definition, Kind
from pipecat_dd.cli.setup.definitions.generated_metrics import MARK
from tests.support import queries
from tests.support.datadog_search import Event, flat, found
from tests.support.datadog_series import WINDOWS, Group, Metrics, Scalars, Window, computed

Json = dict[str, Any]
_ENTRY_KINDS = ("client", "server", "producer", "consumer")


class State(IntEnum):
    """A group's state."""

    OK = 0
    WARN = 1
    ALERT = 2
    NO_DATA = 3


@dataclass
class Backend:
    """What Datadog has of what was sent.

    Attributes:
        things: What ``setup`` made.
        removes: Whether ``dd.trace_id`` leaves the line when it is remapped.
    """

    things: Sequence[Definition]
    removes: bool = True
    lines: list[Event] = field(default_factory=list)
    spans: list[Event] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    refused: list[Json] = field(default_factory=list)

    # What comes in

    def line(self, at: float, line: Mapping[str, Any], **tags: str) -> None:
        """Take a line, with the tags that the Agent gives it."""
        attributes = dict(flat(line))
        reserved = {
            name: str(attributes[name]) for name in ("service", "status") if name in attributes
        }
        reserved["message"] = str(attributes.get("message", ""))
        event = Event(at, reserved, dict(tags), attributes)
        self._remap_trace(event, "dd.trace_id", removes=self.removes)
        if self.removes:
            attributes.pop("dd.span_id", None)
        for pipeline in self._of(Kind.PIPELINE):
            if found(pipeline.body["filter"]["query"], event):
                for processor in pipeline.body["processors"]:
                    self._process(event, processor)
        self.lines.append(event)
        for metric in self._of(Kind.LINE_METRIC):
            self._count(metric, event)

    def chunk(self, at: float, spans: Iterable[Json]) -> None:
        """Take what one request brings of a trace; or refuse it."""
        spans = list(spans)
        if is_foreign(spans):
            self.refused += spans
            return
        for span in spans:
            self._span(at, span)

    def metric(
        self, name: str, at: float, value: float, tags: Mapping[str, str], source: str = ""
    ) -> None:
        """Take a value of a metric."""
        self.metrics.add(name, at, value, dict(tags), source)

    def _span(self, at: float, span: Json) -> None:
        attributes = {**span["meta"], **span["metrics"], "duration": span["duration"]}
        reserved = {
            "service": span["service"],
            "operation_name": span["name"],
            "resource_name": span["resource"],
            "status": "error" if span["error"] else "ok",
        }
        unified = {name: str(attributes[name]) for name in ("env", "version") if name in attributes}
        event = Event(at, reserved, unified, attributes)
        self.spans.append(event)
        for metric in self._of(Kind.SPAN_METRIC):
            self._count(metric, event)
        if is_counted(span):
            tags = {**unified, "service": span["service"], "resource_name": span["resource"]}
            self.metric(f"trace.{span['name']}.hits", at, 1, tags)
            if span["error"]:
                self.metric(f"trace.{span['name']}.errors", at, 1, tags)
            self.metric(f"trace.{span['name']}", at, span["duration"] / 1e9, tags)

    def _of(self, kind: Kind) -> list[Definition]:
        return [thing for thing in self.things if thing.kind is kind]

    def _process(self, event: Event, processor: Body) -> None:
        source = next((one for one in processor["sources"] if one in event.attributes), None)
        if source is None:
            return
        value = event.attributes[source]
        match processor["type"]:
            case "status-remapper":
                event.reserved["status"] = _status(str(value))
            case "trace-id-remapper":
                self._remap_trace(event, source, removes=True)
            case "span-id-remapper":
                event.attributes.pop(source)
            case "attribute-remapper" if processor["target_type"] == "tag":
                event.tags.setdefault(processor["target"], str(value))
            case "attribute-remapper":
                casts: dict[str, type] = {"string": str, "double": float}
                event.attributes[processor["target"]] = casts[processor["target_format"]](value)

    def _remap_trace(self, event: Event, source: str, *, removes: bool) -> None:
        if source in event.attributes:
            event.reserved["trace_id"] = str(event.attributes[source])
            if removes:
                del event.attributes[source]

    def _count(self, metric: Definition, event: Event) -> None:
        if not found(metric.body["filter"]["query"].removesuffix(MARK), event):
            return
        tags = {one["tag_name"]: event.value(one["path"]) for one in metric.body["group_by"]}
        path = metric.body["compute"].get("path")
        value = 1.0 if path is None else event.value(path)
        if value is not None:
            said = {name: str(tag) for name, tag in tags.items() if tag is not None}
            self.metric(metric.key, event.at, float(value), said)

    # What monitors make of it

    def states(self, monitor: Definition, moments: Iterable[float]) -> dict[Group, list[State]]:
        """Return what state each group was in, from moment to moment."""
        thresholds = monitor.body["options"]["thresholds"]
        history: dict[Group, list[State]] = defaultdict(list)
        for number, at in enumerate(moments):
            values = self.value(monitor, at)
            silent = self._silent(monitor, at)
            for group in {*history, *values, *silent}:
                states = history[group]
                states += [State.OK] * (number - len(states))
                before = states[-1] if states else State.OK
                if group in silent:
                    states.append(State.NO_DATA)
                elif group in values:
                    compare = queries.monitor(monitor.body["query"]).comparison
                    states.append(_state(values[group], thresholds, before, compare))
                else:
                    states.append(before)
        return dict(history)

    def value(self, monitor: Definition, at: float) -> Scalars:
        """Return a monitor's value for each group."""
        text = monitor.body["query"]
        query = queries.monitor(text)
        secs = WINDOWS[query.window]
        if not query.formula:
            return Window(self.metrics, at, secs).value(query, text)
        counts: dict[str, Scalars] = {}
        for one in monitor.body["options"]["variables"]:
            assert one["data_source"] == "logs"
            counted: Scalars = defaultdict(float)
            facets = [group["facet"] for group in one["group_by"]]
            for event in self.lines:
                if at - secs < event.at <= at and found(one["search"]["query"], event):
                    counted[tuple(str(event.value(facet)) for facet in facets)] += 1
            counts[one["name"]] = counted
        return computed(query.formula, counts)

    def _silent(self, monitor: Definition, at: float) -> set[Group]:
        options = monitor.body["options"]
        if not options.get("notify_no_data"):
            return set()
        text = monitor.body["query"]
        query = queries.monitor(text)
        secs = options["no_data_timeframe"] * 60
        seen = Window(self.metrics, at, secs).value(query, text)
        ever = Window(self.metrics, at, 48 * 3600).value(query, text)
        return {group for group in ever if group not in seen}


def is_counted(span: Json) -> bool:
    """Return whether Datadog makes metrics of a span."""
    return (
        is_entry(span)
        or span["metrics"].get("_dd.measured") == 1
        or span["meta"].get("span.kind") in _ENTRY_KINDS
    )


def is_foreign(chunk: Sequence[Json]) -> bool:
    """Return whether the Agent refuses a chunk, since its spans are of different traces."""
    lower = {int(span["trace_id"]) & (1 << 64) - 1 for span in chunk}
    upper = {span["meta"]["_dd.p.tid"] for span in chunk if "_dd.p.tid" in span["meta"]}
    return len(lower) > 1 or len(upper) > 1


def is_entry(span: Json) -> bool:
    """Return whether a span is an entry to its service."""
    return bool(span["metrics"].get("_dd.top_level") == 1)


def _status(levelname: str) -> str:
    by_level = {"CRITICAL": "critical", "ERROR": "error", "WARNING": "warn", "SUCCESS": "ok"}
    return by_level.get(levelname, "debug" if levelname in ("DEBUG", "TRACE") else "info")


def _state(value: float, thresholds: Mapping[str, float], before: State, compare: str) -> State:
    over = {">": lambda limit: value > limit, "<=": lambda limit: value <= limit}[compare]
    if over(thresholds["critical"]) or (
        before is State.ALERT and over(thresholds.get("critical_recovery", thresholds["critical"]))
    ):
        return State.ALERT
    warning = thresholds.get("warning")
    if warning is None:
        return State.OK
    is_ill = before in (State.WARN, State.ALERT)
    if over(warning) or (is_ill and over(thresholds.get("warning_recovery", warning))):
        return State.WARN
    return State.OK
