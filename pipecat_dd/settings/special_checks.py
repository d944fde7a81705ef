"""Checks for values specific to Datadog, ddtrace or Pipecat.

A check imports ddtrace or Pipecat only when it is called, since the table of settings must import
neither.
"""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipecat_dd.settings.checks import Switch, pairs, shown, stripped

if TYPE_CHECKING:
    from pipecat_dd._ddtrace import Context

_SITE: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_LINE_TAG: Final = re.compile(r"[^\s,:][^\s,]*")
_PRINTABLE: Final = re.compile(r"[!-~]+")


class LLMObsSwitch(Switch):
    """On or off; on needs a name for the application."""

    allowed: str = "true or false; true needs DD_LLMOBS_ML_APP or DD_SERVICE"

    def __call__(self, name: str, value: Any, from_environment: bool) -> bool:
        """Check a boolean, and that there is a name for the application if it is true."""
        is_on = Switch.__call__(self, name, value, from_environment)
        if is_on and not _application_has_name():
            raise ValueError(
                f"{name}={shown(value)}: LLM Observability needs a name for the application: "
                "DD_LLMOBS_ML_APP or DD_SERVICE must be set"
            )
        return is_on


class MetricsSwitch(Switch):
    """On or off; on needs the extra ``metrics``."""

    allowed: str = "true or false; true needs the extra metrics"

    def __call__(self, name: str, value: Any, from_environment: bool) -> bool:
        """Check a boolean, and that the extra is installed if it is true."""
        is_on = Switch.__call__(self, name, value, from_environment)
        if is_on and find_spec("datadog") is None:
            raise ImportError(
                f"{name}={shown(value)}: needs the datadog package; "
                "pip install 'pipecat-dd[metrics]'"
            )
        return is_on


@dataclass(frozen=True, eq=False)
class SpanTags:
    """Tags of spans: names and values.

    Attributes:
        reserved: Names that the user may not use.
        max_name_chars: The most characters of a name.
    """

    reserved: frozenset[str]
    max_name_chars: int

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return (
            f"a mapping of names (1 to {self.max_name_chars} characters, other than "
            f"{', '.join(sorted(self.reserved))}) to strings, numbers or booleans"
        )

    def __call__(self, name: str, value: Any, from_environment: bool) -> dict[str, str]:
        """Check tags, and return their values as text."""
        tags = {}
        for key, tag in pairs(name, value, from_environment).items():
            if not isinstance(key, str) or not key.strip() or len(key) > self.max_name_chars:
                raise ValueError(
                    f"{name}: the tag {shown(key)} must be a string of 1 to {self.max_name_chars} "
                    "characters"
                )
            if key in self.reserved:
                raise ValueError(
                    f"{name}: the tag {shown(key)} is reserved; choose a name other than "
                    f"{', '.join(sorted(self.reserved))}"
                )
            if not isinstance(tag, (str, int, float, bool)):
                raise TypeError(
                    f"{name}: the tag {shown(key)} has the value {shown(tag)}; "
                    "must be a string, a number or a boolean"
                )
            tags[key] = str(tag).lower() if isinstance(tag, bool) else str(tag)
        return tags


class LineTags:
    """Tags of log lines. They are sent as one text (``ddtags``), so they hold no separators."""

    allowed: str = "a mapping of names to values, without spaces and commas"

    def __call__(self, name: str, value: Any, from_environment: bool) -> dict[str, str]:
        """Check tags, and return their values as text."""
        tags: dict[str, str] = {}
        for key, tag in pairs(name, value, from_environment).items():
            if not isinstance(key, str) or not is_line_tag(key) or ":" in key:
                raise ValueError(
                    f"{name}: the tag {shown(key)} must be a string without spaces, commas and "
                    "colons"
                )
            if isinstance(tag, bool) or not isinstance(tag, (str, int, float)):
                raise TypeError(
                    f"{name}: the tag {shown(key)} has the value {shown(tag)}; must be a string"
                )
            if not is_line_tag(str(tag)):
                raise ValueError(
                    f"{name}: the tag {shown(key)} has the value {shown(tag)}; "
                    "must be without spaces and commas"
                )
            tags[key] = str(tag)
        return tags


def is_line_tag(text: str) -> bool:
    """Whether a text can be a tag's name or value in ``ddtags``."""
    return _LINE_TAG.fullmatch(text) is not None


class ApiKey:
    """A Datadog API key. It is a secret, so messages do not show it."""

    allowed: str = "an API key of Datadog, in ASCII and without spaces"

    def __call__(self, name: str, value: Any, from_environment: bool) -> str:
        """Check a key and return it without the spaces around it."""
        if not isinstance(value, str):
            raise TypeError(f"{name}: must be a string, not {type(value).__name__}")
        key = value.strip()
        if not _PRINTABLE.fullmatch(key):
            raise ValueError(f"{name}: must be {self.allowed}")
        return key


class Site:
    """A Datadog site."""

    allowed: str = (
        'a Datadog site, such as "datadoghq.com", "datadoghq.eu" or "us5.datadoghq.com", without '
        '"https://" and "app."'
    )

    def __call__(self, name: str, value: Any, from_environment: bool) -> str:
        """Check a site and return it in lower case."""
        site = stripped(name, value).lower()
        if not _SITE.fullmatch(site) or site.startswith("app."):
            raise ValueError(f"{name}={shown(value)}: must be {self.allowed}")
        return site


@dataclass(frozen=True, eq=False)
class IntakeUrl:
    """The URL of a log intake. Messages do not show it, since it may hold a password by mistake.

    Attributes:
        path: The path that is added if the URL has none.
    """

    path: str

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return f'a URL without user and password, such as "https://logs.internal:8282{self.path}"'

    def __call__(self, name: str, value: Any, from_environment: bool) -> str:
        """Check a URL and return it with a path."""
        url = stripped(name, value)
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits or not _PRINTABLE.fullmatch(url):
            raise ValueError(f"{name}: must be {self.allowed}")
        if "@" in parts.netloc:
            raise ValueError(f"{name}: must be {self.allowed}")
        return url if parts.path not in ("", "/") else f"{url.rstrip('/')}{self.path}"


class Parent:
    """The context of a remote parent."""

    allowed: str = (
        "a ddtrace.trace.Context, as returned by HTTPPropagator.extract(headers); an active span "
        "of this process is linked automatically"
    )

    def __call__(self, name: str, value: Any, from_environment: bool) -> "Context | None":
        """Check a context; return None for one without ids."""
        from pipecat_dd._ddtrace import Context

        if not isinstance(value, Context):
            raise TypeError(f"{name}={shown(value)}: must be {self.allowed}")
        return value if value.trace_id and value.span_id else None


class Transports:
    """One or several of Pipecat's transports."""

    allowed: str = "a transport of Pipecat's (a BaseTransport), or a list of them"

    def __call__(self, name: str, value: Any, from_environment: bool) -> tuple[Any, ...]:
        """Check transports."""
        from pipecat_dd import _pipecat

        given = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        for transport in given:
            if not _pipecat.is_transport(transport):
                raise TypeError(f"{name}={shown(value)}: must be {self.allowed}")
        return given


def _application_has_name() -> bool:
    try:
        from pipecat_dd import _llmobs

        return _llmobs.has_name() or _llmobs.is_on()
    except Exception:
        return True  # unknown, so not refused
