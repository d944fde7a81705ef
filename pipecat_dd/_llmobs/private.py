"""Lists the private names of ddtrace's LLM Observability that are used."""

PRIVATE: dict[str, str] = {
    "LLMObs._instance": "gives access to the names below",
    "LLMObs._llmobs_context_provider": "determines the parent of a span; without it no stage is "
    "exported, and the spans of integrations stand alone",
    "LLMObs._user_span_processor": "the user's span processor, which ours calls",
    "LLMObs._apply_user_span_processor": "gives access to the whole span, of which a processor "
    "sees only input, output and metadata; without it documents, prompt templates, instructions "
    "and tool descriptions that integrations report stay on their spans",
    "LLMObs._llmobs_span_event": "the same, in an older ddtrace",
    "LLMObs._current_trace_context": "a function that asks for the active span, but nests nothing",
    "LLMObs._current_span": "another such function",
    "LLMObs._sampler": "decides once whether a session is sampled; without it no decision is set",
    "Context._meta": "holds the ids that cross processes",
    "_dd.p.llmobs_*": "the names of those ids in ddtrace's protocol",
    "Span._get_struct_tag": "an integration's report, from which content is removed",
    "_config._llmobs_ml_app": "the application's name, which ddtrace 4.0 requires",
    "llmobs_parent_id": "a tag with the id of the span at a trace's root",
}
"""The private names that are used, and their use."""
