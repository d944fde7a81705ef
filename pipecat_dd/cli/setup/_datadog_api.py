"""The one door to ``datadog-api-client``.

Bodies and answers are JSON as it goes over the wire, not the client's models: those take seconds
to check a dashboard, say of a body newer than they are that it is wrong, and drop what they do not
know, where a comparison must see all of it. (That every body fits the models is held by tests.)
Keys are given to the client alone: nothing that is printed or raised here can hold one.
"""

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import urllib3
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException, OpenApiException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.logs_pipelines_api import LogsPipelinesApi
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetadataApi
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v2.api.apm_retention_filters_api import APMRetentionFiltersApi
from datadog_api_client.v2.api.logs_metrics_api import LogsMetricsApi
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.api.spans_metrics_api import SpansMetricsApi

from pipecat_dd._network import proxy_for, proxy_headers
from pipecat_dd.cli.setup.errors import Forbidden, KeysRefused, NotThere, Rejected, Unreachable

PRIVATE: tuple[str, ...] = ()
"""Nothing private of the client is used."""

MAX_WAIT_SECS = 120
"""How long to wait for the rate limit in all, before giving up."""

RETRY_PAUSE_SECS = 1.0
"""How long to wait before the first repetition; each next one waits twice as long."""

_ATTEMPTS = 3
_REQUEST_TIMEOUT_SECS = 30
_DEFAULT_RESET_SECS = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHOWN_CHARS = 300
_KEY = re.compile(r"[\w.-]+", re.ASCII)


class Api:
    """Datadog's API, for one organisation.

    Args:
        site: Datadog's site.
        api_key: The organisation's API key.
        app_key: An application key.
        say: Called with a sentence when something takes time.
        url: Where the API is, where that is not the site's own address.

    Raises:
        KeysRefused: A key is none, or the keys would be sent unencrypted.
    """

    def __init__(
        self, site: str, api_key: str, app_key: str, say: Callable[[str], None], url: str = ""
    ) -> None:
        for name, key in (("DD_API_KEY", api_key), ("DD_APP_KEY", app_key)):
            # A header that cannot be sent is shown, key and all, in the error about it.
            if not _KEY.fullmatch(key):
                raise KeysRefused(f"{name} holds characters that no key has")
        address = urlsplit(url)
        if url and address.scheme != "https" and address.hostname not in _LOOPBACK:
            raise KeysRefused(f"the API's address is {url!r}; keys are only sent over https")
        self.site = site
        self._say = say
        self._secrets = (api_key, app_key)
        self._waited_secs = 0.0
        base_url = url or f"https://api.{site}"
        configuration = Configuration(  # type: ignore[no-untyped-call]
            host=base_url,
            api_key={"apiKeyAuth": api_key, "appKeyAuth": app_key},
            request_timeout=_REQUEST_TIMEOUT_SECS,
            check_input_type=False,
            preload_content=False,
            # What is tried again, and what that is called, is decided here.
            retry_policy=urllib3.Retry(0, redirect=0),
        )
        # The client asks the environment for no proxy.
        proxy = proxy_for(urlsplit(base_url))
        if proxy is not None:
            # User and password stay out of the URL, which the client's errors show.
            configuration.proxy = f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"
            configuration.proxy_headers = proxy_headers(proxy)
        client = ApiClient(configuration)
        self.authentication: Any = AuthenticationApi(client)  # type: ignore[no-untyped-call]
        self.dashboards: Any = DashboardsApi(client)  # type: ignore[no-untyped-call]
        self.monitors: Any = MonitorsApi(client)  # type: ignore[no-untyped-call]
        self.pipelines: Any = LogsPipelinesApi(client)  # type: ignore[no-untyped-call]
        self.line_metrics: Any = LogsMetricsApi(client)  # type: ignore[no-untyped-call]
        self.span_metrics: Any = SpansMetricsApi(client)  # type: ignore[no-untyped-call]
        self.metrics: Any = MetricsApi(client)  # type: ignore[no-untyped-call]
        self.metadata: Any = MetadataApi(client)  # type: ignore[no-untyped-call]
        self.retention_filters: Any = APMRetentionFiltersApi(client)  # type: ignore[no-untyped-call]

    def check_api_key(self) -> None:
        """Ask whether the API key is one.

        Raises:
            KeysRefused: It is not.
            Unreachable: Datadog cannot be asked now.
        """
        try:
            self.read(self.authentication.validate)
        except (Forbidden, KeysRefused) as refused:
            raise KeysRefused(
                f"Datadog at {self.site} does not take DD_API_KEY. Is it an API key (not an "
                "application key), and of an organisation at that site? DD_SITE says which site."
            ) from refused

    def read(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Ask for something; tried again where Datadog fails.

        Args:
            operation: A method of one of the client's APIs.
            *args: What it takes.
            **kwargs: What it takes.
        """
        return self._call(operation, args, kwargs, attempts=_ATTEMPTS)

    def change(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Change or delete something; tried again where Datadog fails, which does no harm.

        Args:
            operation: A method of one of the client's APIs.
            *args: What it takes.
            **kwargs: What it takes.
        """
        return self._call(operation, args, kwargs, attempts=_ATTEMPTS)

    def create(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make something. Not tried again: it may have been made before Datadog failed.

        Args:
            operation: A method of one of the client's APIs.
            *args: What it takes.
            **kwargs: What it takes.
        """
        return self._call(operation, args, kwargs, attempts=1)

    def _call(
        self,
        operation: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        attempts: int,
    ) -> Any:
        pause_secs = RETRY_PAUSE_SECS
        while True:
            attempts -= 1
            try:
                return _json(operation(*args, **kwargs))
            except ApiException as error:
                if error.status == 429:
                    self._wait_for_the_limit(error)
                    attempts += 1
                    continue
                if not (isinstance(error.status, int) and error.status >= 500 and attempts):
                    raise self._refusal(error) from None
                reason = f"Datadog answered {error.status}"
            except urllib3.exceptions.HTTPError as error:
                if not attempts:
                    raise Unreachable(
                        f"Datadog at {self.site} cannot be reached: {self._clean(str(error))}"
                    ) from None
                reason = "Datadog did not answer"
            except OpenApiException as error:
                # The client refused it before it was sent.
                raise Rejected(self._clean(str(error))) from None
            self._say(f"{reason}; trying again in {pause_secs:g} s")
            time.sleep(pause_secs)
            pause_secs *= 2

    def _wait_for_the_limit(self, error: ApiException) -> None:
        reset_secs = _reset_secs(error.headers)
        if self._waited_secs + reset_secs > MAX_WAIT_SECS:
            raise Unreachable(
                f"Datadog's rate limit is reached, and is lifted in {reset_secs:g} s: longer than "
                f"this waits ({MAX_WAIT_SECS} s in all). Run it again then; what was made is found "
                "and kept."
            ) from None
        self._say(f"Datadog's rate limit is reached; going on in {reset_secs:g} s")
        time.sleep(reset_secs)
        self._waited_secs += reset_secs

    def _refusal(self, error: ApiException) -> Exception:
        words = self._clean(_words(error.body))
        if error.status == 401:
            return KeysRefused(
                f"Datadog at {self.site} does not take the keys (401). Is DD_APP_KEY an "
                "application key of the same organisation as DD_API_KEY, and is it still there?"
            )
        if error.status == 403:
            return Forbidden(f"not allowed (403): {words}")
        if error.status == 404:
            return NotThere(f"not found (404): {words}")
        return Rejected(f"Datadog answered {error.status}: {words}")

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        text = " ".join(text.split())
        return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _json(response: Any) -> Any:
    text = response.data
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise Rejected(
            "the answer is no JSON, and so none of Datadog's; is a proxy in between?"
        ) from None


def _words(body: Any) -> str:
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list):
        return str(body) if body else "no reason given"
    return "; ".join(
        str(error.get("detail") or error.get("title") or error)
        if isinstance(error, dict)
        else str(error)
        for error in errors
    )


def _reset_secs(headers: Any) -> float:
    # Whoever answers names its headers in its own case.
    by_name = {str(name).lower(): value for name, value in (headers or {}).items()}
    for name in ("x-ratelimit-reset", "retry-after"):
        try:
            return max(0.1, float(by_name[name]))
        except (KeyError, ValueError):
            continue
    return _DEFAULT_RESET_SECS
