"""What can be set of shipping: by argument, else by environment variable, else by default."""

import json
import os
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pipecat_dd import variables as environment
from pipecat_dd.variables import Check, note, number, pairs, setting

ENV_PREFIX: Final = "PIPECAT_DD_SHIP_"
"""Before an argument's name in capitals, the name of its environment variable."""
SWITCH: Final = "PIPECAT_DD_SHIP"
"""The environment variable that turns shipping on where ``ship`` is not given."""

DEFAULT_SITE: Final = "datadoghq.com"
DEFAULT_SOURCE: Final = "python"
DEFAULT_FLUSH_INTERVAL_SECS: Final = 2.0
DEFAULT_TIMEOUT_SECS: Final = 10.0
DEFAULT_MAX_MEMORY_BYTES: Final = 32 * 2**20
DEFAULT_MAX_SPOOL_BYTES: Final = 256 * 2**20

_PATH: Final = "/api/v2/logs"
_SITE: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_TAG: Final = re.compile(r"[^\s,:][^\s,]*")
_SECRET_BYTES: Final = 16
_ANY_KEY: Final = "0" * 32
_NOT_SHIPPED: Final = "Lines are not shipped"
_T = TypeVar("_T")


class NotShippedError(ValueError):
    """A variable that says where lines go is wrong: nowhere is better than elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """How lines are shipped to Datadog without an Agent: ``configure_logging(ship=Shipping(…))``.

    What is not given is taken from the environment, and else has a default. Most need none
    of it: ``ship=True`` with ``DD_API_KEY`` and ``DD_SITE`` in the environment.

    Args:
        api_key: The API key; ``DD_API_KEY`` by default.
        site: The Datadog site, such as ``"datadoghq.eu"``; ``DD_SITE`` by default, else
            ``"datadoghq.com"``.
        url: Where to send to instead of the site's intake, with its path: that of a proxy
            such as an Observability Pipelines Worker. ``PIPECAT_DD_SHIP_URL``.
        source: The lines' source (``ddsource``), by which Datadog chooses a pipeline;
            ``"python"`` by default. ``PIPECAT_DD_SHIP_SOURCE``.
        tags: Tags on every line, beside ``env``, ``version`` and those of ``DD_TAGS``.
            ``PIPECAT_DD_SHIP_TAGS``, as ``key:value,key:value``.
        hostname: The lines' host; ``DD_HOSTNAME`` by default, else the machine's name.
        flush_interval_secs: How long a line waits for others to be sent with, in seconds,
            above 0 and at most 60; 2 by default. ``PIPECAT_DD_SHIP_FLUSH_INTERVAL_SECS``.
        timeout_secs: How long the intake may take to accept a connection, and to answer, in
            seconds, above 0 and at most 60; 10 by default. ``PIPECAT_DD_SHIP_TIMEOUT_SECS``.
        max_memory_bytes: Memory that waiting lines may take, 1 MiB (1048576) or more; 32 MiB
            by default. ``PIPECAT_DD_SHIP_MAX_MEMORY_BYTES``.
        spool_dir: A directory for lines that cannot be sent now. They are then still there
            after a restart. Processes of one Datadog organization may share it. None by
            default: such lines wait in memory. ``PIPECAT_DD_SHIP_SPOOL_DIR``.
        max_spool_bytes: Disk that they may take, compressed, 4 MiB (4194304) or more; 256 MiB
            by default. ``PIPECAT_DD_SHIP_MAX_SPOOL_BYTES``.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument has a value that is not allowed, or there is no API key.

    A variable that is wrong counts as not set, and is said in one line; one that says where lines
    go (``DD_SITE``, ``PIPECAT_DD_SHIP_URL``) has none shipped.

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
        with suppress(NotShippedError):  # said where it is used
            Settings.of(self)


@dataclass(frozen=True, slots=True)
class Settings:
    """What shipping goes by: a `Shipping` and the environment.

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
            NotShippedError: A variable that says where lines go is wrong.
        """
        rest: dict[str, Any] = {
            "api_key": _api_key(given.api_key),
            "fields": _fields(given),
            "flush_interval_secs": _setting(
                "flush_interval_secs",
                given.flush_interval_secs,
                _seconds,
                DEFAULT_FLUSH_INTERVAL_SECS,
            ),
            "timeout_secs": _setting(
                "timeout_secs", given.timeout_secs, _seconds, DEFAULT_TIMEOUT_SECS
            ),
            "max_memory_bytes": _setting(
                "max_memory_bytes",
                given.max_memory_bytes,
                _at_least(2**20),
                DEFAULT_MAX_MEMORY_BYTES,
            ),
            "spool_dir": _setting("spool_dir", given.spool_dir, _directory, None),
            "max_spool_bytes": _setting(
                "max_spool_bytes", given.max_spool_bytes, _at_least(2**22), DEFAULT_MAX_SPOOL_BYTES
            ),
        }
        # Last: where there is nowhere to ship to, what else is wrong has been noted.
        site = _destination("site", given.site, _site, DEFAULT_SITE, "DD_SITE")
        url = _destination("url", given.url, _url, f"https://http-intake.logs.{site}{_PATH}")
        return cls(url=url, is_spool_given=given.spool_dir is not None, **rest)

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
        if not is_switched_on():
            return None
        try:
            return Settings.of(Shipping())
        except NotShippedError:
            return None
        except ValueError as error:  # an operator's key is missing, or is none
            note(SWITCH, error, _NOT_SHIPPED)
            return None
    if not isinstance(ship, (bool, Shipping)):
        raise TypeError(f"ship={ship!r}: must be True, False, a Shipping or None")
    if ship is False:
        return None
    try:
        return Settings.of(Shipping() if ship is True else ship)
    except NotShippedError:
        return None


def is_switched_on() -> bool:
    """Return whether the environment turns shipping on."""
    return setting("ship", None, environment.switch, False)


def variables() -> frozenset[str]:
    """Return the names of all environment variables that begin with `ENV_PREFIX`."""
    return frozenset(
        ENV_PREFIX + one.name.upper()
        for one in fields(Shipping)
        if one.name not in ("api_key", "site", "hostname")
    )


def check_variables() -> None:
    """Note what is wrong with those, whether or not lines are shipped."""
    # What Datadog's own variables say is of no concern where nothing is.
    Shipping(api_key=_ANY_KEY, site=DEFAULT_SITE, hostname="localhost")


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
    note(ENV_PREFIX + "SPOOL_DIR", error, "It is left aside, and lines wait in memory")
    return replace(settings, spool_dir=None)


def _setting(
    argument: str, value: Any, check: Check[_T], default: _T, variable: str | None = None
) -> _T:
    return setting(argument, value, check, default, variable=variable, prefix=ENV_PREFIX)


def _destination(
    argument: str, value: Any, check: Check[str], default: str, variable: str | None = None
) -> str:
    """Return a setting that says where lines go, which no default can stand for.

    Raises:
        NotShippedError: Its variable is wrong.
    """
    variable = variable or ENV_PREFIX + argument.upper()
    if value is None and (text := os.environ.get(variable, "").strip()):
        try:
            return check(variable, text, True)
        except ValueError as error:
            note(variable, error, _NOT_SHIPPED)
            raise NotShippedError from error
    return default if value is None else check(argument, value, False)


def _api_key(given: Any) -> str:
    # A secret: what is wrong with it is said without saying it.
    name = "DD_API_KEY" if given is None else "api_key"
    key = os.environ.get("DD_API_KEY", "") if given is None else given
    if not isinstance(key, str):
        raise TypeError(f"api_key: must be a string, not {type(key).__name__}")
    key = key.strip()
    if not key and given is None:
        raise ValueError(
            "DD_API_KEY is not set: lines are shipped to Datadog with an API key (Organization "
            "Settings > API Keys). Set DD_API_KEY, or give Shipping(api_key=...); without "
            "ship=, lines go to the sink alone"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError(f"{name}: must be an API key of Datadog's, of ASCII with no spaces in it")
    return key


def _site(name: str, value: Any, _: bool) -> str:
    text = _text(name, value).lower()
    if not _SITE.fullmatch(text) or text.startswith("app."):
        raise ValueError(
            f'{name}={value!r}: must be a Datadog site, such as "datadoghq.com", "datadoghq.eu" '
            'or "us5.datadoghq.com", with neither "https://" nor "app."'
        )
    return text


def _url(name: str, value: Any, _: bool) -> str:
    text = _text(name, value)
    allowed = f'must be such as "https://logs.internal:8282{_PATH}"'
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(f"{name}: {allowed}")
    if "@" in parts.netloc:  # not shown: it may be a password
        raise ValueError(f"{name}: must hold neither a user nor a password; {allowed}")
    return text if parts.path not in ("", "/") else f"{text.rstrip('/')}{_PATH}"


def _fields(given: Shipping) -> bytes:
    tags = _environments_tags()
    given_tags: dict[str, str] = _setting("tags", given.tags, _tags, {})
    tags |= given_tags
    fields = {
        "ddsource": _setting("source", given.source, _name, DEFAULT_SOURCE),
        "ddtags": ",".join(f"{key}:{value}" if value else key for key, value in tags.items()),
        "hostname": _setting("hostname", given.hostname, _name, _hostname(), "DD_HOSTNAME"),
    }
    text = json.dumps({key: value for key, value in fields.items() if value}, ensure_ascii=False)
    return text[1:-1].encode() + b","


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
        if _TAG.fullmatch(key) and (not value or _TAG.fullmatch(value)):
            tags[key] = value
    for key in ("env", "version"):
        value = os.environ.get(f"DD_{key.upper()}", "").strip()
        if _TAG.fullmatch(value):
            tags[key] = value
    return tags


def _tags(name: str, value: Any, from_environment: bool) -> dict[str, str]:
    if from_environment:
        value = pairs(name, value)
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}={value!r}: must be a mapping of names to values")
    tags: dict[str, str] = {}
    for key, tag in value.items():
        if not isinstance(key, str) or not _TAG.fullmatch(key) or ":" in key:
            raise ValueError(
                f"{name}: the tag {key!r} must be a string with no space, comma or colon in it"
            )
        if isinstance(tag, bool) or not isinstance(tag, (str, int, float)):
            raise TypeError(f"{name}: the tag {key!r} has the value {tag!r}; must be a string")
        if not _TAG.fullmatch(str(tag)):
            raise ValueError(
                f"{name}: the tag {key!r} has the value {tag!r}; must have no space or comma in it"
            )
        tags[key] = str(tag)
    return tags


def _name(name: str, value: Any, _: bool) -> str:
    text = _text(name, value)
    if not text or len(text) > 200:
        raise ValueError(f"{name}={value!r}: must be 1 to 200 characters, not only spaces")
    return text


def _directory(name: str, value: Any, _: bool) -> Path | None:
    if not isinstance(value, (str, PathLike)):
        raise TypeError(f"{name}={value!r}: must be the path of a directory")
    if not os.fspath(value):
        raise ValueError(f"{name}={value!r}: must be the path of a directory")
    return Path(value).expanduser().absolute()


def _seconds(name: str, value: Any, from_environment: bool) -> float:
    allowed = "must be a number of seconds above 0 and at most 60"
    secs = number(name, value, from_environment, allowed)
    if not 0 < secs <= 60:
        raise ValueError(f"{name}={value!r}: {allowed}")
    return secs


def _at_least(least: int) -> Callable[[str, Any, bool], int]:
    def check(name: str, value: Any, from_environment: bool) -> int:
        allowed = f"must be a number of bytes, {least} or more"
        bytes_ = number(name, value, from_environment, allowed)
        if bytes_ < least:
            raise ValueError(f"{name}={value!r}: {allowed}")
        return int(bytes_)

    return check


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: must be a string, not {type(value).__name__}")
    return value.strip()
