"""Every setting stands once, in a table; whoever takes one, and the documents, agree with it."""

import inspect
import os
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from pipecat_dd import DatadogObserver, Shipping, configure_logging
from pipecat_dd.settings import table
from pipecat_dd.settings.setting import Setting, Taker
from tests.support import settings_page
from tests.support.intake import KEY

TAKERS = {
    Taker.OBSERVER: DatadogObserver,
    Taker.LOGGING: lambda **given: configure_logging(lambda message: None, **given),
    Taker.SHIPPING: lambda **given: Shipping(**{"api_key": KEY} | given),
}
ARGUMENTS = [setting for setting in table.SETTINGS if setting.taker in TAKERS]


def test_the_table_is_imported_without_pipecat_ddtrace_and_loguru() -> None:
    program = (
        "import sys, pipecat_dd.settings.environment\n"
        "print([name for name in ('pipecat', 'ddtrace', 'loguru') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.strip() == "[]"


def test_the_observer_takes_the_arguments_of_the_table() -> None:
    taken = list(inspect.signature(DatadogObserver).parameters)
    assert taken == [setting.argument for setting in table.taken_by(Taker.OBSERVER)]


def test_shipping_takes_the_arguments_of_the_table() -> None:
    taken = [field.name for field in fields(Shipping)]
    assert taken == [setting.argument for setting in table.taken_by(Taker.SHIPPING)]


def test_configure_logging_takes_the_arguments_of_the_table_with_its_defaults() -> None:
    taken = inspect.signature(configure_logging).parameters
    for setting in table.taken_by(Taker.LOGGING):
        default = taken[setting.argument].default
        assert default in (setting.default, None), setting.argument


def test_no_setting_and_no_variable_stands_twice() -> None:
    assert len({(one.taker, one.argument) for one in table.SETTINGS}) == len(table.SETTINGS)
    variables = [one.variable for one in table.SETTINGS if one.variable is not None]
    assert len(variables) == len(set(variables)) == len(table.VARIABLES)


@pytest.mark.parametrize("setting", ARGUMENTS, ids=lambda one: f"{one.taker} {one.argument}")
def test_a_wrong_argument_is_refused_by_its_name_and_what_is_allowed(setting: Setting[Any]) -> None:
    wrong = object()
    take: Any = TAKERS[setting.taker]
    with pytest.raises((TypeError, ValueError)) as refused:
        take(**{setting.argument: wrong})
    message = str(refused.value)
    assert message.startswith((f"{setting.argument}=", f"{setting.argument}: "))
    assert "must " in message
    is_secret = setting in (table.PHONE_HASH_KEY, table.API_KEY)
    assert is_secret or repr(wrong) in message


@pytest.mark.parametrize("setting", ARGUMENTS, ids=lambda one: f"{one.taker} {one.argument}")
def test_each_argument_and_its_variable_are_in_the_docstring(setting: Setting[Any]) -> None:
    taker: Any = {
        Taker.OBSERVER: DatadogObserver.__init__,
        Taker.LOGGING: configure_logging,
        Taker.SHIPPING: Shipping,
    }[setting.taker]
    assert f" {setting.argument}: " in taker.__doc__
    if setting.variable is not None:
        assert f"``{setting.variable}``" in taker.__doc__


def test_the_page_of_settings_is_the_table() -> None:
    written = settings_page.PAGE.read_text("utf8")
    assert written == settings_page.page(), "write it: python -m tests.write_docs"
