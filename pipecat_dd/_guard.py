"""Keeps this package's errors away from the bot.

Every function of this package that Pipecat, Loguru or ddtrace calls catches its errors and hands
them to :meth:`Part.failed`, which logs each kind once, and the conversation goes on. A part that
keeps failing turns itself off: it would do no good, and the bot would pay for it.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from loguru import logger

FAILURES_BEFORE_OFF = 50
"""The number of failures after which a part turns itself off."""

_reporting: ContextVar[bool] = ContextVar("pipecat_dd_reporting", default=False)


class Part:
    """A part of this package that fails, and turns itself off, independently of the others.

    Attributes:
        name: What the part does, as the subject of its log lines: "sending metrics".
        failures: How often it has failed in this process.
        off: Whether it has turned itself off.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        self.off = False
        self._kinds: set[tuple[str, int]] = set()

    def failed(self, error: BaseException) -> None:
        """Count a failure, log it once per kind, and turn the part off after too many.

        Args:
            error: What was raised. Errors of one type from one line of code are one kind.
        """
        self.failures += 1
        turns_off = not self.off and self.failures >= FAILURES_BEFORE_OFF
        if turns_off:
            self.off = True
        with contextlib.suppress(Exception):
            self._log(error, turns_off=turns_off)

    def _log(self, error: BaseException, *, turns_off: bool) -> None:
        kind = _origin(error)
        if kind in self._kinds and not turns_off:
            return
        self._kinds.add(kind)
        if _reporting.get():
            return
        token = _reporting.set(True)
        try:
            if turns_off:
                logger.error(
                    f"pipecat_dd: {self.name} failed {self.failures} times and was turned off; "
                    "the bot is not affected"
                )
            else:
                logger.opt(exception=error).warning(
                    f"pipecat_dd: {self.name} failed; the bot is not affected"
                )
        finally:
            _reporting.reset(token)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Run a block and count what it raises as a failure, instead of raising it."""
        try:
            yield
        except Exception as error:
            self.failed(error)


_dropped = 0


def count_dropped() -> None:
    """Count an event that was dropped because this package was too far behind."""
    global _dropped
    _dropped += 1


def dropped_count() -> int:
    """Return how many events this process has dropped, in all sessions."""
    return _dropped


def _origin(error: BaseException) -> tuple[str, int]:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return type(error).__name__, 0
    place = os.path.basename(traceback.tb_frame.f_code.co_filename)
    return f"{type(error).__name__} {place}", traceback.tb_lineno


instrumentation = Part("listening to the pipeline")
event_loop = Part("watching the event loop")
conversation = Part("following the conversation")
spans = Part("writing spans")
llmobs = Part("reporting to LLM Observability")
lines = Part("correlating log lines")
shipping = Part("shipping log lines")
metrics = Part("sending metrics")


def parts() -> dict[str, Part]:
    """Return all parts by their short names, as the tag `part` of the metrics has them."""
    return {name: part for name, part in globals().items() if isinstance(part, Part)}
