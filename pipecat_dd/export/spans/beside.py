"""Handles the spans of Pipecat's own tracing, where ddtrace provides its OpenTelemetry.

With ``enable_tracing=True`` and ``DD_TRACE_OTEL_ENABLED=true`` Pipecat's spans go through ddtrace.
They form a branch of their own in the session's trace; the spans of SDKs nest in our stages.
"""

import threading
from typing import Any

from loguru import logger

from pipecat_dd import _ddtrace, _pipecat
from pipecat_dd._ddtrace import Active, Span
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.redaction import InForce
from pipecat_dd.export.secrets import REDACTED

MAX_CONTENT_CHARS = 2_000
"""The longest value of an attribute that holds content."""

_lock = threading.Lock()
_said = False
_may_be_sent: bool | None = None
"""Whether all sessions that Pipecat also traces may send content; None before the first one."""


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def notice_tracing(worker: Any, *, captures: bool) -> None:
    """Detect that Pipecat's own tracing goes through ddtrace, and log it once per process.

    Args:
        worker: The session's worker; None if unknown.
        captures: Whether the session may send content.
    """
    global _may_be_sent
    if _pipecat.is_traced(worker) and _ddtrace.is_otel():
        with _lock:
            _may_be_sent = captures and _may_be_sent is not False
        say_that_it_runs()


def say_that_it_runs() -> None:
    """Log, once per process, that Pipecat's own tracing is on as well.

    Before Pipecat 1.8 this is called at the first span of that tracing.
    """
    global _said
    if _said:
        return
    with _lock:
        if _said:
            return
        _said = True
    logger.info(
        "pipecat_dd: Pipecat's own tracing (enable_tracing=True) is on as well, through ddtrace's "
        "OpenTelemetry (DD_TRACE_OTEL_ENABLED). Its spans form a branch of their own in the "
        "session's trace{}. To see each stage only once, turn it off",
        ", and hold content only with capture_content=True"
        if _ddtrace.looks_at_parts()
        else "; with this version of ddtrace their content cannot be removed",
    )


def is_pipecats(found: Active) -> bool:
    """Whether a span is one of Pipecat's own tracing; a context never is."""
    # ddtrace uses the name as the resource; as the operation only until the span has finished.
    return (
        isinstance(found, Span) and found.resource in _pipecat.TRACED and _ddtrace.is_by_otel(found)
    )


def hold_strays(spans: list[Span]) -> None:
    """Remove or redact content on spans of Pipecat's tracing that are in no session's trace.

    They begin with the pipeline, and so may begin before the session, in the caller's trace.

    Args:
        spans: Finished spans of one trace.
    """
    if _may_be_sent is not None:
        for span in spans:
            if is_pipecats(span):
                hold_content(span, InForce() if _may_be_sent else None)


def hold_content(span: Span, redactor: InForce | None) -> None:
    """Remove or redact the content on a span of Pipecat's own tracing.

    Args:
        span: A finished span.
        redactor: The rules of redaction; None removes all content.
    """
    rules = InForce() if redactor is None else redactor
    for name, value in span.get_tags().items():
        if name.startswith("error."):
            span.set_tag(name, rules.text(value))
        elif _pipecat.holds_content(name, value):
            may = REDACTED if redactor is None else redactor.text(value)[:MAX_CONTENT_CHARS]
            span.set_tag(name, may)
