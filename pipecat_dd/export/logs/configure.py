"""Sets up Loguru for Datadog, and undoes it."""

import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging import Handler as LoggingHandler
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from loguru import logger

from pipecat_dd import _guard, _loguru
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.logs import default_handler, dev_runner
from pipecat_dd.export.logs.arguments import (
    file_options,
    is_not_utf8,
    levels_by_name,
    named_error,
    redactor_of,
)
from pipecat_dd.export.logs.console import ConsoleMaker, console_format
from pipecat_dd.export.logs.containers import default_line_bytes
from pipecat_dd.export.logs.enqueuing import QueueContext
from pipecat_dd.export.logs.failing import (
    redact_reports_with,
    report_failures_of,
    report_once,
    restore_reports_of,
)
from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.logs.library_warnings import note_bot
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.sampling import Sampler
from pipecat_dd.export.logs.sink_work import excluding_own, track_sinks
from pipecat_dd.export.logs.stdlib import Interception
from pipecat_dd.export.logs.template import json_format
from pipecat_dd.export.logs.thresholds import Thresholds
from pipecat_dd.export.logs.uncaught import ExceptionHooks
from pipecat_dd.export.redaction import Redactor, put_in_force
from pipecat_dd.export.shipping import Shipping, lifecycle
from pipecat_dd.export.shipping.settings import note_spool, settings_of
from pipecat_dd.export.shipping.shipper import Shipper
from pipecat_dd.settings import environment, table

if TYPE_CHECKING:
    from loguru import Message, Record


class Stream(Protocol):
    """Something with a ``write``, such as an open file."""

    def write(self, text: str, /) -> object:
        """Write a text."""


Sink: TypeAlias = (
    Stream
    | str
    | PathLike[str]
    | LoggingHandler
    | Callable[["Message"], None]
    | Callable[["Message"], Awaitable[None]]
)
"""What Loguru can write to: a stream, a file's path, a function, a ``logging.Handler``."""


@dataclass
class _Configured:
    """What `configure_logging` has set up.

    Attributes:
        sink: Where the lines go.
        options: The arguments of ``logger.add``.
        handler_id: Loguru's id of our handler.
        watcher_id: Loguru's id of the handler that watches for the development runner.
        interception: The changes to the standard library's loggers; None if there are none.
        hooks: Write a line for each uncaught exception.
        is_removed: Whether the user's ``logger.remove()`` has removed our handler.
    """

    sink: Any
    options: dict[str, Any]
    handler_id: int
    watcher_id: int
    interception: Interception | None
    hooks: ExceptionHooks
    is_removed: bool = False


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
    max_line_bytes: int | None = None,
    rotation: Any = None,
    retention: Any = None,
    compression: Any = None,
    enqueue: bool = False,
    ship: bool | Shipping | None = None,
) -> int:
    """Set up Loguru to write lines that Datadog reads, with the ids of their session and span.

    Call it once, at the beginning of your bot's module. Another call replaces the earlier one.
    It removes Loguru's default handler; handlers that you have added stay. `unconfigure_logging`
    undoes all of it. Pipecat's development runner removes all handlers when it starts; this one is
    added again. Lines written with ``logger.opt(raw=True)`` are not changed, since Loguru calls no
    format function for them.

    Args:
        sink: Where lines go: a stream, the path of a file, a function of the line, a
            ``logging.Handler``, or a coroutine function. Standard output by default.
        level: The lowest severity that is written: the name of one of Loguru's levels, or a number
            on its scale, 0 or more.
        levels: The lowest severity for a module or a standard logger, and for those below it, by
            name: ``{"httpx": "WARNING"}``. The longest matching name decides. By default, ``level``
            holds for all, except that libraries which log every packet or whole requests at DEBUG
            (``websockets``, ``openai``, ``botocore`` and the like) log at INFO.
        format: ``"json"`` for Datadog, ``"console"`` for people.
        sample: The share of lines to keep, 0 to 1, by level: ``{"DEBUG": 0.1}``. All lines of
            other levels are kept.
        sample_by: ``"session"`` keeps all of a session's lines of a level or none, decided by the
            same hash as for its trace; ``"record"`` decides for each line.
        redact: True for the built-in rules of `Redactor`; a `Redactor` to add your own rules,
            which then also apply to errors and captured content on spans; False to redact
            nothing in lines (spans are still redacted by the built-in rules).
        capture_content: Whether Pipecat's own lines keep transcripts, prompts and tool
            arguments. By default, the setting of the session's observer decides.
        intercept_stdlib: Whether lines of the standard library's ``logging``, and
            ``warnings``, are written, too. A deprecation warning about a library's code is a line
            at DEBUG, one about the bot's own code is at WARNING; the package that calls this
            function is the bot's, even if it is installed.
        max_message_chars: The most characters of a message, 1 or more. By default, only the
            length of the whole line is limited.
        max_line_bytes: The most bytes of a line of ``format="json"``, its end included: 2048 to
            25000. By default ``PIPECAT_DD_MAX_LINE_BYTES``, else 25000, or 16384 in a container if
            the sink is standard output or error, since Docker and containerd split longer lines.
            A line that was cut is marked ``truncated``; ids are never cut.
        rotation: When to start a new file, as in ``logger.add``: ``"100 MB"``. Files only.
        retention: How long to keep old files, as in ``logger.add``. Files only.
        compression: How to compress old files, as in ``logger.add``. Files only.
        enqueue: Whether a thread of Loguru's writes the lines, as in ``logger.add``, so that a slow
            sink does not block the bot. If the sink is a function, its records lack bound values
            that cannot be pickled; its lines have them.
        ship: True to also send each line to Datadog's log intake, from a thread, for hosts
            without an Agent; a `Shipping` for settings other than the defaults. It needs
            ``DD_API_KEY``. The lines are sent as with ``format="json"``, whatever the sink's
            format. By default ``PIPECAT_DD_SHIP``, else False.

    Returns:
        Loguru's id of the handler.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument has a value that is not allowed, the sink's file cannot be written,
            or lines are to be shipped and there is no API key.

    If a sink fails (a full disk, a closed pipe), one line on standard error reports it, without
    the content of its lines. If an environment variable is invalid, one line reports it, and the
    default is used.

    Example::

        configure_logging(level="DEBUG", sample={"DEBUG": 0.1}, levels={"httpx": "WARNING"})
    """
    if sink is None:
        sink = sys.stdout
    least = level_number(level, "level")
    by_name = levels_by_name(levels)
    table.FORMAT.checked(format)
    sampler = Sampler({} if sample is None else sample, table.SAMPLE_BY.checked(sample_by))
    redactor = redactor_of(redact)
    table.INTERCEPT_STDLIB.checked(intercept_stdlib)
    table.ENQUEUE.checked(enqueue)
    lines = LineMaker(
        redactor,
        capture_content=table.LINE_CONTENT.read(capture_content),
        max_message_chars=table.MAX_MESSAGE_CHARS.read(max_message_chars),
        sample_rate_of=sampler.rate_of if sample else None,
        ascii_only=is_not_utf8(sink),
        max_line_bytes=table.LINE_BYTES.read(max_line_bytes, default_line_bytes(sink)),
    )
    shipper = _shipper_for(ship)
    made = lines if shipper is None else lifecycle.tapped(lines, shipper)
    thresholds = Thresholds(least, by_name)
    # A logging.Handler ends its lines itself.
    end = "" if isinstance(sink, LoggingHandler) else "\n"
    options: dict[str, Any] = {
        "level": thresholds.least,
        "filter": _filter(thresholds, sampler if sample else None, sink),
        "format": json_format(made, end)
        if format == "json"
        else console_format(ConsoleMaker(redactor, lines), end, made if shipper else None),
        "enqueue": enqueue,
        # Neither is used: both would cost milliseconds for each exception.
        "backtrace": False,
        "diagnose": False,
    }
    if format == "json":
        options["colorize"] = False
    if enqueue:
        options["context"] = QueueContext()
    options |= file_options(sink, rotation, retention, compression)
    handler_id = _install(sink, options, least, by_name, intercept_stdlib)
    note_bot(str(sys._getframe(1).f_globals.get("__name__", "")))
    put_in_force(redactor)
    redact_reports_with(lines)
    lifecycle.use(shipper)
    with _guard.lines.guarded():
        environment.report()
    return handler_id


def unconfigure_logging() -> None:
    """Undo `configure_logging` for Loguru and the standard library's loggers.

    Handlers and levels that were changed since then by other code stay as they are. Lines that
    wait to be shipped are sent first; this takes two seconds at most. Does nothing if logging is
    not configured.
    """
    global _current
    if _current is not None:
        # Before the sink is removed, so that it gets a notice of what could not be sent.
        lifecycle.finish()
    with _lock:
        if _current is None:
            return
        _undo(_current)
        default_handler.restore()
        _current = None
        put_in_force(None)
        redact_reports_with(None)
    lifecycle.use(None, finished=True)


def refresh_logging() -> None:
    """Route loggers that were set up after `configure_logging`, such as uvicorn's, to Loguru.

    Called at the start of each session. It also warns if the user's ``logger.remove()`` has
    removed our handler. Does nothing if logging is not configured.
    """
    with _lock:
        if _current is None:
            return
        if _current.interception is not None:
            _current.interception.sweep()
        was_removed, _current.is_removed = _current.is_removed, False
    if was_removed and not _loguru.has_own_handler():
        _warn_removed()


def is_configured() -> bool:
    """Whether `configure_logging` is in effect, and its handler has not been removed."""
    with _lock:
        return _current is not None and _loguru.has_handler(_current.handler_id)


@contextmanager
def intercepting(level: int) -> Iterator[None]:
    """Route lines of the standard library's ``logging`` to Loguru within a block.

    The block may itself call `configure_logging` and `unconfigure_logging`.

    Args:
        level: The lowest severity that the root logger lets through.
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
        # The new handler is added first: if Loguru raises, nothing has changed.
        try:
            handler_id = logger.add(sink, **options)
        except Exception as error:
            named = named_error(sink, options, error)
            if named is error:
                raise
            raise named from error
        default_handler.remove()
        if _current is not None:
            _undo(_current)
        if isinstance(sink, LoggingHandler):
            report_failures_of(sink)
        track_sinks()
        _current = _Configured(
            sink=sink,
            options=options,
            handler_id=handler_id,
            watcher_id=dev_runner.watch(_restore, _note_removed),
            interception=Interception(least, by_name, sink) if intercept else None,
            hooks=ExceptionHooks(sink),
        )
        return handler_id


def _restore() -> bool:
    """Add our handler again after the development runner has removed all handlers.

    Returns:
        Whether logging is configured, and so a handler was added.
    """
    with _lock:
        if _current is None:
            return False
        default_handler.keep_restorable()
        # The handler exists if the runner's import of the bot has configured logging again.
        _remove_handler(_current.handler_id)
        _remove_handler(_current.watcher_id)
        _current.handler_id = logger.add(_current.sink, **_current.options)
        _current.watcher_id = dev_runner.watch(_restore, _note_removed)
        _current.is_removed = False
        return True


def _note_removed() -> None:
    # Called while Loguru holds its lock, so this must not take ours.
    if _current is not None:
        _current.is_removed = True


def _warn_removed() -> None:
    """Log that `configure_logging` has no effect any more."""
    text = (
        "logger.remove() was called after configure_logging() and has removed its handler: "
        "lines are neither formatted for Datadog nor redacted. Call configure_logging() after it"
    )
    if _loguru.has_handlers():
        logger.warning(f"pipecat_dd: {text}")
    else:
        report_once(text)


def _undo(configured: _Configured) -> None:
    _remove_handler(configured.handler_id)
    _remove_handler(configured.watcher_id)
    if isinstance(configured.sink, LoggingHandler):
        restore_reports_of(configured.sink)
    configured.hooks.undo()
    if configured.interception is not None:
        configured.interception.undo()


def _remove_handler(handler_id: int) -> None:
    try:
        logger.remove(handler_id)
    except ValueError:  # the user has removed it
        pass
    except OSError:  # it is removed, but its file could not be closed: the disk is full
        pass


def _filter(
    thresholds: Thresholds, sampler: Sampler | None, sink: Any
) -> Callable[["Record"], bool]:
    lets_through: Callable[[Record], bool] = thresholds.lets_through
    if sampler is not None:
        lets_through = _both(lets_through, sampler.keeps)
    return excluding_own(sink, lets_through) if callable(sink) else lets_through


def _both(
    first: Callable[["Record"], bool], second: Callable[["Record"], bool]
) -> Callable[["Record"], bool]:
    return lambda record: first(record) and second(record)


def _shipper_for(ship: bool | Shipping | None) -> Shipper | None:
    settings = settings_of(ship)
    if settings is None:
        return None
    try:
        return lifecycle.shipper_for(settings)
    except ValueError as error:  # the directory of the spool cannot be used
        return lifecycle.shipper_for(note_spool(settings, error))
