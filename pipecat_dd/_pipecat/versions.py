"""Which Pipecat is installed."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version


def pipecat_version() -> str:
    """Return the version of Pipecat that is installed."""
    try:
        return package_version("pipecat-ai")
    except PackageNotFoundError:
        return "unknown"
