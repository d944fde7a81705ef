"""The command ``pipecat-dd``: what a bot never imports."""
