"""The settings of shipping: from arguments, environment variables and defaults."""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Final

from pipecat_dd.settings import table
from pipecat_dd.settings.checks import shown
from pipecat_dd.settings.notes import note, raising
from pipecat_dd.settings.setting import UnusableVariableError
from pipecat_dd.settings.special_checks import is_line_tag

_SECRET_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """How lines are shipped to Datadog without an Agent: ``configure_logging(ship=Shipping(…))``.

    Each argument that is not given is read from its environment variable, and otherwise has a
    default. Most bots need none of them: ``configure_logging(ship=True)``, with ``DD_API_KEY`` and
    ``DD_SITE`` in the environment.

    Args:
        api_key: The API key; ``DD_API_KEY`` by default.
        site: The Datadog site, such as ``"datadoghq.eu"``; ``DD_SITE`` by default, else
            ``"datadoghq.com"``.
        url: The URL to send to instead of the site's intake, such as that of an Observability
            Pipelines Worker. Without a path, it gets ``/api/v2/logs``. ``PIPECAT_DD_SHIP_URL``.
        source: The lines' source (``ddsource``), by which Datadog chooses a pipeline;
            ``"python"`` by default. ``PIPECAT_DD_SHIP_SOURCE``.
        tags: Tags on every line, in addition to ``env``, ``version`` and those of ``DD_TAGS``.
            ``PIPECAT_DD_SHIP_TAGS``, as ``key:value,key:value``.
        hostname: The lines' host; ``DD_HOSTNAME`` by default, else the machine's name.
        flush_interval_secs: How long a line may wait so that several are sent together, in
            seconds, above 0 and at most 60; 2 by default. ``PIPECAT_DD_SHIP_FLUSH_INTERVAL_SECS``.
        timeout_secs: How long the intake may take to accept a connection, and to answer, in
            seconds, above 0 and at most 60; 10 by default. ``PIPECAT_DD_SHIP_TIMEOUT_SECS``.
        max_memory_bytes: How many bytes of memory waiting lines may take, 1048576 (1 MiB) or more;
            32 MiB by default. The oldest are dropped. ``PIPECAT_DD_SHIP_MAX_MEMORY_BYTES``.
        spool_dir: A directory for lines that cannot be sent now, which keeps them over a restart.
            Processes of one Datadog organization may share it. By default, such lines wait in
            memory. ``PIPECAT_DD_SHIP_SPOOL_DIR``.
        max_spool_bytes: How many bytes of disk the lines in that directory may take, compressed,
            4194304 (4 MiB) or more; 256 MiB by default. The oldest are dropped.
            ``PIPECAT_DD_SHIP_MAX_SPOOL_BYTES``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has an invalid value, or there is no API key.

    If a variable is invalid, one log line reports it, and the default is used; but no lines are
    shipped if ``DD_SITE`` or ``PIPECAT_DD_SHIP_URL`` is invalid.

    Example::

        configure_logging(ship=Shipping(spool_dir="/var/spool/bot", tags={"team": "voice"}))
    """

    api_key: str | None = field(default=None, repr=False)
    site: str | None = None
    url: str | None = None
    source: str | None = None
    tags: Mapping[str, str] | None = None
    hostname: str | None = None
    flush_interval_secs: float | None = None
    timeout_secs: float | None = None
    max_memory_bytes: int | None = None
    spool_dir: str | PathLike[str] | None = None
    max_spool_bytes: int | None = None

    def __post_init__(self) -> None:
        with suppress(UnusableVariableError):  # noted, and written where it is used
            Settings.of(self)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in effect, from a `Shipping` and the environment.

    Attributes:
        api_key: The API key.
        url: The intake's URL.
        fields: The members that say where lines come from, as JSON with a comma at the end.
        flush_interval_secs: How long a line waits for others.
        timeout_secs: How long the intake may take.
        max_memory_bytes: Memory that waiting lines may take.
        spool_dir: Where lines lie that cannot be sent now.
        max_spool_bytes: Disk that they may take.
        is_spool_given: Whether an argument names the spool's directory, not a variable.
    """

    api_key: str = field(repr=False)
    url: str
    fields: bytes
    flush_interval_secs: float
    timeout_secs: float
    max_memory_bytes: int
    spool_dir: Path | None
    max_spool_bytes: int
    is_spool_given: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, given: Shipping) -> "Settings":
        """Check what is given and fill in what the environment says.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: An argument's value is not allowed, or there is no API key.
            UnusableVariableError: A variable that says where lines go is wrong.
        """
        made = cls(
            api_key=_api_key(given.api_key),
            url="",
            fields=_fields(given),
            flush_interval_secs=table.FLUSH_INTERVAL_SECS.read(given.flush_interval_secs),
            timeout_secs=table.TIMEOUT_SECS.read(given.timeout_secs),
            max_memory_bytes=table.MAX_MEMORY_BYTES.read(given.max_memory_bytes),
            spool_dir=table.SPOOL_DIR.read(given.spool_dir),
            max_spool_bytes=table.MAX_SPOOL_BYTES.read(given.max_spool_bytes),
            is_spool_given=given.spool_dir is not None,
        )
        # Last: where there is nowhere to ship to, what else is wrong has been noted.
        site = table.SITE.read(given.site)
        intake = f"https://http-intake.logs.{site}{table.INTAKE_PATH}"
        return replace(made, url=table.URL.read(given.url, intake))

    @property
    def secret(self) -> bytes | None:
        """The key, where it is long enough to be told from words of a line."""
        key = self.api_key.encode()
        return key if len(key) >= _SECRET_BYTES else None


def settings_of(ship: bool | Shipping | None) -> Settings | None:
    """Return what shipping goes by; None where nothing is to be shipped.

    Args:
        ship: True, False or a `Shipping`, or None for what ``PIPECAT_DD_SHIP`` says.

    Raises:
        TypeError: It is none of these.
        ValueError: It asks for shipping, and there is no API key.
    """
    if ship is None:
        if not table.SHIP.read(None):
            return None
        try:
            return Settings.of(Shipping())
        except UnusableVariableError:
            return None
        except ValueError as error:  # an operator's key is missing, or is none
            note("PIPECAT_DD_SHIP", error, table.LINES_ARE_NOT_SHIPPED)
            return None
    if not isinstance(ship, (bool, Shipping)):
        raise TypeError(f"ship={shown(ship)}: must be True, False, a Shipping or None")
    if ship is False:
        return None
    try:
        return Settings.of(Shipping() if ship is True else ship)
    except UnusableVariableError:
        return None


def note_spool(settings: Settings, error: ValueError) -> Settings:
    """Note that a variable names a spool that cannot be used; return settings without one.

    Args:
        settings: What shipping goes by.
        error: What is wrong with the spool.

    Raises:
        ValueError: The error, where an argument names it.
    """
    if settings.is_spool_given:
        raise error
    note("PIPECAT_DD_SHIP_SPOOL_DIR", error, "It is left aside, and lines wait in memory")
    return replace(settings, spool_dir=None)


def _api_key(given: object) -> str:
    # Whatever is wrong with it, there is nothing to ship with.
    with raising():
        key = table.API_KEY.read(given)
    if key is None:
        raise ValueError(
            "DD_API_KEY is not set: lines are shipped to Datadog with an API key (Organization "
            "Settings > API Keys). Set DD_API_KEY, or give Shipping(api_key=...); without "
            "ship=, lines go to the sink alone"
        )
    return key


def _fields(given: Shipping) -> bytes:
    tags = _environments_tags() | dict(table.LINE_TAGS.read(given.tags))
    fields = {
        "ddsource": table.SOURCE.read(given.source),
        "ddtags": ",".join(f"{key}:{value}" if value else key for key, value in tags.items()),
        "hostname": table.HOSTNAME.read(given.hostname, _hostname()),
    }
    text = json.dumps({key: value for key, value in fields.items() if value}, ensure_ascii=False)
    # Half of a character, such as from a variable that is no UTF-8, is written as "?".
    return text[1:-1].encode(errors="replace") + b","


def _hostname() -> str:
    try:
        return socket.gethostname()
    except OSError:
        return ""


def _environments_tags() -> dict[str, str]:
    """Return the tags that ddtrace puts on spans: ``DD_TAGS``, env and version."""
    tags: dict[str, str] = {}
    # As ddtrace reads them: parted by commas, or by spaces where there are none.
    text = os.environ.get("DD_TAGS", "").strip()
    for part in text.split("," if "," in text else None):
        key, _, value = part.strip().partition(":")
        if is_line_tag(key) and (not value or is_line_tag(value)):
            tags[key] = value
    for key in ("env", "version"):
        value = os.environ.get(f"DD_{key.upper()}", "").strip()
        if is_line_tag(value):
            tags[key] = value
    return tags
