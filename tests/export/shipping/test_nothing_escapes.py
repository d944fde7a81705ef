"""An error in any function of shipping's reaches neither the code that logs nor the sink."""

import importlib
import inspect
import pkgutil
import time
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import _guard
from pipecat_dd.export import shipping
from pipecat_dd.export.logs import unconfigure_logging
from pipecat_dd.export.shipping import shipper, worker
from tests.export.shipping.conftest import ShipTo, check_sum
from tests.support.intake import Intake, Reply, first

REFUSE = ("settings",)
"""What may refuse where logging is configured."""
AT_THE_EDGE = {"tapped", "use", "finish", "flush_shipping"}
"""Where configure_logging and the user come in. What they call is guarded in them."""


class InjectedError(Exception):
    """What a function of ours is made to raise."""


def functions() -> Iterator[tuple[str, Any, str]]:
    for found in pkgutil.iter_modules(shipping.__path__):
        if found.name in REFUSE:
            continue
        module = importlib.import_module(f"{shipping.__name__}.{found.name}")
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__ or name in AT_THE_EDGE:
                continue
            if inspect.isfunction(value):
                yield f"{found.name}:{name}", module, name
            elif inspect.isclass(value):
                for attribute, member in list(vars(value).items()):
                    if isinstance(member, (FunctionType, property)):
                        yield f"{found.name}:{name}.{attribute}", value, attribute


def raises(*args: Any, **kwargs: Any) -> Any:
    raise InjectedError


def test_whatever_of_it_is_broken_the_bot_logs_on(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(worker, "_AFTER_ERROR_SECS", 0.005)
    monkeypatch.setattr(shipper, "SETTLE_SECS", 0.01)
    monkeypatch.setattr(worker, "SETTLE_SECS", 0.01)
    monkeypatch.setattr(shipper.Shipper.close, "__defaults__", (0.05,))
    monkeypatch.setattr(shipper.Shipper.finish, "__defaults__", (0.05,))
    broken, names = [], []
    for name, owner, attribute in functions():
        names.append(name)
        _guard.shipping.failures, _guard.shipping.off = 0, False
        begun = len(intake.requests)
        intake.script = first(*[Reply()] * begun, Reply(503), Reply(413))
        sink = ship_to(intake, flush_interval_secs=0.001, spool_dir=tmp_path)
        static = inspect.getattr_static(owner, attribute)
        with monkeypatch.context() as patch:
            patch.setattr(
                owner, attribute, property(raises) if isinstance(static, property) else raises
            )
            try:
                for number in range(3):
                    logger.info(f"line {number}")
                    time.sleep(0.002)
            except Exception as error:
                broken.append(f"{name}: {error!r}")
            written = [line for line in sink.text.splitlines() if '"message":"line' in line]
            if len(written) != 3:
                broken.append(f"{name}: {len(written)} lines on the sink")
            try:
                unconfigure_logging()
            except Exception as error:
                broken.append(f"{name}: unconfigure_logging: {error!r}")
        unconfigure_logging()
    assert not broken, "\n".join(broken)
    assert len(names) > 60
    _guard.shipping.failures, _guard.shipping.off = 0, False
    _guard.shipping._kinds.clear()


def test_what_keeps_failing_is_turned_off_and_lines_are_counted_as_dropped(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_guard.shipping, "off", False)
    monkeypatch.setattr(_guard.shipping, "failures", 0)
    monkeypatch.setattr(worker, "_AFTER_ERROR_SECS", 0.0)
    monkeypatch.setattr(worker.Worker, "_post", raises)
    sink = ship_to(intake, flush_interval_secs=0.001)
    deadline = time.monotonic() + 10
    while not _guard.shipping.off:
        assert time.monotonic() < deadline
        logger.info("line")
        time.sleep(0.001)
    logger.info("line")
    unconfigure_logging()
    counted = check_sum()
    assert counted.dropped_in_all == counted.written
    assert "turned off" in sink.text
    assert not intake.requests
    _guard.shipping._kinds.clear()
