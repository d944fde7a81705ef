"""`pipecat-dd demo`: a real conversation of a real bot, on a machine with nothing but Python."""
