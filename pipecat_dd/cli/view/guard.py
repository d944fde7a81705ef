"""Who may ask: this machine's browser with the page's token, and bots.

Any web page that the user visits can have their browser send requests to this machine. So each
request's ``Host`` must be this machine's own (else a foreign name was made to point here), and a
page's ``Origin`` must be ours. What shows a conversation also needs the token, which only the
printed URL has. ddtrace cannot send one, so what takes a bot's data in takes none from a browser.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

TOKEN_PARAMETER: Final = "token"
KEY_HEADER: Final = "DD-API-KEY"
_BEARER: Final = "Bearer "
_FROM_BROWSERS: Final = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")


def new_token() -> str:
    """Return a new secret."""
    return secrets.token_urlsafe(24)


class Guard:
    """Decides about requests.

    Args:
        host: The address that the server listens on.
        token: The secret in the page's URL.
        names: Further names by which this machine is reached.

    Attributes:
        token: The same.
        key: The secret with which a bot that we have started brings its lines.
    """

    def __init__(self, host: str, token: str, names: Iterable[str] = ()) -> None:
        self.token = token
        self.key = new_token()
        self._names = {"localhost", host.lower(), *(name.lower() for name in names)}
        self._is_local = _is_loopback(host)

    def is_for_us(self, headers: Mapping[str, str]) -> bool:
        """Whether a request names this machine as its host."""
        name = _host_of(headers.get("Host", ""))
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False  # a name may be anybody's
        return address.is_loopback or not self._is_local

    def has_key(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the key with which a bot brings its lines."""
        return _is_same(headers.get(KEY_HEADER, ""), self.key)

    def may_bring(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may bring spans or lines: one that no browser makes."""
        return self.is_for_us(headers) and not any(name in headers for name in _FROM_BROWSERS)

    def may_see(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request may see conversations.

        There is no cookie: a browser would send it to every other server of this machine.
        """
        if not (self.is_for_us(headers) and self._is_of_our_page(headers)):
            return False
        given = headers.get("Authorization", "")
        candidates = (
            query.get(TOKEN_PARAMETER, ""),
            given.removeprefix(_BEARER) if given.startswith(_BEARER) else "",
        )
        return any(_is_same(one, self.token) for one in candidates if one)

    def _is_of_our_page(self, headers: Mapping[str, str]) -> bool:
        site = headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin"):
            # A link to the page from elsewhere needs the token like any other.
            is_link = headers.get("Sec-Fetch-Mode") == "navigate"
            if not (is_link and headers.get("Sec-Fetch-Dest") == "document"):
                return False
        origin = headers.get("Origin")
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme == "http" and parts.netloc.lower() == headers.get("Host", "").lower()


def _is_same(given: str, secret: str) -> bool:
    # A header may have bytes that are no text.
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def _host_of(header: str) -> str | None:
    """Return the name or address in a ``Host`` header; None if it has none or is malformed."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname or None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
