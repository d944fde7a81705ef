"""Checks the arguments of `configure_logging`; errors name the argument and its value."""

import codecs
from collections.abc import Mapping
from logging import Handler as LoggingHandler
from os import PathLike
from typing import Any

from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.redaction import NoRedaction, Redactor


def levels_by_name(levels: Mapping[str, str | int] | None) -> dict[str, int]:
    """Return the argument ``levels`` as numbers.

    Raises:
        TypeError: It is not a mapping of names to levels.
        ValueError: A name or a level in it is not valid.
    """
    if levels is None:
        return {}
    if not isinstance(levels, Mapping):
        raise TypeError(
            f'levels={levels!r}: must map names to levels, such as {{"httpx": "WARNING"}}'
        )
    by_name: dict[str, int] = {}
    for name, level in levels.items():
        if not isinstance(name, str):
            raise TypeError(f"levels: {name!r} must be the name of a module or logger")
        if not name or name.startswith(".") or name.endswith("."):
            raise ValueError(
                f"levels: {name!r} is not the name of a module or logger; use the argument level "
                "for all other names"
            )
        by_name[name] = level_number(level, f"levels[{name!r}]")
    return by_name


def redactor_of(redact: bool | Redactor) -> Redactor:
    """Return the redactor for the argument ``redact``.

    Raises:
        TypeError: It is neither True, False nor a `Redactor`.
    """
    if isinstance(redact, Redactor):
        return redact
    if not isinstance(redact, bool):
        raise TypeError(f"redact={redact!r}: must be True, False or a Redactor")
    return Redactor() if redact else NoRedaction()


def file_options(sink: object, rotation: Any, retention: Any, compression: Any) -> dict[str, Any]:
    """Return the options of ``logger.add`` for files that are not None.

    Raises:
        TypeError: Loguru cannot write to the sink.
        ValueError: An option is given, but the sink is not the path of a file.
    """
    given = {"rotation": rotation, "retention": retention, "compression": compression}
    options = {name: value for name, value in given.items() if value is not None}
    if isinstance(sink, (str, PathLike)):
        return options
    for name, value in options.items():
        raise ValueError(f"{name}={value!r}: only allowed if the sink is the path of a file")
    if not (
        callable(sink) or callable(getattr(sink, "write", None)) or isinstance(sink, LoggingHandler)
    ):
        raise TypeError(
            f"sink={sink!r}: must be a stream, the path of a file, a function, or a logging.Handler"
        )
    return options


def is_not_utf8(sink: object) -> bool:
    """Whether a stream has an encoding that may not have all characters beyond ASCII."""
    encoding = getattr(sink, "encoding", None)
    if not isinstance(encoding, str):
        return False
    try:
        return codecs.lookup(encoding).name != "utf-8"
    except LookupError:
        return True
