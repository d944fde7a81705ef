"""What the installed Pipecat can do."""

from importlib.metadata import version

PIPECAT = tuple(int(part) for part in version("pipecat-ai").split(".")[:2])

REPORTS_STT_USAGE = PIPECAT >= (1, 7)
SETS_UP_OBSERVERS = PIPECAT >= (1, 8)
