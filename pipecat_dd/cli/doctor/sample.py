"""Check, in a sample session, whether log lines carry the ids of their session and span."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import sample_session
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.sample_session import SampleSession
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
"""Datadog links a line to its trace by ``dd.*``; queries use ``pipecat.*``."""


def lines(context: Context) -> Iterator[Finding]:
    """Run a session that logs a line in ``process_frame``, and check the line."""
    if not context.is_on("DD_TRACE_ENABLED", True):
        yield Finding(
            CHECK,
            Level.NOTE,
            "The ids on log lines were not checked: DD_TRACE_ENABLED turns tracing off.",
            "Unset it and run the doctor again.",
        )
        return
    yield from judge_session(sample_session.run(send=False), ids=_ids_wanted(context))


def judge_session(sample: SampleSession, *, ids: bool) -> Iterator[Finding]:
    """Report what is wrong with a sample session and its lines.

    Args:
        sample: The session, after it has ended.
        ids: Whether lines must carry the ids of their trace and span.
    """
    from pipecat_dd.cli.doctor._pipecat import BY_LOGGING, BY_LOGURU

    if sample.error is not None:
        yield Finding(
            "sample.session",
            Level.PROBLEM,
            f"The sample session failed: {type(sample.error).__name__}: {sample.error}",
            "If the message names a setting, fix that setting. If not, this is a bug in "
            "pipecat_dd: please report it with the output of this command.",
            {"error": type(sample.error).__name__},
        )
        return
    if sample.failures:
        yield Finding(
            "sample.session",
            Level.PROBLEM,
            f"pipecat_dd itself failed in the sample session (errors: {sample.failures}).",
            "This is a bug in pipecat_dd, probably with your versions of Pipecat and ddtrace: "
            "please report it, with the warnings in the bot's log that begin with 'pipecat_dd:'.",
            {"failures": sample.failures},
        )
    yield _check_line(sample, sample.line(BY_LOGURU), CHECK, "in process_frame", ids)
    yield _check_line(
        sample, sample.line(BY_LOGGING), "sample.stdlib_lines", "with Python's logging", ids
    )
    if sample.priority is not None and sample.priority <= 0:
        yield Finding(
            "sample.kept",
            Level.NOTE,
            "The sample session's trace would be dropped by sampling.",
            "DD_TRACE_SAMPLING_RULES, or the Agent's own limits, drop a share of all traces.",
            {"priority": sample.priority},
        )


def _check_line(
    sample: SampleSession, line: Line | None, check: str, where: str, ids: bool
) -> Finding:
    if line is None:
        return Finding(
            check,
            Level.PROBLEM,
            f"A line logged {where} did not reach the sink of configure_logging.",
            "This is a bug in pipecat_dd, or in other code that sets up logging in this process: "
            "please report it.",
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
            f"A line logged {where} lacks {', '.join(missing)}.",
            _BUG,
            carried,
        )
    if not _has_right_ids(sample, line, ids):
        return Finding(
            check,
            Level.PROBLEM,
            f"A line logged {where} carries the ids of a different span.",
            _BUG,
            carried,
        )
    return Finding(
        check,
        Level.OK,
        f"A line logged {where} carries {', '.join(wanted)}. They identify the right span."
        if ids
        else f"A line logged {where} carries {fields.SESSION_ID}.",
        _HOW_TO_SEARCH if ids and check == CHECK else "",
        facts=carried,
    )


_HOW_TO_SEARCH: Final = (
    f"In Datadog, search for lines with a trace by @{fields.PIPECAT_TRACE_ID}:*, and for the lines "
    f"of one trace by trace_id:<its id>. @{fields.DD_TRACE_ID}:* finds nothing: Datadog removes "
    "that field from the lines that it links to a trace (docs/troubleshooting.md)."
)

_BUG: Final = (
    "This is a bug in pipecat_dd, probably with your versions of Pipecat and ddtrace: please "
    "report it."
)


def _has_right_ids(sample: SampleSession, line: Line, ids: bool) -> bool:
    if line[fields.SESSION_ID] != sample.id:
        return False
    return not ids or any(
        str(span.span_id) == line[fields.DD_SPAN_ID]
        and f"{span.trace_id:032x}" == line[fields.DD_TRACE_ID] == line[fields.PIPECAT_TRACE_ID]
        and line[fields.DD_SPAN_ID] == line[fields.PIPECAT_SPAN_ID]
        and span.name == span_name(Kind.FRAME)
        for span in sample.spans
    )


def _ids_wanted(context: Context) -> bool:
    return context.value("DD_LOGS_INJECTION").lower() not in ("false", "0")


CHECKS: Final = (lines,)
