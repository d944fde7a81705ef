"""Connects to the network, for everything that sends data and for the commands that check it.

They share these rules, or ``pipecat-dd doctor`` could reach a server that a bot cannot, or the
reverse.

`proxy_for` chooses the proxy for a URL from the environment:

* ``DD_PROXY_HTTPS``, ``DD_PROXY_HTTP`` and ``DD_PROXY_NO_PROXY`` (separated by spaces) each take
  precedence over their counterparts below. An empty value means no proxy, or no host that bypasses
  it. These are the Agent's rules: https://docs.datadoghq.com/agent/configuration/proxy/.
* Otherwise ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` (separated by commas) apply, by the
  rules of Python's ``urllib.request``: the name in lower case takes precedence; ``HTTP_PROXY`` in
  upper case is ignored in a CGI script, since the script's client could set it.
* Which hosts bypass the proxy also follows ``urllib.request``: a name stands for itself and its
  subdomains, a name with a port for that port only, and ``*`` alone for every host. The Agent does
  the same with ``no_proxy_nonexact_match``, which Datadog recommends. Its address ranges are not
  supported here.
* A proxy without a scheme is an HTTP proxy, on port 80 unless it names another, as in ddtrace.
* This machine itself (``localhost``, ``127.0.0.1``, ``::1``) is reached without a proxy, as by the
  Agent (Go's ``ProxyFromEnvironment``): keys that are sent unencrypted to a local tunnel stay here.

Proxies configured in macOS or Windows are not used, because looking them up can crash a forked
process. The Agent is nearby and is reached without a proxy, as by ddtrace.
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
    """Return the proxy to use for a URL; None means a direct connection.

    Args:
        url: An ``http://`` or ``https://`` URL.

    Raises:
        ProxyError: The variable that names the proxy does not hold a proxy's URL. The message does
            not show the value, which may hold a password.
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
    names = (f"DD_PROXY_{scheme}", "_".join((scheme, "proxy")).lower(), f"{scheme}_PROXY")
    return next((name for name in names if os.environ.get(name)), names[-1])


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bypasses(url: SplitResult, proxies: dict[str, str]) -> bool:
    # Also with its port, since NO_PROXY may list it so.
    hosts = {url.hostname or "", url.netloc.rpartition("@")[2]}
    bypasses: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    return any(bypasses(host, proxies) for host in hosts)


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """Return the headers that authenticate us to a proxy.

    Args:
        proxy: The proxy's URL, with user and password if the proxy requires them.
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
    """Return a connection, not open yet, to a URL's server, through a proxy if one applies.

    Args:
        url: An ``http://`` or ``https://`` URL.
        timeout_secs: How long each step may take, in seconds.
        through_proxy: Whether to use a proxy; False for an Agent, which is nearby.
        tls: Checks certificates; None means `tls_context`.
        plain: The class of HTTP connections.
        secure: The class of HTTPS connections.
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
    """Return a context that checks certificates, even if this Python has no CA certificates."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        # A Python without CA certificates, such as python.org's for macOS.
        try:
            import certifi

            context.load_verify_locations(certifi.where())
        except (ImportError, OSError):
            pass
    return context
