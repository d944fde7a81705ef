"""Metrics: what a conversation adds up to, sent to DogStatsD."""
