"""What is known of the conversation, sent on: spans, log lines, metrics, LLM Observability."""
