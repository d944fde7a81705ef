"""`pipecat-dd demo`: a real bot holds a real conversation on a machine that has only Python."""
