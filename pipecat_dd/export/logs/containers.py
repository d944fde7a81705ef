"""Finds whether lines go through a container runtime that splits them at 16 KiB.

Docker and containerd pass on a container's output in pieces of at most 16 KiB, the line's end
included. Datadog's Agent joins the pieces again if it reads the runtime's files itself. FireLens,
Fluent Bit and others send the pieces as they are: none of them is valid JSON, and the ids are
lost.
"""

import os
import re
import sys
from collections.abc import Mapping
from logging import Handler as LoggingHandler
from pathlib import Path
from typing import Any, Final

from pipecat_dd.settings.table import MAX_LINE_BYTES

SPLIT_BYTES: Final = 16 * 1024
"""Where Docker and containerd split a line, its end included."""

_VARIABLES: Final = (
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "container",  # set by Podman and others for what runs in them
)
_FILES: Final = (".dockerenv", "run/.containerenv")
_GROUPS: Final = re.compile(r"docker|kubepods|containerd|libpod|/ecs/|crio")
# Only in a container are these files mounts, which its runtime makes.
_MOUNTS: Final = re.compile(r"^\S+ \S+ \S+ \S+ /etc/(?:hostname|hosts|resolv\.conf) ", re.MULTILINE)
_CONSOLE: Final = (1, 2)
_CONSOLE_PATH: Final = re.compile(r"/dev/(?:stdout|stderr|fd/[12])|/proc/(?:self|1|\d+)/fd/[12]")


def default_line_bytes(sink: object) -> int:
    """Return the default limit of a line in bytes, its end included.

    Args:
        sink: Where the lines go.
    """
    return SPLIT_BYTES if _is_console(sink) and is_in_container() else MAX_LINE_BYTES


def is_in_container(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs in a container."""
    if any(environ.get(name) for name in _VARIABLES):
        return True
    if any(_is_there(root / name) for name in _FILES):
        return True
    return bool(
        _GROUPS.search(_text_of(root / "proc/self/cgroup"))
        or _MOUNTS.search(_text_of(root / "proc/self/mountinfo"))
    )


def _is_console(sink: object) -> bool:
    """Whether a sink writes to the process's standard output or error."""
    if isinstance(sink, LoggingHandler):
        sink = getattr(sink, "stream", None)
    if isinstance(sink, (str, os.PathLike)):
        return _CONSOLE_PATH.fullmatch(str(sink)) is not None
    if sink is not None and any(
        sink is console for console in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    ):
        return True
    fileno: Any = getattr(sink, "fileno", None)
    try:
        return callable(fileno) and fileno() in _CONSOLE
    except Exception:  # a custom stream without a descriptor, or a closed one
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
