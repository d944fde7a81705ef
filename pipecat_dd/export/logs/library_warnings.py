"""Deprecation warnings that only a library's authors can act on.

``logging.captureWarnings`` writes every warning at WARNING. A DeprecationWarning about code of a
library, such as Pipecat's about its own classes, asks its users for nothing, and so it is
a line at DEBUG here. One about the bot's own code stays at WARNING: that is all code that is not
installed, and the package that calls ``configure_logging``.
"""

import copy
import logging
import re
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Final

from pipecat_dd.export.logs.other_packages import installed_in

_LOGGER: Final = "py.warnings"
"""The logger to which ``logging.captureWarnings`` writes."""

# As warnings.formatwarning() writes it; a category's name is all that is left of it.
_TEXT: Final = re.compile(r"(?P<file>.+?):\d+: (?P<category>\w+): ")
_FROZEN: Final = "<frozen "
_OWN: Final = frozenset({"pipecat", "pipecat_dd"})

_bot = ""


def note_bot(module: str) -> None:
    """Note whose code is the bot's own, even if it is installed like a library.

    Args:
        module: The full name of the module that configures logging.
    """
    global _bot
    package = module.partition(".")[0]
    if package not in _OWN:
        _bot = package
        _is_in_library.cache_clear()


def lowered(record: logging.LogRecord) -> logging.LogRecord:
    """Return a deprecation warning about a library's code at DEBUG, any other record unchanged."""
    if record.name != _LOGGER or record.levelno <= logging.DEBUG:
        return record
    found = _TEXT.match(record.getMessage())
    if found is None or "Deprecat" not in found["category"] or not _is_of_library(found["file"]):
        return record
    made = copy.copy(record)  # other handlers get the record as it was
    made.levelno, made.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return made


def _is_of_library(path: str) -> bool:
    """Whether the code that a warning is about is a library's.

    Args:
        path: The file that the warning names. For a class that extends a deprecated one, it is a
            part of Python that has no file, and the code is that of the class statement.
    """
    if not path.startswith(_FROZEN):
        return _is_in_library(path)
    frame: FrameType | None = sys._getframe(1)
    is_inside = False
    while frame is not None:
        at = frame.f_code.co_filename
        if at.startswith(_FROZEN):
            is_inside = True
        elif is_inside:
            return _is_in_library(at)
        frame = frame.f_back
    return True


@lru_cache(maxsize=1024)
def _is_in_library(path: str) -> bool:
    if path.startswith("<"):  # generated code, a prompt
        return False
    whole = Path(path).absolute()
    within = installed_in(whole)
    if within is not None:
        return within[1] != _bot
    return any(whole.is_relative_to(folder) for folder in _library_folders())


def _library_folders() -> list[Path]:
    """Return the standard library's folder, and that of Pipecat, which may be a checkout."""
    folders = [Path(sysconfig.get_path("stdlib"))]
    pipecat = sys.modules.get("pipecat")
    folders += map(Path, getattr(pipecat, "__path__", ()))
    return folders
