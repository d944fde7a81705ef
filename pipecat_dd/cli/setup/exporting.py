"""Definitions as files, for those who make things by other means: Terraform, a script, by hand.

What is made of these is theirs: it bears no mark, so that this command neither changes nor removes
it.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipecat_dd.cli.setup.assets import metadata_csv, monitor_templates
from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.counted import MARK as QUERY_MARK
from pipecat_dd.cli.setup.definitions.descriptions import MARK as TEXT_MARK

_REQUESTS: dict[Kind, tuple[str, str]] = {
    Kind.PIPELINE: ("log-pipelines", "POST /api/v1/logs/config/pipelines"),
    Kind.LINE_METRIC: ("log-based-metrics", "POST /api/v2/logs/config/metrics"),
    Kind.SPAN_METRIC: ("span-based-metrics", "POST /api/v2/apm/config/metrics"),
    Kind.PERCENTILES: ("percentiles", "POST /api/v2/metrics/{name}/tags"),
    Kind.DESCRIPTION: ("metric-descriptions", "PUT /api/v1/metrics/{name}"),
    Kind.MONITOR: ("monitors", "POST /api/v1/monitor"),
    Kind.DASHBOARD: ("dashboards", "POST /api/v1/dashboard"),
    Kind.RETENTION: ("retention-filters", "POST /api/v2/apm/config/retention-filters"),
}

_TYPES = {
    Kind.LINE_METRIC: "logs_metrics",
    Kind.SPAN_METRIC: "spans_metrics",
    Kind.PERCENTILES: "manage_tags",
    Kind.RETENTION: "apm_retention_filter",
}


def request_body(thing: Definition) -> Body:
    """Return the body of the request that makes something.

    Args:
        thing: What is wanted.
    """
    if thing.kind not in _TYPES:
        return thing.body
    data: Body = {"type": _TYPES[thing.kind], "attributes": thing.body}
    if thing.kind is not Kind.RETENTION:
        data["id"] = thing.key
    return {"data": data}


def unmarked(thing: Definition) -> Definition:
    """Return something as anybody would make it, without our mark.

    Args:
        thing: What is wanted.
    """
    body = dict(thing.body)
    mark = Mark(thing.key, scope=thing.scope)
    match thing.kind:
        case Kind.DASHBOARD:
            body["description"] = body["description"].replace(mark.as_text(), "").strip()
        case Kind.RETENTION:
            body["name"] = body["name"].replace(f"({mark.as_text()})", "").strip()
        case Kind.MONITOR | Kind.PIPELINE:
            body["tags"] = [tag for tag in body["tags"] if tag not in mark.as_tags()]
        case Kind.LINE_METRIC | Kind.SPAN_METRIC:
            query = body["filter"]["query"].replace(QUERY_MARK, "").strip()
            body["filter"] = {"query": query}
        case Kind.DESCRIPTION:
            body["description"] = body["description"].removesuffix(TEXT_MARK).strip()
        case Kind.PERCENTILES:
            # Datadog takes no configuration that leaves out no tag.
            body["tags"] = ["none"]
    return replace(thing, body=body)


def export(things: Sequence[Definition], directory: Path) -> list[Path]:
    """Write each definition to a file of its own; ``requests.json`` says which request takes it.

    Beside them stand ``metadata.csv`` and the monitors once more, in the form that Datadog's
    catalogue of integrations takes.

    Args:
        things: What is wanted.
        directory: Where to write. Made if it is not there; other files in it stay.

    Returns:
        The files.

    Raises:
        OSError: It cannot be written there.
    """
    requests: dict[str, str] = {}
    written = []
    plain = [unmarked(thing) for thing in things]
    for thing in plain:
        folder, request = _REQUESTS[thing.kind]
        path = directory / folder / f"{thing.key}.json"
        _write(path, request_body(thing))
        requests[path.relative_to(directory).as_posix()] = request.format(name=thing.key)
        written.append(path)
    index = directory / "requests.json"
    _write(index, requests)
    catalogue = directory / "metadata.csv"
    catalogue.write_text(metadata_csv(), encoding="utf-8")
    templates = monitor_templates(plain)
    for path, template in templates.items():
        _write(directory / path, template)
    return [*written, index, catalogue, *(directory / path for path in templates)]


def _write(path: Path, content: Body | dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
