"""Log lines that carry their session and span, and that Datadog reads without a custom pipeline.

`configure_logging` sets up Loguru and the standard library's ``logging`` in one call.
`datadog_format` is for users who set up Loguru themselves::

    logger.add("bot.log", format=datadog_format, diagnose=False)
"""

from pipecat_dd.export.logs.configure import (
    configure_logging,
    refresh_logging,
    unconfigure_logging,
)
from pipecat_dd.export.logs.default_format import datadog_format
from pipecat_dd.export.redaction import Redactor

__all__ = [
    "Redactor",
    "configure_logging",
    "datadog_format",
    "refresh_logging",
    "unconfigure_logging",
]
