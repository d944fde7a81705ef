"""Checks the arguments of `configure_logging`; errors name the argument and its value."""

import codecs
import re
from collections.abc import Mapping
from logging import Handler as LoggingHandler
from os import PathLike, fspath
from typing import Any, Final

from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.redaction import NoRedaction, Redactor
from pipecat_dd.settings.checks import is_path, shown

_A_PATH: Final = "the path of a file that can be written"
_FILE_OPTIONS: Final = {
    "rotation": 'a size or time of Loguru\'s, such as "100 MB", "1 day" or "00:00", or a function',
    "retention": 'a number of files, a time of Loguru\'s, such as "10 days", or a function',
    "compression": 'a format of Loguru\'s, such as "gz", "zip" or "tar.gz", or a function',
}
"""What Loguru takes for the arguments of files, in words."""


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
            f'levels={shown(levels)}: must map names to levels, such as {{"httpx": "WARNING"}}'
        )
    by_name: dict[str, int] = {}
    for name, level in levels.items():
        if not isinstance(name, str):
            raise TypeError(f"levels: {shown(name)} must be the name of a module or logger")
        if not name or name.startswith(".") or name.endswith("."):
            raise ValueError(
                f"levels: {shown(name)} must be the name of a module or logger, without a dot at "
                "its beginning or end; use the argument level for all other names"
            )
        by_name[name] = level_number(level, f"levels[{shown(name)}]")
    return by_name


def redactor_of(redact: bool | Redactor) -> Redactor:
    """Return the redactor for the argument ``redact``.

    Raises:
        TypeError: It is neither True, False nor a `Redactor`.
    """
    if isinstance(redact, Redactor):
        return redact
    if not isinstance(redact, bool):
        raise TypeError(f"redact={shown(redact)}: must be True, False or a Redactor")
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
        path = fspath(sink)
        if not isinstance(path, str):
            raise TypeError(f"sink={shown(path)}: must be {_A_PATH}, as text")
        if not path.strip() or not is_path(path):
            raise ValueError(f"sink={shown(path)}: must be {_A_PATH}")
        return options
    for name, value in options.items():
        raise ValueError(f"{name}={shown(value)}: only allowed if the sink is the path of a file")
    if not (
        callable(sink) or callable(getattr(sink, "write", None)) or isinstance(sink, LoggingHandler)
    ):
        raise TypeError(
            f"sink={shown(sink)}: must be a stream, the path of a file, a function, or a "
            "logging.Handler"
        )
    return options


def named_error(sink: object, options: Mapping[str, Any], error: Exception) -> Exception:
    """Return an error of ``logger.add`` as one that names the argument, its value, what is allowed.

    Args:
        sink: The sink that Loguru could not add.
        options: The arguments of ``logger.add``.
        error: What it raised.
    """
    if not isinstance(sink, (str, PathLike)):
        return error
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return ValueError(f"sink={shown(fspath(sink))}: must be {_A_PATH}: {reason}")
    kind = TypeError if isinstance(error, TypeError) else ValueError
    for name, allowed in _FILE_OPTIONS.items():
        if name in options and re.search(rf"\b{name}\b", str(error)):
            return kind(f"{name}={shown(options[name])}: must be {allowed}")
    return ValueError(
        f"sink={shown(fspath(sink))}: must be {_A_PATH}, in which {{time}} is the only field: "
        f"{type(error).__name__}: {error}"
    )


def is_not_utf8(sink: object) -> bool:
    """Whether a stream has an encoding that may not have all characters beyond ASCII."""
    encoding = getattr(sink, "encoding", None)
    if not isinstance(encoding, str):
        return False
    try:
        return codecs.lookup(encoding).name != "utf-8"
    except LookupError:
        return True
