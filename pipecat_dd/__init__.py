"""See inside a Pipecat bot from Datadog.

Three lines in a bot::

    from pipecat_dd import DatadogObserver, configure_logging
    configure_logging()
    worker = PipelineWorker(pipeline, observers=[DatadogObserver()])

Before Pipecat 1.3, ``PipelineWorker`` is called ``PipelineTask``.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipecat_dd.conversation.context import current_session
    from pipecat_dd.conversation.model import Participant, Session
    from pipecat_dd.export.logs import (
        Redactor,
        configure_logging,
        datadog_format,
        unconfigure_logging,
    )
    from pipecat_dd.export.shipping import Shipping, flush_shipping, shipping_counts
    from pipecat_dd.observer import DatadogObserver

    __version__: str

__all__ = [
    "DatadogObserver",
    "Participant",
    "Redactor",
    "Session",
    "Shipping",
    "__version__",
    "configure_logging",
    "current_session",
    "datadog_format",
    "flush_shipping",
    "shipping_counts",
    "unconfigure_logging",
]

# Imported on first use: the command line needs neither Pipecat nor ddtrace, which take a second
# to import and change the process when they are imported.
_HOMES = {
    "DatadogObserver": "pipecat_dd.observer",
    "Participant": "pipecat_dd.conversation.model",
    "Redactor": "pipecat_dd.export.logs",
    "Session": "pipecat_dd.conversation.model",
    "Shipping": "pipecat_dd.export.shipping",
    "configure_logging": "pipecat_dd.export.logs",
    "current_session": "pipecat_dd.conversation.context",
    "datadog_format": "pipecat_dd.export.logs",
    "flush_shipping": "pipecat_dd.export.shipping",
    "shipping_counts": "pipecat_dd.export.shipping",
    "unconfigure_logging": "pipecat_dd.export.logs",
}

if not TYPE_CHECKING:  # or type checkers would take every name for one of ours

    def __getattr__(name: str) -> object:
        if name == "__version__":
            # The version stands in pyproject.toml alone.
            metadata = _import_module("importlib.metadata")
            try:
                return metadata.version("pipecat-dd")
            except metadata.PackageNotFoundError:  # copied, not installed: in a zip, say
                return "unknown"
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
