"""How this package gets out to the network: one way for whatever sends, and for what checks it.

Had each its own, ``pipecat-dd doctor`` could reach what a bot cannot, or the other way.

Which proxy leads to a URL is decided by `proxy_for`, from the environment:

* ``DD_PROXY_HTTPS``, ``DD_PROXY_HTTP`` and ``DD_PROXY_NO_PROXY`` (separated by spaces) win, each
  over its counterpart below. One that is set and empty means no proxy, or no host that bypasses
  it. The rule is the Agent's: https://docs.datadoghq.com/agent/configuration/proxy/.
* Else ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` (separated by commas) hold, by the rules of
  Python's ``urllib.request``: the name in small letters wins; ``HTTP_PROXY`` in capitals is left
  aside in a CGI script, whose client could set it.
* What bypasses the proxy goes by ``urllib.request`` too: a name stands for itself and what is below
  it, with a port for that port, and ``*`` alone for every host. The Agent does so with
  ``no_proxy_nonexact_match``, which Datadog recommends; its ranges of addresses are not read here.
* A proxy without a scheme is spoken to over HTTP, on port 80 where none is named: as by ddtrace.
* This machine itself (``localhost``, ``127.0.0.1``, ``::1``) is reached without a proxy, as by the
  Agent (Go's ``ProxyFromEnvironment``): a tunnel's end that is given keys in the clear stays here.

What macOS or Windows has set up for browsers is not asked: a forked process does not survive that.
The Agent is nearby, and is reached without a proxy, as ddtrace reaches it.
"""

import http.client
import ipaddress
import os
import ssl
import urllib.request
from base64 import b64encode
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

VARIABLES = ("DD_PROXY_HTTPS", "DD_PROXY_HTTP", "DD_PROXY_NO_PROXY")
"""Datadog's own variables for proxies."""


class ProxyError(ValueError):
    """A variable that names a proxy holds no URL of one."""


def proxy_for(url: SplitResult) -> SplitResult | None:
    """Return the proxy that leads to a URL, or None where none does.

    Args:
        url: Where to: ``http://`` or ``https://``.

    Raises:
        ProxyError: The variable that names the proxy holds no URL of one. Its value, which may hold
            a password, is not in the message.
    """
    proxies = urllib.request.getproxies_environment()
    for scheme in ("https", "http"):
        if (datadogs := os.environ.get(f"DD_PROXY_{scheme.upper()}")) is not None:
            proxies[scheme] = datadogs.strip()
    if (bypassing := os.environ.get("DD_PROXY_NO_PROXY")) is not None:
        proxies["no"] = ",".join(bypassing.replace(",", " ").split())
    named = proxies.get(url.scheme)
    if not named or _is_loopback(url.hostname or "") or _bypasses(url, proxies):
        return None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        is_valid = bool(proxy.hostname) and (proxy.port is None or proxy.port > 0)
    except ValueError:
        is_valid = False
    # "/" and "#" in a password that are not written as %2F and %23 end the URL's host too early.
    if not is_valid or (not proxy.username and "@" in named):
        scheme = url.scheme.upper()
        raise ProxyError(
            f"{_variable_of(scheme)} is not the URL of a proxy; write special characters of its "
            "user and password as %xx"
        )
    return proxy


def _variable_of(scheme: str) -> str:
    """Return the variable that names the proxy for a scheme."""
    names = (f"DD_PROXY_{scheme}", f"{scheme}_proxy".lower(), f"{scheme}_PROXY")
    return next((name for name in names if os.environ.get(name)), names[-1])


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bypasses(url: SplitResult, proxies: dict[str, str]) -> bool:
    # Also with its port, by which NO_PROXY may name it.
    hosts = {url.hostname or "", url.netloc.rpartition("@")[2]}
    bypasses: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    return any(bypasses(host, proxies) for host in hosts)


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """Return the headers by which a proxy knows its user.

    Args:
        proxy: The proxy's URL, with user and password where it wants them.
    """
    if proxy.username is None:
        return {}
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(user.encode()).decode()}"}


def connection_to(
    url: SplitResult,
    timeout_secs: float,
    *,
    through_proxy: bool = True,
    tls: ssl.SSLContext | None = None,
    plain: type[http.client.HTTPConnection] = http.client.HTTPConnection,
    secure: type[http.client.HTTPSConnection] = http.client.HTTPSConnection,
) -> http.client.HTTPConnection:
    """Return a connection to a URL's server, not open yet, through the proxy that leads there.

    Args:
        url: Where to: ``http://`` or ``https://``.
        timeout_secs: How long each step may take, in seconds.
        through_proxy: False for what is nearby: an Agent.
        tls: What certificates are checked with; by default `tls_context`.
        plain: What connections over HTTP are made of.
        secure: What connections over HTTPS are made of.
    """
    proxy = proxy_for(url) if through_proxy else None
    host, port = _host_and_port(proxy or url)
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        connection = secure(host, port, timeout=timeout_secs, context=tls or tls_context())
    else:
        connection = plain(host, port, timeout=timeout_secs)
    if proxy is not None:
        connection.set_tunnel(*_host_and_port(url), headers=proxy_headers(proxy))
    return connection


def _host_and_port(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def tls_context() -> ssl.SSLContext:
    """Return what certificates are checked with, also where Python knows none."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        # A Python that knows no certificates (python.org's for macOS).
        try:
            import certifi

            context.load_verify_locations(certifi.where())
        except (ImportError, OSError):
            pass
    return context
