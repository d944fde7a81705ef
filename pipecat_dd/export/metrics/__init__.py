"""Metrics of conversations and of the process, sent to DogStatsD."""
