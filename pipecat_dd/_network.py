"""How this package gets out to the network: one way for whatever sends, and for what checks it.

Had each its own, ``pipecat-dd doctor`` could reach what a bot cannot, or the other way.
"""

import ssl
import urllib.request
from base64 import b64encode
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit


def proxy_for(url: SplitResult) -> SplitResult | None:
    """Return the proxy that ``HTTPS_PROXY`` (``HTTP_PROXY``) and ``NO_PROXY`` name for a URL.

    Args:
        url: Where to.
    """
    # Not what macOS or Windows has set up for browsers: that is asked in ways that a forked
    # process does not survive.
    proxies = urllib.request.getproxies_environment()
    bypassed: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if url.scheme not in proxies or bypassed(url.hostname or "", proxies):
        return None
    named = proxies[url.scheme]
    return urlsplit(named if "://" in named else f"http://{named}")


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """Return the headers by which a proxy knows its user.

    Args:
        proxy: The proxy's URL, with user and password where it wants them.
    """
    if proxy.username is None:
        return {}
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(user.encode()).decode()}"}


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
