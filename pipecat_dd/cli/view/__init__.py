"""`pipecat-dd view`: a bot's conversations on a local page, while they happen."""
