"""Log lines that Datadog reads with no pipeline of one's own, and that know whose they are.

`configure_logging` sets Loguru, and the standard library's ``logging``, up in one call.
`datadog_format` is for those who set Loguru up themselves::

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
