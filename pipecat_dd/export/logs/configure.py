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

from pipecat_dd import _guard, _loguru
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.logs import default_handler, dev_runner
from pipecat_dd.export.logs.arguments import (
    file_options,
    is_not_utf8,
    levels_by_name,
    redactor_of,
)
from pipecat_dd.export.logs.console import LAST, TEMPLATE, ConsoleMaker
from pipecat_dd.export.logs.containers import default_line_bytes
from pipecat_dd.export.logs.enqueuing import QueueContext
from pipecat_dd.export.logs.failing import quiet, redact_reports_by, report_once, unquiet
from pipecat_dd.export.logs.feeding import know_sinks_at_work, unless_of
from pipecat_dd.export.logs.levels import level_number
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.sampling import Sampler
from pipecat_dd.export.logs.stdlib import Interception
from pipecat_dd.export.logs.template import format_function, json_format
from pipecat_dd.export.logs.thresholds import Thresholds
from pipecat_dd.export.logs.uncaught import Hooks
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


@dataclass
class _Configured:
    """What `configure_logging` has set up.

    Attributes:
        sink: Where the lines go.
        options: What the handler was added with.
        handler_id: Loguru's id of it.
        watcher_id: Loguru's id of the handler that watches for the development runner.
        interception: The changes to the standard library's loggers, if there are any.
        is_taken_away: Whether the user's ``logger.remove()`` has taken the handler away.
        hooks: What writes a line of an exception that nobody catches.
    """

    sink: Any
    options: dict[str, Any]
    handler_id: int
    watcher_id: int
    interception: Interception | None
    hooks: Hooks
    is_taken_away: bool = False


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
            line may have.
        max_line_bytes: The most bytes that a line of ``format="json"`` may have, its end
            included: 2048 to 25000. By default as ``PIPECAT_DD_MAX_LINE_BYTES`` says, else
            25000; in a container 16384 where the sink is standard output or error, since
            Docker and containerd split what is longer. What is cut is marked
            ``truncated``; ids are never cut.
        rotation: When a file is begun anew, as in ``logger.add``: ``"100 MB"``. Files only.
        retention: How long old files are kept, as in ``logger.add``. Files only.
        compression: How old files are packed, as in ``logger.add``. Files only.
        enqueue: Write from a thread of Loguru's, as in ``logger.add``: a slow sink then does
            not hold up the bot. A function as sink gets records without the bound values that
            cannot be pickled; the lines hold them.
        ship: True to send each line to Datadog's log intake as well, from a thread, for where
            there is no Agent; a `Shipping` to say how. It needs ``DD_API_KEY``. The lines are
            those of ``format="json"``, whatever the sink gets. By default as
            ``PIPECAT_DD_SHIP`` says, else False.

    Returns:
        Loguru's id of the handler.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument has a value that is not allowed, or ``ship`` asks for shipping
            and there is no API key.

    A sink that fails (a full disk, a pipe that nobody reads) says so once on standard error, and
    shows nothing of its lines. A variable of the environment that is wrong is said in one line,
    and its default counts.

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
        else _console_format(ConsoleMaker(redactor, lines), end, made if shipper else None),
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
    put_in_force(redactor)
    redact_reports_by(lines)
    lifecycle.use(shipper)
    with _guard.lines.guarded():
        environment.report()
    return handler_id


def unconfigure_logging() -> None:
    """Undo `configure_logging`: Loguru and the standard library's loggers are as before.

    Handlers and levels that others changed since are left as they are now. Lines that are to be
    shipped are sent first, for which it waits for two seconds at most. Does nothing when
    nothing is configured.
    """
    global _current
    if _current is not None:
        # While there is still a sink on which to say what could not be sent.
        lifecycle.finish()
    with _lock:
        if _current is None:
            return
        _take_down(_current)
        default_handler.put_back()
        _current = None
        put_in_force(None)
        redact_reports_by(None)
    lifecycle.use(None, finished=True)


def refresh_logging() -> None:
    """Route loggers that came after `configure_logging`, such as uvicorn's, like all others.

    Called at the start of each session, which is also when it is said that the user's
    ``logger.remove()`` has undone the call. Does nothing when nothing is configured.
    """
    with _lock:
        if _current is None:
            return
        if _current.interception is not None:
            _current.interception.sweep()
        was_taken_away, _current.is_taken_away = _current.is_taken_away, False
    if was_taken_away and not _loguru.has_handler_of_ours():
        _say_taken_away()


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
        default_handler.take_away()
        if _current is not None:
            _take_down(_current)
        if isinstance(sink, LoggingHandler):
            quiet(sink)
        know_sinks_at_work()
        _current = _Configured(
            sink=sink,
            options=options,
            handler_id=handler_id,
            watcher_id=dev_runner.watch(_restore, _note_taken_away),
            interception=Interception(least, by_name, sink) if intercept else None,
            hooks=Hooks(sink),
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
        default_handler.stays_to_be_put_back()
        # It is there where the runner's import of the bot has configured logging once more.
        _removed(_current.handler_id)
        _removed(_current.watcher_id)
        _current.handler_id = logger.add(_current.sink, **_current.options)
        _current.watcher_id = dev_runner.watch(_restore, _note_taken_away)
        _current.is_taken_away = False
        return True


def _note_taken_away() -> None:
    # Called with Loguru's lock held: nothing may be waited for.
    if _current is not None:
        _current.is_taken_away = True


def _say_taken_away() -> None:
    """Say that what `configure_logging` was given holds no longer."""
    text = (
        "logger.remove() was called after configure_logging(), and has taken its handler away: "
        "lines are neither shaped for Datadog nor redacted. Call configure_logging() after it"
    )
    if _loguru.has_handlers():
        logger.warning(f"pipecat_dd: {text}")
    else:
        report_once(text)


def _take_down(configured: _Configured) -> None:
    _removed(configured.handler_id)
    _removed(configured.watcher_id)
    if isinstance(configured.sink, LoggingHandler):
        unquiet(configured.sink)
    configured.hooks.undo()
    if configured.interception is not None:
        configured.interception.undo()


def _removed(handler_id: int) -> bool:
    try:
        logger.remove(handler_id)
    except ValueError:  # the user has removed it
        return False
    except OSError:  # it is removed, but its file could not be closed: the disk is full
        pass
    return True


def _console_format(
    console: ConsoleMaker, end: str, ship: Callable[["Record"], str] | None
) -> Callable[["Record"], str]:
    def make(record: "Record") -> Mapping[str, str]:
        if ship is not None:
            ship(record)
        return console(record)

    return format_function(make, TEMPLATE + end, LAST)


def _filter(
    thresholds: Thresholds, sampler: Sampler | None, sink: Any
) -> Callable[["Record"], bool]:
    lets_through: Callable[[Record], bool] = thresholds.lets_through
    if sampler is not None:
        lets_through = _both(lets_through, sampler.keeps)
    return unless_of(sink, lets_through) if callable(sink) else lets_through


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
    except ValueError as error:  # the spool cannot be used
        return lifecycle.shipper_for(note_spool(settings, error))
