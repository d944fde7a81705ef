"""The only module that uses ``datadog-api-client``.

Bodies and answers are plain JSON, not the client's models. The models take seconds to validate a
dashboard, reject bodies that are newer than the client, and drop unknown fields, which a comparison
must see. (Tests check that every body fits the models.) Only the client gets the keys: no message
or exception of this module contains one.
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

from pipecat_dd._network import ProxyError, proxy_for, proxy_headers
from pipecat_dd.cli.setup.errors import (
    ForbiddenError,
    KeysRejectedError,
    NotFoundError,
    RejectedError,
    UnreachableError,
)

PRIVATE: tuple[str, ...] = ()
"""This module uses no private names of the client."""

MAX_WAIT_SECS = 120
"""The longest total wait for the rate limit."""

RETRY_PAUSE_SECS = 1.0
"""The wait before the first retry; it doubles with each retry."""

_ATTEMPTS = 3
_REQUEST_TIMEOUT_SECS = 30
_DEFAULT_RESET_SECS = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHOWN_CHARS = 300
_KEY = re.compile(r"[\w.-]+", re.ASCII)


class Api:
    """Datadog's API, for one organisation.

    Args:
        site: The Datadog site, as in ``DD_SITE``.
        api_key: An API key of the organisation.
        app_key: An application key of the organisation.
        on_wait: Called with a message before each wait.
        url: The address of the API; empty for that of the site.

    Raises:
        KeysRejectedError: A key is malformed, or the keys would be sent unencrypted.
    """

    def __init__(
        self, site: str, api_key: str, app_key: str, on_wait: Callable[[str], None], url: str = ""
    ) -> None:
        for name, key in (("DD_API_KEY", api_key), ("DD_APP_KEY", app_key)):
            # The error about an invalid header would contain the key.
            if not _KEY.fullmatch(key):
                raise KeysRejectedError(f"{name} contains characters that are not allowed in keys")
        address = urlsplit(url)
        if url and address.scheme != "https" and address.hostname not in _LOOPBACK:
            raise KeysRejectedError(
                f"the API's address is {url!r}, but keys are sent only over https"
            )
        self.site = site
        self._on_wait = on_wait
        self._secrets = (api_key, app_key)
        self._waited_secs = 0.0
        base_url = url or f"https://api.{site}"
        configuration = Configuration(  # type: ignore[no-untyped-call]
            host=base_url,
            api_key={"apiKeyAuth": api_key, "appKeyAuth": app_key},
            request_timeout=_REQUEST_TIMEOUT_SECS,
            check_input_type=False,
            preload_content=False,
            # This class decides what to retry, and reports it.
            retry_policy=urllib3.Retry(0, redirect=0),
        )
        # The client does not read the environment's proxy.
        try:
            proxy = proxy_for(urlsplit(base_url))
        except ProxyError as error:
            raise UnreachableError(f"Datadog cannot be reached: {error}") from None
        if proxy is not None:
            # Keep user and password out of the URL: the client's errors show it.
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
        """Check that Datadog accepts the API key.

        Raises:
            KeysRejectedError: Datadog rejects the key.
            UnreachableError: Datadog cannot be reached now.
        """
        try:
            self.read(self.authentication.validate)
        except (ForbiddenError, KeysRejectedError) as error:
            raise KeysRejectedError(
                f"Datadog at {self.site} rejects DD_API_KEY. Is it an API key (not an application "
                "key) of an organisation on that site? DD_SITE sets the site."
            ) from error

    def read(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call an operation that reads. If Datadog fails, retry.

        Args:
            operation: A method of one of the client's APIs.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.
        """
        return self._call(operation, args, kwargs, attempts=_ATTEMPTS)

    def change(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call an operation that changes or deletes. If Datadog fails, retry: it is idempotent.

        Args:
            operation: A method of one of the client's APIs.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.
        """
        return self._call(operation, args, kwargs, attempts=_ATTEMPTS)

    def create(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call an operation that creates. Never retry: Datadog may have failed after creating it.

        Args:
            operation: A method of one of the client's APIs.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.
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
                    self._wait_for_rate_limit(error)
                    attempts += 1
                    continue
                if not (isinstance(error.status, int) and error.status >= 500 and attempts):
                    raise self._error_for(error) from None
                reason = f"Datadog answered {error.status}"
            except urllib3.exceptions.HTTPError as error:
                if not attempts:
                    raise UnreachableError(
                        f"Datadog at {self.site} cannot be reached: {self._clean(str(error))}"
                    ) from None
                reason = "Datadog did not answer"
            except OpenApiException as error:
                # The client rejected the request before sending it.
                raise RejectedError(self._clean(str(error))) from None
            self._on_wait(f"{reason}; retrying in {pause_secs:g} s")
            time.sleep(pause_secs)
            pause_secs *= 2

    def _wait_for_rate_limit(self, error: ApiException) -> None:
        reset_secs = _reset_secs(error.headers)
        if self._waited_secs + reset_secs > MAX_WAIT_SECS:
            raise UnreachableError(
                f"Datadog's rate limit is reached and resets in {reset_secs:g} s. This command "
                f"waits at most {MAX_WAIT_SECS} s in total. Run it again after that time: it keeps "
                "what it has created so far."
            ) from None
        self._on_wait(f"Datadog's rate limit is reached; continuing in {reset_secs:g} s")
        time.sleep(reset_secs)
        self._waited_secs += reset_secs

    def _error_for(self, error: ApiException) -> Exception:
        words = self._clean(_error_text(error.body))
        if error.status == 401:
            return KeysRejectedError(
                f"Datadog at {self.site} rejects the keys (401). Is DD_APP_KEY an application key "
                "of the same organisation as DD_API_KEY, and does it still exist?"
            )
        if error.status == 403:
            return ForbiddenError(f"not allowed (403): {words}")
        if error.status == 404:
            return NotFoundError(f"not found (404): {words}")
        return RejectedError(f"Datadog answered {error.status}: {words}")

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
        raise RejectedError(
            "the answer is not JSON, so it is not from Datadog. Is there a proxy in between?"
        ) from None


def _error_text(body: Any) -> str:
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
    # Servers differ in the case of header names.
    by_name = {str(name).lower(): value for name, value in (headers or {}).items()}
    for name in ("x-ratelimit-reset", "retry-after"):
        try:
            return max(0.1, float(by_name[name]))
        except (KeyError, ValueError):
            continue
    return _DEFAULT_RESET_SECS
