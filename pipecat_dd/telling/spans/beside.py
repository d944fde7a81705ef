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
from pipecat_dd.telling.redaction import InForce
from pipecat_dd.telling.secrets import REDACTED

MAX_CONTENT_CHARS = 2_000
"""How much is sent of an attribute that holds content, where that is sent at all."""

_lock = threading.Lock()
_said = False


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def say_what_runs_beside(worker: Any) -> None:
    """Write one line where Pipecat's own tracing goes through ddtrace; once in a process.

    Args:
        worker: The session's worker, if it is known.
    """
    global _said
    if not _pipecat.is_traced(worker) or not _ddtrace.is_otel():
        return
    with _lock:
        if _said:
            return
        _said = True
    looked_at = _ddtrace.looks_at_parts()
    logger.info(
        "pipecat_dd: Pipecat's own tracing (enable_tracing=True) runs beside, through ddtrace's "
        "OpenTelemetry (DD_TRACE_OTEL_ENABLED). Its spans show in the session's trace too, on a "
        "branch of their own{}. To see each stage once, turn it off",
        ", and hold content only with capture_content=True"
        if looked_at
        else "; this ddtrace does not let their content be taken out",
    )


def is_pipecats(found: Active) -> bool:
    """Whether a span is one of Pipecat's own tracing.

    Args:
        found: A span, or a context.
    """
    return isinstance(found, Span) and found.name in _pipecat.TRACED and _ddtrace.is_by_otel(found)


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
