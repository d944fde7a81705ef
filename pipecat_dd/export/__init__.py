"""Sends a conversation to Datadog as spans, log lines, metrics and to LLM Observability."""
