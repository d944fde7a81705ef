"""What the test agent received of LLM Observability, as spans with their parents."""

import base64
import json
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import msgpack

from tests.support.agent import TestAgent


@dataclass
class Event:
    """A span of LLM Observability's, on the span of the trace that it rode on."""

    span: dict[str, Any]
    data: dict[str, Any]
    children: "list[Event]" = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.span["span_id"])

    @property
    def name(self) -> str:
        return str(self.data.get("name") or self.span["name"])

    @property
    def kind(self) -> str:
        return str(self.data["meta"]["span"]["kind"])

    @property
    def parent_id(self) -> str:
        return str(self.data["parent_id"])

    @property
    def trace_id(self) -> str:
        return str(self.data["trace_id"])

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.data["tags"])

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.data["metrics"])

    @property
    def input(self) -> Any:
        found = self.data["meta"].get("input", {})
        return found.get("messages", found.get("value"))

    @property
    def output(self) -> Any:
        found = self.data["meta"].get("output", {})
        return found.get("messages", found.get("value", found.get("documents")))

    def shape(self) -> Any:
        """The event and what is beneath it, by kind and name."""
        own = f"{self.kind} {self.name}"
        return (own, *(child.shape() for child in self.children)) if self.children else own


class Received:
    """All that was received."""

    def __init__(self, agent: TestAgent) -> None:
        with urllib.request.urlopen(f"{agent.url}/test/session/requests", timeout=10) as answer:
            requests = json.load(answer)
        self.bodies = [(request["url"], base64.b64decode(request["body"])) for request in requests]
        self.chunks: list[list[dict[str, Any]]] = [
            chunk
            for url, body in self.bodies
            if url.endswith("/traces")
            for chunk in msgpack.unpackb(body, strict_map_key=False)
        ]
        self.spans = [span for chunk in self.chunks for span in chunk]
        apart = self._sent_apart()
        self.events = [
            Event(span, apart.get(str(span["span_id"])) or _within(span))
            for span in self.spans
            if span.get("type") == "llm" and (_within(span) or str(span["span_id"]) in apart)
        ]
        by_id = {event.id: event for event in self.events}
        for event in sorted(self.events, key=lambda event: event.span["start"]):
            if event.parent_id in by_id:
                by_id[event.parent_id].children.append(event)

    def _sent_apart(self) -> dict[str, dict[str, Any]]:
        """Return what was not sent with the trace but by itself, by span: so in ddtrace 4.0."""
        events = [
            event
            for url, body in self.bodies
            if url.endswith("/api/v2/llmobs")
            for payload in json.loads(body)
            for event in payload["spans"]
        ]
        for event in events:
            event["tags"] = dict(tag.split(":", 1) for tag in event["tags"])
        return {event["span_id"]: event for event in events}

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        return [
            metric
            for url, body in self.bodies
            if url.endswith("eval-metric")
            for metric in json.loads(body)["data"]["attributes"]["metrics"]
        ]

    def of(self, session_id: str) -> list[Event]:
        return [event for event in self.events if event.data.get("session_id") == session_id]

    def one(self, session_id: str, **having: str) -> Event:
        (found,) = [
            event
            for event in self.of(session_id)
            if all(
                str(getattr(event, name, event.tags.get(name))) == value
                for name, value in having.items()
            )
        ]
        return found


def _within(span: dict[str, Any]) -> dict[str, Any]:
    packed = (span.get("meta_struct") or {}).get("_llmobs")
    found: dict[str, Any] = msgpack.unpackb(packed) if packed else {}
    return found
