"""`pipecat-dd report`: a conversation as a file."""
