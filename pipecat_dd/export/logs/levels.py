"""Levels: Loguru's, the standard library's, and the statuses that Datadog knows.

Datadog's statuses are emerg, alert, critical, error, warning, notice, info, debug and ok
(https://docs.datadoghq.com/logs/log_configuration/processors/log_status_remapper/). Names that
Datadog would misread are translated here: "SUCCESS" becomes *ok*, "TRACE" becomes *debug*.
"""

from typing import Final

from loguru import logger

from pipecat_dd.settings.checks import shown

_STATUS_BY_NAME: Final = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "INFO": "info",
    "SUCCESS": "ok",
    "NOTICE": "notice",
    "WARN": "warning",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "critical",
    "FATAL": "critical",
    "ALERT": "alert",
    "EMERGENCY": "emerg",
}

_STATUS_FROM_NUMBER: Final = (
    (50, "critical"),
    (40, "error"),
    (30, "warning"),
    (25, "notice"),
    (20, "info"),
)


def status_of(name: str, number: int) -> str:
    """Return Datadog's status for a level.

    Args:
        name: The level's name, which decides if it is one of Loguru's or syslog's.
        number: The level's severity (Loguru's scale: DEBUG 10, INFO 20 … CRITICAL 50), which
            decides for all other names.
    """
    status = _STATUS_BY_NAME.get(name)
    if status is not None:
        return status
    for least, status in _STATUS_FROM_NUMBER:
        if number >= least:
            return status
    return "debug"


def level_number(level: str | int, argument: str) -> int:
    """Return a level's severity.

    Args:
        level: A level's name as Loguru knows it (any case), or its number, 0 or more.
        argument: The argument's name, for error messages.

    Raises:
        TypeError: It is neither a string nor an integer.
        ValueError: No level has that name, or the number is negative.
    """
    if isinstance(level, str):
        for name in (level, level.upper()):
            try:
                return logger.level(name).no
            except ValueError:
                continue
        raise ValueError(
            f"{argument}={shown(level)}: must be the name of a level: TRACE, DEBUG, INFO, SUCCESS, "
            "WARNING, ERROR, CRITICAL, or one made with logger.level(name, no=…); or a number"
        )
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(
            f"{argument}={shown(level)}: must be a name such as 'INFO' or a number such as 20, "
            f"not {type(level).__name__}"
        )
    if level < 0:
        raise ValueError(
            f"{argument}={shown(level)}: must be a level's name, or a number, 0 or more"
        )
    return level
