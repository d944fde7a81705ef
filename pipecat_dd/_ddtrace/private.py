"""Lists the private names of ddtrace that are used."""

PRIVATE: dict[str, str] = {
    'middleware.scope["datadog"]': "whether a websocket's messages are traced, for a log line",
    "_dd.measured": "a metric of Datadog's span format that requests hits, errors, percentiles",
    "thread_context._sync_active_otel_thread_context": "a function of ddtrace that asks which span "
    "is active, but nests nothing under it",
    "patch._wrapped_create_task": "another such function",
    "patch.traced_coro": "another, with which a task begins; found by its name on the stack, with "
    "the span that the task inherits (`dd_active`)",
    "Span._parent": "the spans above a caller's, which are ignored with it; the stage above a "
    "client's span, without which the stage counts as the client as well",
    "Span._local_root": "the answer of `tracer.current_root_span()`: without it that is the "
    "current span, and only its trace shows to which session another span belongs",
    "Span._inherit_from_parent": "the same, in a newer ddtrace",
    "Span._add_event": "events that user code adds to the current span; without it they are lost",
    "Span._span_api": "whether a span is OpenTelemetry's, to recognize those of Pipecat's tracing",
    "Tracer._span_aggregator": "gives access to spans before they are sent: without it an open "
    "span in a session's trace holds back the finished ones, as it does without us, and spans of "
    "integrations and of the user's code lack the session's id",
    "SpanAggregator._traces": "finished spans of integrations and of the user's code, to send them "
    "at the session's and the process's end though others are open; without it they are lost, as "
    "they are without us",
    "SpanAggregator._lock": "the same",
    "Context._meta": "who made the sampling decision, for traces of single turns; on a span, in an "
    "older ddtrace, to remove the error of a cancellation",
    "Tracer._atexit": "found by its name on the stack: whether a signal shuts the tracer down",
}
"""The private names that are used, and their use."""
