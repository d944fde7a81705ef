"""An organisation of Datadog's on this machine, and the command run against it."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from pipecat_dd.cli.main import main
from pipecat_dd.cli.setup import _datadog_api
from tests.support import datadog_api
from tests.support.datadog_organisation import API_KEY, APP_KEY, DatadogApi

Setup = Callable[..., Result]


@pytest.fixture(scope="session")
def server() -> Iterator[DatadogApi]:
    with datadog_api.running() as api:
        yield api


@pytest.fixture
def organisation(server: DatadogApi) -> DatadogApi:
    """An organisation in which nothing is."""
    server.clear()
    return server


@pytest.fixture
def setup(organisation: DatadogApi, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Run ``pipecat-dd setup`` as a user does; nothing it says may hold a key."""
    monkeypatch.setattr(_datadog_api, "RETRY_PAUSE_SECS", 0.01)
    for name in ("DD_SITE", "DD_SERVICE", "DD_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DD_API_KEY", API_KEY)
    monkeypatch.setenv("DD_APP_KEY", APP_KEY)
    monkeypatch.setenv("PIPECAT_DD_API_URL", organisation.url)

    def run(*options: str, exit_code: int = 0, **kwargs: str) -> Result:
        done = CliRunner().invoke(main, ["setup", *options], **kwargs)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        assert done.exit_code == exit_code, done.output
        assert API_KEY not in done.output
        assert APP_KEY not in done.output
        assert organisation.wrong == []
        return done

    return run
