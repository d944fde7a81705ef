"""Whether lines carry the ids of what wrote them: seen in a session of our own."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import session
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.session import SampleSession
from pipecat_dd.names import fields
from pipecat_dd.names.spans import Kind, span_name
from pipecat_dd.testing.seen import Line

CHECK: Final = "sample.lines"

_SESSION: Final = (fields.SESSION_ID, fields.PIPECAT_VERSION)
_FIELDS: Final = (
    *_SESSION,
    fields.DD_TRACE_ID,
    fields.DD_SPAN_ID,
    fields.PIPECAT_TRACE_ID,
    fields.PIPECAT_SPAN_ID,
)
"""``dd.*`` are for the click from line to trace, ``pipecat.*`` for queries."""


def lines(situation: Context) -> Iterator[Finding]:
    """Hold a session that writes a line in ``process_frame``, and look at the line."""
    if not situation.is_on("DD_TRACE_ENABLED", True):
        yield Finding(
            CHECK,
            Level.NOTE,
            "No session was held to see what lines carry: DD_TRACE_ENABLED turns tracing off.",
            "Unset it, and look again.",
        )
        return
    held = session.hold(send=False)
    yield from of_session(held, ids=_ids_wanted(situation))


def of_session(held: SampleSession, *, ids: bool) -> Iterator[Finding]:
    """Judge a session that was held.

    Args:
        held: The session.
        ids: Whether its lines are to carry the ids of trace and span.
    """
    from pipecat_dd.cli.doctor._pipecat import BY_LOGGING, BY_LOGURU

    if held.error is not None:
        yield Finding(
            "sample.session",
            Level.PROBLEM,
            f"A session with one processor did not come to its end: "
            f"{type(held.error).__name__}: {held.error}",
            "If the message names a setting, put that right; if not, it is a fault of ours: please "
            "report it with what this command prints.",
            {"error": type(held.error).__name__},
        )
        return
    if held.failures:
        yield Finding(
            "sample.session",
            Level.PROBLEM,
            f"pipecat_dd itself failed {held.failures} times in a session with one processor.",
            "A fault of ours, most likely with your versions: please report it, with the warnings "
            "that begin with 'pipecat_dd:' in your bot's log.",
            {"failures": held.failures},
        )
    yield _judged(held, held.line(BY_LOGURU), CHECK, "in process_frame", ids)
    yield _judged(held, held.line(BY_LOGGING), "sample.stdlib_lines", "by logging", ids)
    if held.priority is not None and held.priority <= 0:
        yield Finding(
            "sample.kept",
            Level.NOTE,
            "The session's trace would not have been kept: sampling decided against it.",
            "That is so for the share that DD_TRACE_SAMPLING_RULES, or the Agent's own limits, "
            "leave out.",
            {"priority": held.priority},
        )


def _judged(held: SampleSession, line: Line | None, check: str, where: str, ids: bool) -> Finding:
    if line is None:
        return Finding(
            check,
            Level.PROBLEM,
            f"A line written {where} did not get to configure_logging's sink.",
            "A fault of ours, or of what else sets up logging in this process: please report it.",
        )
    wanted = _FIELDS if ids else _SESSION
    missing = [field for field in wanted if not line.get(field)]
    carried: dict[str, str | float | bool | list[str] | None] = {
        field: line.get(field) for field in _FIELDS
    }
    if missing:
        return Finding(
            check,
            Level.PROBLEM,
            f"A line written {where} lacks {', '.join(missing)}.",
            "A fault of ours, most likely with your versions: please report it.",
            carried,
        )
    if not _leads_to_its_span(held, line, ids):
        return Finding(
            check,
            Level.PROBLEM,
            f"A line written {where} carries the ids of something else.",
            "A fault of ours, most likely with your versions: please report it.",
            carried,
        )
    return Finding(
        check,
        Level.OK,
        f"A line written {where} carries {', '.join(wanted)}, and they lead to the span that was "
        "at work."
        if ids
        else f"A line written {where} carries {fields.SESSION_ID}.",
        _HOW_TO_ASK if ids and check == CHECK else "",
        facts=carried,
    )


_HOW_TO_ASK: Final = (
    f"In Datadog, search lines for @{fields.PIPECAT_TRACE_ID}:*, or for one trace with "
    f"trace_id:<its id>. @{fields.DD_TRACE_ID}:* finds nothing where Datadog has linked the line "
    "to its trace: that takes the field off (docs/datadog.md)."
)


def _leads_to_its_span(held: SampleSession, line: Line, ids: bool) -> bool:
    if line[fields.SESSION_ID] != held.id:
        return False
    return not ids or any(
        str(span.span_id) == line[fields.DD_SPAN_ID]
        and f"{span.trace_id:032x}" == line[fields.DD_TRACE_ID] == line[fields.PIPECAT_TRACE_ID]
        and line[fields.DD_SPAN_ID] == line[fields.PIPECAT_SPAN_ID]
        and span.name == span_name(Kind.FRAME)
        for span in held.spans
    )


def _ids_wanted(situation: Context) -> bool:
    return situation.value("DD_LOGS_INJECTION").lower() not in ("false", "0")


CHECKS: Final = (lines,)
