"""Observes conversations, and writes their lines, for bots whose code does not use pipecat_dd.

`_setup_file.py` calls these functions. If a bot creates a `DatadogObserver` or calls
`configure_logging` itself, its own settings apply, and nothing is recorded or written twice.

This runs only once the bot's first runner starts, so earlier lines are not written for Datadog.
The lines of later calls are, but they carry no ids until their runner starts.
"""

import os
import sys
import weakref
from collections.abc import Callable
from typing import IO, Any, Final

from loguru import logger

from pipecat_dd import _guard, _loguru, _pipecat
from pipecat_dd._setup_file import VIEW_KEY, VIEW_URL
from pipecat_dd.export.logs import configure_logging
from pipecat_dd.export.logs.beside import LinesBeside
from pipecat_dd.export.logs.configure import is_configured
from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.shipping import Shipping, lifecycle
from pipecat_dd.export.shipping.counting import Counters
from pipecat_dd.export.shipping.settings import Settings, settings_of
from pipecat_dd.export.shipping.shipper import Shipper
from pipecat_dd.observer import DatadogObserver, awaits_worker
from pipecat_dd.settings import environment, table
from pipecat_dd.settings.checks import shown
from pipecat_dd.settings.choices import Severity
from pipecat_dd.settings.notes import note, write_notes

_VIEW_INTERVAL_SECS: Final = 0.2
_VIEW_TIMEOUT_SECS: Final = 2.0

_observers: "weakref.WeakKeyDictionary[Any, DatadogObserver | None]" = weakref.WeakKeyDictionary()
"""The observer of each runner's conversation; None where the bot has made its own."""


def observe_runner(runner: Any) -> None:
    """Begin the session of a runner's conversation, in the context of the code that runs it.

    Args:
        runner: A runner whose workers have not started yet.
    """
    with _guard.lines.guarded():
        write_lines()
    with _guard.instrumentation.guarded():
        workers = [one for one in _pipecat.workers_of(runner) if _pipecat.is_worker(one)]
        if runner in _observers or not workers:
            return
        # An observer that the bot has made here it may add to a worker later.
        has_own = any(map(_is_observed, workers)) or awaits_worker()
        _observers[runner] = None if has_own else DatadogObserver()


def observe_worker(worker: Any) -> None:
    """Add an observer to a worker that has none.

    Args:
        worker: A worker whose observers are not set up yet.
    """
    with _guard.lines.guarded():
        write_lines()
    with _guard.instrumentation.guarded():
        if _is_observed(worker):
            return
        runner = _runner_of(worker)
        if runner is not None and runner in _observers:
            observer = _observers[runner]
        else:
            has_own = any(map(_is_observed, _pipecat.beside(worker))) or awaits_worker()
            observer = None if has_own else DatadogObserver()
            if runner is not None:
                _observers[runner] = observer
        if observer is not None:
            worker.add_observer(observer)


def _runner_of(worker: Any) -> Any:
    """Return a worker's runner; None if it is unknown, as before Pipecat 1.3."""
    found = _pipecat.runner_of(worker)
    if found is None:  # before 1.8, a worker does not know its runner
        runners = list(_observers)
        found = next((one for one in runners if worker in _pipecat.workers_of(one)), None)
    return found


def _is_observed(worker: Any) -> bool:
    return _pipecat.is_observed_by(worker, DatadogObserver)


# Lines

_lines: "dict[str, LinesBeside | None]" = {}
"""What writes lines: for the view, and beside the bot's sinks. None if there is nothing to do."""


def write_lines() -> None:
    """Write the bot's lines as the environment says. Each conversation's start calls this."""
    url = os.environ.get(VIEW_URL)
    if url:
        _begin(VIEW_URL, lambda: _lines_for_view(url))
    if is_configured():
        return
    to = table.LOG_TO.read(None)
    if not to and "" not in _lines and _loguru.has_only_default_handler():
        if url is None:
            configure_logging(level=table.LOG_LEVEL.read(None))
    elif to != "off":
        _begin("", lambda: _lines_beside(to, is_viewed=url is not None))


def _begin(key: str, make: Callable[[], LinesBeside | None]) -> None:
    if key not in _lines:
        _lines[key] = None  # once, even if it fails
        _lines[key] = make()
    found = _lines[key]
    if found is not None:
        found.begin()


def _lines_for_view(url: str) -> LinesBeside:
    settings = Settings.of(
        Shipping(
            api_key=os.environ.get(VIEW_KEY) or "view",
            url=url,
            flush_interval_secs=_VIEW_INTERVAL_SECS,
            timeout_secs=_VIEW_TIMEOUT_SECS,
        )
    )
    shipper = Shipper(settings, Counters())
    lifecycle.keep(shipper)
    return LinesBeside(shipper.put, level_number(str(Severity.DEBUG), "level"))


def _lines_beside(to: str, *, is_viewed: bool) -> LinesBeside | None:
    environment.report()
    level = level_number(str(table.LOG_LEVEL.read(None)), table.LOG_LEVEL.argument)
    puts: list[Callable[[str], None]] = []
    settings = settings_of(None)
    if settings is not None:
        shipper = lifecycle.shipper_for(settings)
        lifecycle.use(shipper)
        puts.append(shipper.put)
    if to:
        try:
            puts.append(_writer_to(to))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            name = str(table.LOG_TO.variable)
            problem = f"{name}={shown(to)}: must be {table.LOG_TO.check.allowed}: {reason}"
            note(name, ValueError(problem), "No lines go there")
            write_notes()
    if not puts:
        if not to and not is_viewed:
            logger.info(
                "pipecat_dd: the bot configures Loguru itself, so its lines keep their format and "
                f"carry no ids. {table.LOG_TO.variable}=stdout, or a file's path, also writes them "
                "for Datadog"
            )
        return None

    def put(line: str) -> None:
        for one in puts:
            one(line)

    return LinesBeside(put, level)


def _writer_to(to: str) -> Callable[[str], None]:
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    # A file is open until the process ends.
    stream: IO[str] = streams.get(to) or open(to, "a", encoding="utf-8")  # noqa: SIM115

    def write(line: str) -> None:
        # In one call: lines of other threads must not come between.
        stream.write(line + "\n")
        stream.flush()

    return write


IS_READY: Final = True
"""The last name defined here: if it exists, all others do."""
