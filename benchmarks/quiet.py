"""Run ddtrace and OpenTelemetry without sending anything.

Spans are created, finished and exported as in production, but to an exporter that counts and drops
them. So the benchmarks measure what a library does in the bot, not its connection attempts or
encoding. The count shows that a library was working: one that is turned off would look cheap.
"""

import logging
import os
import socket
import sys

from loguru import logger

_ENVIRONMENT = {
    # Start only the ddtrace threads that tracing itself needs.
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    # Nothing listens on this port. If ddtrace sent anything, it would log an error.
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_SERVICE": "benchmarks",
}


def prepare() -> None:
    """Prepare the process, before ddtrace, Pipecat or pipecat_dd are imported.

    Raises:
        RuntimeError: ddtrace has already been imported, and has read its settings.
    """
    if "ddtrace" in sys.modules:
        raise RuntimeError("quiet.prepare() must come before ddtrace is imported")
    for name in [name for name in os.environ if name.startswith(("DD_", "OTEL_", "PIPECAT_DD_"))]:
        del os.environ[name]
    os.environ.update(_ENVIRONMENT)
    # Use a handler as in production, without Pipecat's many DEBUG lines.
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    # Hide deprecation warnings about how the libraries use each other.
    logging.captureWarnings(True)


class Nowhere:
    """A sink that discards lines, so that only their creation is measured."""

    def write(self, text: str) -> None:
        """Discard a line."""


class Counter:
    """Counts exported spans."""

    def __init__(self) -> None:
        self.spans = 0

    def take(self) -> int:
        """Return the count and reset it to 0."""
        spans, self.spans = self.spans, 0
        return spans


def count_ddtrace(counter: Counter) -> None:
    """Make ddtrace count its finished spans and drop them."""
    from ddtrace.trace import Span, TraceFilter, tracer

    class Drop(TraceFilter):
        def process_trace(self, trace: list[Span]) -> list[Span] | None:
            counter.spans += len(trace)
            return None

    tracer.configure(trace_processors=[Drop()])


_swallowing: list[socket.socket] = []


def swallow_metrics() -> None:
    """Send metrics to a local socket that nothing reads from.

    As in production, each metric is formatted, queued and sent. The operating system then drops it.
    """
    taking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taking.bind(("127.0.0.1", 0))
    _swallowing.append(taking)
    os.environ["DD_DOGSTATSD_URL"] = f"udp://127.0.0.1:{taking.getsockname()[1]}"


def count_opentelemetry(counter: Counter) -> None:
    """Make OpenTelemetry's SDK count its finished spans and drop them.

    Raises:
        ImportError: The SDK is not installed.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

    class Drop(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            counter.spans += 1

    provider = TracerProvider()
    provider.add_span_processor(Drop())
    trace.set_tracer_provider(provider)
