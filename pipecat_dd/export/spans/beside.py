"""Pipecat's own tracing beside us, where ddtrace is its OpenTelemetry.

With ``enable_tracing=True`` and ``DD_TRACE_OTEL_ENABLED=true`` Pipecat's spans are ddtrace's.
They hang in the session's trace, on a branch of their own: what SDKs open nests in our stages.
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
"""How much is sent of an attribute that holds content, where that is sent at all."""

_lock = threading.Lock()
_said = False
_may_be_sent: bool | None = None
"""Whether all sessions that Pipecat traces too may send content; None where there was none."""


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def notice_tracing(worker: Any, *, captures: bool) -> None:
    """Notice where Pipecat's own tracing goes through ddtrace, and say so once in a process.

    Args:
        worker: The session's worker, if it is known.
        captures: Whether the session may send content.
    """
    global _may_be_sent
    if _pipecat.is_traced(worker) and _ddtrace.is_otel():
        with _lock:
            _may_be_sent = captures and _may_be_sent is not False
        say_that_it_runs()


def say_that_it_runs() -> None:
    """Write one line that Pipecat's own tracing runs beside, once in a process.

    Before Pipecat 1.8 it is known by its first span.
    """
    global _said
    if _said:
        return
    with _lock:
        if _said:
            return
        _said = True
    logger.info(
        "pipecat_dd: Pipecat's own tracing (enable_tracing=True) runs beside, through ddtrace's "
        "OpenTelemetry (DD_TRACE_OTEL_ENABLED). Its spans show in the session's trace too, on a "
        "branch of their own{}. To see each stage once, turn it off",
        ", and hold content only with capture_content=True"
        if _ddtrace.looks_at_parts()
        else "; this ddtrace does not let their content be taken out",
    )


def is_pipecats(found: Active) -> bool:
    """Whether a span is one of Pipecat's own tracing.

    Args:
        found: A span, or a context.
    """
    # ddtrace gives the name to the resource, and to the operation until the span has finished.
    return (
        isinstance(found, Span) and found.resource in _pipecat.TRACED and _ddtrace.is_by_otel(found)
    )


def hold_strays(spans: list[Span]) -> None:
    """Hold content on spans of Pipecat's that are in no session's trace.

    They begin with the pipeline, and so may begin before the session, in the caller's trace.

    Args:
        spans: Spans of one trace, which have finished.
    """
    if _may_be_sent is not None:
        for span in spans:
            if is_pipecats(span):
                hold_content(span, InForce() if _may_be_sent else None)


def hold_content(span: Span, redactor: InForce | None) -> None:
    """Hold what a span of Pipecat's own tracing says of content to what was asked for.

    Args:
        span: The span, which has finished.
        redactor: The rules by which content is redacted; None where none may be sent.
    """
    rules = InForce() if redactor is None else redactor
    for name, value in span.get_tags().items():
        if name.startswith("error."):
            span.set_tag(name, rules.text(value))
        elif _pipecat.holds_content(name, value):
            may = REDACTED if redactor is None else redactor.text(value)[:MAX_CONTENT_CHARS]
            span.set_tag(name, may)
