"""``pipecat-dd view``: conversations as scores, while they happen."""
