"""What is used of ddtrace without being public."""

PRIVATE: dict[str, str] = {
    'middleware.scope["datadog"]': "whether a websocket's messages are traced, to say so",
    "_dd.measured": "a metric of Datadog's span format that asks for hits, errors, percentiles",
    "thread_context._sync_active_otel_thread_context": "a function of ddtrace's that asks "
    "which span is active without anything to nest in it",
    "patch._wrapped_create_task": "another",
    "Span._parent": "the spans above one of the caller's, to be left aside with it",
    "Tracer._atexit": "by its name on the stack, whether a signal shuts the tracer down",
}
"""What is used here without being public, and what it is used for."""
