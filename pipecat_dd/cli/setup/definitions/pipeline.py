"""The log pipeline for the lines of bots.

Datadog parses these lines without a pipeline. The pipeline adds what Datadog does not know: that
`levelname` is the status, the env and version of lines without an Agent's tags, and that an id
that looks like a number is text.

It does not remap trace and span ids: Datadog links a line to its trace by ``dd.trace_id`` by
itself, and remapping a field removes it from the line.
"""

from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.queries import OURS
from pipecat_dd.names import fields, metric_tags

KEY = "lines"


def pipeline() -> Definition:
    """Return the definition of the pipeline."""
    return Definition(
        Kind.PIPELINE,
        KEY,
        "Pipecat bots' lines",
        {
            "name": "Pipecat bots' lines",
            "is_enabled": True,
            "filter": {"query": OURS},
            "tags": Mark(KEY).as_tags(),
            "processors": [
                _remapper("status-remapper", f"{fields.LEVELNAME} is the status", fields.LEVELNAME),
                _remapper("date-remapper", f"{fields.TIMESTAMP} is the date", fields.TIMESTAMP),
                _typed(fields.SESSION_ID, "string"),
                _typed(fields.PARTICIPANT_ID, "string"),
                _typed(fields.PARTICIPANT_NAME, "string"),
                _typed(fields.DURATION_MS, "double"),
                _tag(fields.DD_ENV, metric_tags.ENV),
                _tag(fields.DD_VERSION, metric_tags.VERSION),
            ],
        },
    )


def _remapper(kind: str, name: str, source: str) -> Body:
    return {"type": kind, "name": name, "is_enabled": True, "sources": [source]}


def _typed(field: str, cast: str) -> Body:
    return {
        "type": "attribute-remapper",
        "name": f"{field} is a {cast}",
        "is_enabled": True,
        "sources": [field],
        "source_type": "attribute",
        "target": field,
        "target_type": "attribute",
        "target_format": cast,
        "preserve_source": True,
        "override_on_conflict": True,
    }


def _tag(field: str, tag: str) -> Body:
    return {
        "type": "attribute-remapper",
        "name": f"{field} is the tag {tag} if there is none",
        "is_enabled": True,
        "sources": [field],
        "source_type": "attribute",
        "target": tag,
        "target_type": "tag",
        "preserve_source": True,
        "override_on_conflict": False,
    }
