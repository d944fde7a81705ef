"""What is used of ddtrace's LLM Observability without being public."""

PRIVATE: dict[str, str] = {
    "LLMObs._instance": "leads to those below",
    "LLMObs._llmobs_context_provider": "what is asked which of its spans one begins beneath; "
    "without it no stage is told, and the spans of integrations stand alone",
    "LLMObs._user_span_processor": "the processor that the user registered, so that ours calls it",
    "LLMObs._apply_user_span_processor": "leads to the span itself, of which a processor sees only "
    "input, output and metadata; without it documents, prompt templates, instructions and "
    "descriptions of tools that integrations report stay on their spans",
    "LLMObs._llmobs_span_event": "the same, in an older ddtrace",
    "LLMObs._current_trace_context": "a function that asks what is active without anything to nest",
    "LLMObs._current_span": "another",
    "LLMObs._sampler": "whether a session is sampled, decided once; without it none is stated",
    "Context._meta": "where ids that cross processes are",
    "_dd.p.llmobs_*": "those ids, by the names of ddtrace's protocol",
    "Span._get_struct_tag": "what an integration reported, to take content out of it",
    "_config._llmobs_ml_app": "the application's name, which ddtrace 4.0 insists on",
    "llmobs_parent_id": "a tag: which span of a trace is at its root, by the id it ends with",
}
"""What is used here without being public, and what it is used for."""
