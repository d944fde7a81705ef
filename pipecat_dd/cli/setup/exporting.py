"""Write definitions to files, for users who create objects with Terraform, a script or by hand.

Objects that users create from these files have no mark, so this command neither changes nor removes
them.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipecat_dd.cli.setup.assets import metadata_csv, monitor_templates
from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.descriptions import MARK as TEXT_MARK
from pipecat_dd.cli.setup.definitions.generated_metrics import MARK as QUERY_MARK

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


def request_body(definition: Definition) -> Body:
    """Return the body of the request that creates an object."""
    if definition.kind not in _TYPES:
        return definition.body
    data: Body = {"type": _TYPES[definition.kind], "attributes": definition.body}
    if definition.kind is not Kind.RETENTION:
        data["id"] = definition.key
    return {"data": data}


def unmarked(definition: Definition) -> Definition:
    """Return a definition without its mark."""
    body = dict(definition.body)
    mark = Mark(definition.key, scope=definition.scope)
    match definition.kind:
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
            # Datadog rejects a configuration that excludes no tags.
            body["tags"] = ["none"]
    return replace(definition, body=body)


def export(definitions: Sequence[Definition], directory: Path) -> list[Path]:
    """Write each definition to its own file, and the API request for each to ``requests.json``.

    Also write ``metadata.csv`` and the monitors in the format of Datadog's integration catalogue.

    Args:
        definitions: The definitions of all kinds.
        directory: The directory to write to; created if it is missing. Other files in it stay.

    Returns:
        The files that were written.

    Raises:
        OSError: A file cannot be written.
    """
    requests: dict[str, str] = {}
    written = []
    plain = [unmarked(definition) for definition in definitions]
    for definition in plain:
        folder, request = _REQUESTS[definition.kind]
        path = directory / folder / f"{definition.key}.json"
        _write(path, request_body(definition))
        requests[path.relative_to(directory).as_posix()] = request.format(name=definition.key)
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
