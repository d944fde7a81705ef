"""Whatever is logged: one line, valid JSON, our fields of the right type, no secret."""

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger

from pipecat_dd.export import correlation
from pipecat_dd.export.logs import datadog_format
from tests.export.logs.conftest import KNOWN, Lines

SECRETS = [
    "sk-proj-abcdefghijklmnopqrst",
    "Bearer abcdef0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl",
    "https://user:hunter2pass@example.com/",
    "+14155550123",
]
PATTERNS = re.compile(
    r"sk-[A-Za-z0-9]{8,}|Bearer [A-Za-z0-9]{8,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+"
    r"|://[^/\s:@\"]+:[^/\s@\"\\]+@"
)
PHONE = re.compile(r"\+1415\d{7}")
TYPES: dict[str, type | tuple[type, ...]] = {
    "timestamp": str, "status": str, "levelname": str, "name": str, "function": str,
    "line": int, "message": str, "session_id": str, "participant_id": str, "participant": dict,
    "dd.trace_id": str, "dd.span_id": str, "service": str, "dd.service": str, "dd.env": str,
    "dd.version": str, "pipecat.version": str, "error": dict, "truncated": bool, "extra": dict,
}  # fmt: skip
STATUSES = {"emerg", "alert", "critical", "error", "warning", "notice", "info", "debug", "ok"}

with_secrets = st.lists(st.text() | st.sampled_from(SECRETS), max_size=5).map(" ".join)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | with_secrets | st.binary()
    | st.datetimes() | st.decimals(allow_nan=None) | st.uuids() | st.timedeltas()
    | st.complex_numbers()
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(st.tuples(with_secrets | st.integers(), inner), max_size=5).map(dict)
        | st.frozensets(st.integers() | with_secrets, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)
names = with_secrets | st.sampled_from([*TYPES, "host", "level", "dd", "error_type", "password"])
exceptions = st.none() | st.builds(
    lambda kind, *arguments: kind(*arguments),
    st.sampled_from([ValueError, KeyError, OSError, Exception, UnicodeError]),
    with_secrets,
    values,
)


def without_ids(value: Any) -> Any:
    """Leave the ids out: they stay, whatever they look like."""
    if isinstance(value, dict):
        ids = ("session_id", "participant_id", "id")
        return {name: without_ids(inner) for name, inner in value.items() if name not in ids}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    message=with_secrets,
    bound=st.lists(st.tuples(names, values), max_size=8).map(dict),
    error=exceptions,
)
def test_any_record_is_one_valid_line_without_secrets(
    message: str, bound: dict[Any, Any], error: Exception | None
) -> None:
    sink = Lines()
    answered = correlation.correlate
    correlation.correlate = lambda: KNOWN
    handler = logger.add(sink, format=datadog_format, level=0, catch=False, diagnose=False)
    try:
        logger.patch(lambda record: record["extra"].update(bound)).opt(exception=error).info(
            message
        )
    finally:
        logger.remove(handler)
        correlation.correlate = answered
    assert sink.text.endswith("\n")
    assert sink.text.count("\n") == 1
    assert len(sink.text.encode()) <= 25_001
    line = json.loads(sink.text, parse_constant=lambda name: 1 / 0)
    for name, kind in TYPES.items():
        if name in line:
            assert isinstance(line[name], kind), (name, line[name])
    assert line["status"] in STATUSES
    assert "logging_error" not in line
    assert line["dd.trace_id"] == KNOWN.trace_id
    assert line["service"] == KNOWN.service
    for name in ("kind", "message", "stack"):
        assert isinstance(line.get("error", {}).get(name, ""), str)
    assert not PATTERNS.search(sink.text), PATTERNS.search(sink.text)
    assert not PHONE.search(json.dumps(without_ids(line)))
