"""What is used of ddtrace without being public."""

PRIVATE: dict[str, str] = {
    'middleware.scope["datadog"]': "whether a websocket's messages are traced, to say so",
    "_dd.measured": "a metric of Datadog's span format that asks for hits, errors, percentiles",
    "thread_context._sync_active_otel_thread_context": "a function of ddtrace's that asks "
    "which span is active without anything to nest in it",
    "patch._wrapped_create_task": "another",
    "patch.traced_coro": "what a task begins with, and by its name on the "
    "stack whose span it takes along (`dd_active`)",
    "Span._parent": "the spans above one of the caller's, to be left aside with it; the stage that "
    "a client's span is beneath, without which the stage is taken for the client too",
    "Span._local_root": "what `tracer.current_root_span()` answers: without it that is the "
    "current span, and a span of others that passes by is known by its trace alone",
    "Span._inherit_from_parent": "the same, in a newer ddtrace",
    "Span._add_event": "events that user code adds to the current span; without it they are lost",
    "Span._span_api": "whether a span is OpenTelemetry's, to know those of Pipecat's tracing",
    "Tracer._span_aggregator": "leads to what is filtered and sent: without it a span that is "
    "open in a session's trace holds back what has finished there, as it does without us, and "
    "spans of others lack the session's id",
    "SpanAggregator._traces": "what has finished of others at the session's and the process's end, "
    "where something of theirs is still open; without it that is lost, as it is without us",
    "SpanAggregator._lock": "the same",
    "Context._meta": "who decided on sampling, for traces of single turns; a span's of that name, "
    "in an older ddtrace, to take an error off one that was cancelled",
    "Tracer._atexit": "by its name on the stack, whether a signal shuts the tracer down",
}
"""What is used here without being public, and what it is used for."""
