"""Nothing of ours reaches the bot.

Every way into this package from Pipecat, Loguru or ddtrace catches what goes wrong and hands
it to :func:`failed`, which says so once per kind and lets the conversation go on. A part that
keeps failing turns itself off: a broken observer is worth less than none, and the bot must not
pay for it.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from loguru import logger

FAILURES_BEFORE_OFF = 50
"""How often one part may fail before it turns itself off."""

_reporting: ContextVar[bool] = ContextVar("pipecat_dd_reporting", default=False)


class Part:
    """One part of the package that can fail, and turn itself off, by itself.

    Attributes:
        name: What the part does, in the words of its one log line.
        failures: How often it has failed in this process.
        off: Whether it has turned itself off.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        self.off = False
        self._kinds: set[tuple[str, int]] = set()

    def failed(self, error: BaseException) -> None:
        """Note a failure; say so once per kind, and turn the part off after too many.

        Args:
            error: What was raised. Its place of origin is what tells kinds apart.
        """
        self.failures += 1
        turns_off = not self.off and self.failures >= FAILURES_BEFORE_OFF
        if turns_off:
            self.off = True
        with contextlib.suppress(Exception):
            self._say(error, turns_off=turns_off)

    def _say(self, error: BaseException, *, turns_off: bool) -> None:
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
                    f"pipecat_dd: {self.name} failed {self.failures} times and is turned off; "
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
        """Run a block of ours so that nothing it raises gets out."""
        try:
            yield
        except Exception as error:
            self.failed(error)


_dropped = 0


def count_dropped() -> None:
    """Count an event that was let go, since we were too far behind."""
    global _dropped
    _dropped += 1


def dropped_count() -> int:
    """Return how many events were let go in this process, of all sessions."""
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
conversation = Part("following the conversation")
spans = Part("writing spans")
llmobs = Part("telling LLM Observability")
lines = Part("correlating log lines")
shipping = Part("shipping log lines")
metrics = Part("sending metrics")


def parts() -> dict[str, Part]:
    """Return all parts, by a short name each."""
    return {name: part for name, part in globals().items() if isinstance(part, Part)}
