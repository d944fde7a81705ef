"""Setting Loguru up for Datadog, and putting it back."""

import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging import Handler as LoggingHandler
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from loguru import logger

from pipecat_dd._forks import in_forked_processes
from pipecat_dd.telling.logs import dev_runner
from pipecat_dd.telling.logs.arguments import (
    check_flag,
    check_max_message_chars,
    file_options,
    is_not_utf8,
    levels_by_name,
    redactor_of,
)
from pipecat_dd.telling.logs.console import LAST, TEMPLATE, ConsoleMaker
from pipecat_dd.telling.logs.levels import level_number
from pipecat_dd.telling.logs.line import LineMaker
from pipecat_dd.telling.logs.sampling import Sampler
from pipecat_dd.telling.logs.slip import format_function, json_format
from pipecat_dd.telling.logs.stdlib import Interception
from pipecat_dd.telling.logs.thresholds import Thresholds
from pipecat_dd.telling.logs.uncaught import Hooks
from pipecat_dd.telling.redaction import Redactor, put_in_force
from pipecat_dd.telling.shipping import Shipping, running
from pipecat_dd.telling.shipping.settings import settings_of

if TYPE_CHECKING:
    from loguru import Message, Record


class Stream(Protocol):
    """Something with a ``write``, such as an open file."""

    def write(self, text: str, /) -> object:
        """Write a line."""


Sink: TypeAlias = (
    Stream
    | str
    | PathLike[str]
    | LoggingHandler
    | Callable[["Message"], None]
    | Callable[["Message"], Awaitable[None]]
)
"""What Loguru can write to: a stream, a file's path, a function, a ``logging.Handler``."""

_default_handler = 0
"""Loguru's id of its default handler: another one, once that has been put back."""


@dataclass
class _Configured:
    """What `configure_logging` has set up.

    Attributes:
        sink: Where the lines go.
        options: What the handler was added with.
        handler_id: Loguru's id of it.
        watcher_id: Loguru's id of the handler that watches for the development runner.
        interception: The changes to the standard library's loggers, if there are any.
        hooks: What writes a line of an exception that nobody catches.
        had_default: Whether Loguru's default handler was there, and was removed.
    """

    sink: Any
    options: dict[str, Any]
    handler_id: int
    watcher_id: int
    interception: Interception | None
    hooks: Hooks
    had_default: bool


_lock = threading.RLock()
_current: _Configured | None = None


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


def configure_logging(
    sink: Sink | None = None,
    *,
    level: str | int = "INFO",
    levels: Mapping[str, str | int] | None = None,
    format: Literal["json", "console"] = "json",  # noqa: A002 (the name that Loguru uses)
    sample: Mapping[str | int, float] | None = None,
    sample_by: Literal["session", "record"] = "session",
    redact: bool | Redactor = True,
    capture_content: bool | None = None,
    intercept_stdlib: bool = True,
    max_message_chars: int | None = None,
    rotation: Any = None,
    retention: Any = None,
    compression: Any = None,
    enqueue: bool = False,
    ship: bool | Shipping | None = None,
) -> int:
    """Set Loguru up to write lines that Datadog reads and that know their session and span.

    Call it once, where your bot's module begins. Calling it again replaces what the earlier
    call set up. Loguru's own default handler is removed; handlers you added stay.
    `unconfigure_logging` puts everything back. It stays in force through Pipecat's
    development runner, which removes all handlers when it starts. What is written with
    ``logger.opt(raw=True)`` goes out as it is: Loguru asks no format function for it.

    Args:
        sink: Where lines go: a stream, the path of a file, a function of the line, a
            ``logging.Handler``, or a coroutine function. Standard output by default.
        level: The least severity that is written: a name, or a number on Loguru's scale.
        levels: The least severity by the name a line comes from (a module's, or that of a
            standard logger), for that name and those below it: ``{"httpx": "WARNING"}``. The
            longest name that fits decides. Libraries that print every packet or whole
            requests at DEBUG (see ``QUIET`` in ``stdlib.py``) are held at INFO unless named.
        format: ``"json"`` for Datadog, ``"console"`` for people.
        sample: The share of lines to keep, 0 to 1, by level: ``{"DEBUG": 0.1}``. Levels not
            named are kept whole.
        sample_by: ``"session"`` keeps all of a session's lines or none, by the hash by which
            its trace is sampled; ``"record"`` decides for each line.
        redact: True for the rules of `Redactor`, a `Redactor` for your own beside them, which
            then hold for errors and captured content on spans too; False to write everything
            as it is (spans are still redacted by the built-in rules).
        capture_content: Whether Pipecat's own lines keep transcripts, prompts and tool
            arguments. By default as the session's observer was told.
        intercept_stdlib: Whether lines of the standard library's ``logging``, and
            ``warnings``, are written too.
        max_message_chars: Characters kept of a message, 1 or more; by default as many as a
            line may have (25 kB altogether).
        rotation: When a file is begun anew, as in ``logger.add``: ``"100 MB"``. Files only.
        retention: How long old files are kept, as in ``logger.add``. Files only.
        compression: How old files are packed, as in ``logger.add``. Files only.
        enqueue: Write from a thread of Loguru's, as in ``logger.add``: a slow sink then does
            not hold up the bot, but bound values must be picklable.
        ship: True to send each line to Datadog's log intake as well, from a thread, for where
            there is no Agent; a `Shipping` to say how. It needs ``DD_API_KEY``. The lines are
            those of ``format="json"``, whatever the sink gets. By default as
            ``PIPECAT_DD_SHIP`` says, else False.

    Returns:
        Loguru's id of the handler.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument has a value that is not allowed, or lines are to be shipped and
            there is no API key.

    Example::

        configure_logging(level="DEBUG", sample={"DEBUG": 0.1}, levels={"httpx": "WARNING"})
    """
    if sink is None:
        sink = sys.stdout
    least = level_number(level, "level")
    by_name = levels_by_name(levels)
    if format not in ("json", "console"):
        raise ValueError(f'format={format!r}: must be "json" or "console"')
    sampler = Sampler({} if sample is None else sample, sample_by)
    redactor = redactor_of(redact)
    if capture_content is not None:
        check_flag(capture_content, "capture_content", "True, False or None")
    check_flag(intercept_stdlib, "intercept_stdlib", "True or False")
    check_flag(enqueue, "enqueue", "True or False")
    check_max_message_chars(max_message_chars)
    lines = LineMaker(
        redactor,
        capture_content=capture_content,
        max_message_chars=max_message_chars,
        sample_rate_of=sampler.rate_of if sample else None,
        ascii_only=is_not_utf8(sink),
    )
    settings = settings_of(ship)
    shipper = None if settings is None else running.shipper_for(settings)
    made = lines if shipper is None else running.tapped(lines, shipper)
    thresholds = Thresholds(least, by_name)
    # A logging.Handler ends its lines itself.
    end = "" if isinstance(sink, LoggingHandler) else "\n"
    options: dict[str, Any] = {
        "level": thresholds.least,
        "filter": _filter(thresholds, sampler if sample else None),
        "format": json_format(made, end)
        if format == "json"
        else _console_format(ConsoleMaker(redactor, lines), end, made if shipper else None),
        "enqueue": enqueue,
        # Neither is used: both would cost milliseconds for each exception.
        "backtrace": False,
        "diagnose": False,
    }
    if format == "json":
        options["colorize"] = False
    options |= file_options(sink, rotation, retention, compression)
    handler_id = _install(sink, options, least, by_name, intercept_stdlib)
    put_in_force(redactor)
    running.use(shipper)
    return handler_id


def unconfigure_logging() -> None:
    """Undo `configure_logging`: Loguru and the standard library's loggers are as before.

    Handlers and levels that others changed since are left as they are now. Lines that are to be
    shipped are sent first, for which it waits for two seconds at most. Does nothing when
    nothing is configured.
    """
    global _current, _default_handler
    if _current is not None:
        # While there is still a sink on which to say what could not be sent.
        running.finish()
    with _lock:
        if _current is None:
            return
        _take_down(_current)
        if _current.had_default:
            _default_handler = logger.add(sys.stderr)
        _current = None
        put_in_force(None)
    running.use(None, finished=True)


def refresh_logging() -> None:
    """Route loggers that came after `configure_logging`, such as uvicorn's, like all others.

    Called at the start of each session. Does nothing when nothing is configured.
    """
    with _lock:
        if _current is not None and _current.interception is not None:
            _current.interception.sweep()


@contextmanager
def intercepting(level: int) -> Iterator[None]:
    """Bring lines of the standard library's ``logging`` into Loguru for a block.

    What is done in the block may configure and unconfigure logging: both then hold.

    Args:
        level: The least severity that loggers let through.
    """
    with _lock:
        interception = Interception(level, {}, None)
    try:
        yield
    finally:
        with _lock:
            interception.undo()
            refresh_logging()


def _install(
    sink: Any, options: dict[str, Any], least: int, by_name: dict[str, int], intercept: bool
) -> int:
    global _current
    with _lock:
        # The new handler first: should Loguru refuse it, all stays as it is.
        handler_id = logger.add(sink, **options)
        had_default = _removed(_default_handler)
        if _current is not None:
            _take_down(_current)
            had_default = had_default or _current.had_default
        _current = _Configured(
            sink=sink,
            options=options,
            handler_id=handler_id,
            watcher_id=dev_runner.watch(_restore),
            interception=Interception(least, by_name, sink) if intercept else None,
            hooks=Hooks(sink),
            had_default=had_default,
        )
        return handler_id


def _restore() -> bool:
    """Add our handler again, after the development runner has removed all.

    Returns:
        Whether there was one to add.
    """
    with _lock:
        if _current is None:
            return False
        # It is there where the runner's import of the bot has configured logging once more.
        _removed(_current.handler_id)
        _removed(_current.watcher_id)
        _current.handler_id = logger.add(_current.sink, **_current.options)
        _current.watcher_id = dev_runner.watch(_restore)
        return True


def _take_down(configured: _Configured) -> None:
    _removed(configured.handler_id)
    _removed(configured.watcher_id)
    configured.hooks.undo()
    if configured.interception is not None:
        configured.interception.undo()


def _removed(handler_id: int) -> bool:
    try:
        logger.remove(handler_id)
    except ValueError:  # the user has removed it
        return False
    return True


def _console_format(
    console: ConsoleMaker, end: str, ship: Callable[["Record"], str] | None
) -> Callable[["Record"], str]:
    def make(record: "Record") -> Mapping[str, str]:
        if ship is not None:
            ship(record)
        return console(record)

    return format_function(make, TEMPLATE + end, LAST)


def _filter(thresholds: Thresholds, sampler: Sampler | None) -> Callable[["Record"], bool]:
    if sampler is None:
        return thresholds.lets_through
    keeps, lets_through = sampler.keeps, thresholds.lets_through
    return lambda record: lets_through(record) and keeps(record)
