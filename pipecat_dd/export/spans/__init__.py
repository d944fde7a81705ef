"""Spans: a Datadog span for each stage of the conversation."""
