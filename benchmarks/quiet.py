"""ddtrace and OpenTelemetry at work, with nothing sent.

Spans are made, finished and handed over as in production; what takes them in counts them and
lets them go. So what is measured is what a library does in the bot, and neither an Agent that
is not there nor how one library's exporter encodes. The count proves that a library was at
work: one that had turned itself off would look cheap.
"""

import logging
import os
import socket
import sys

from loguru import logger

_ENVIRONMENT = {
    # No thread of ddtrace's but those that tracing itself needs.
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    # Nobody listens there. Nothing is sent either, or a run would say so.
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_SERVICE": "benchmarks",
}


def prepare() -> None:
    """Set the process up, before ddtrace, Pipecat or pipecat_dd are imported.

    Raises:
        RuntimeError: ddtrace is imported already, and has read another environment.
    """
    if "ddtrace" in sys.modules:
        raise RuntimeError("quiet.prepare() must come before ddtrace is imported")
    for name in [name for name in os.environ if name.startswith(("DD_", "OTEL_", "PIPECAT_DD_"))]:
        del os.environ[name]
    os.environ.update(_ENVIRONMENT)
    # A handler as in production, where Pipecat's many DEBUG lines are not written.
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    # That one library uses what another has deprecated is not news here.
    logging.captureWarnings(True)


class Nowhere:
    """A sink that throws lines away, so that what is measured is the making of them."""

    def write(self, text: str) -> None:
        """Throw a line away."""


class Counter:
    """How many spans were handed over since it was last asked."""

    def __init__(self) -> None:
        self.spans = 0

    def take(self) -> int:
        """Return the count and begin anew."""
        spans, self.spans = self.spans, 0
        return spans


def count_ddtrace(counter: Counter) -> None:
    """Have ddtrace hand its finished spans to a counter, and go no further.

    Args:
        counter: Counts them.
    """
    from ddtrace.trace import Span, TraceFilter, tracer

    class Drop(TraceFilter):
        def process_trace(self, trace: list[Span]) -> list[Span] | None:
            counter.spans += len(trace)
            return None

    tracer.configure(trace_processors=[Drop()])


_swallowing: list[socket.socket] = []


def swallow_metrics() -> None:
    """Have metrics sent to a socket that takes them, and that nobody reads.

    As in production each is formatted, queued and sent; the system then drops it.
    """
    taking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taking.bind(("127.0.0.1", 0))
    _swallowing.append(taking)
    os.environ["DD_DOGSTATSD_URL"] = f"udp://127.0.0.1:{taking.getsockname()[1]}"


def count_opentelemetry(counter: Counter) -> None:
    """Have OpenTelemetry's SDK hand its finished spans to a counter, and go no further.

    Args:
        counter: Counts them.

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
