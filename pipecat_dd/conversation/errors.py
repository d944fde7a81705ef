"""Errors of a session: which reports are about the same one, and how many there were.

An exception is noted where a processor raises it, and reported a moment later: by the processor's
own task, or by the processor that pushed the frame to it. A processor that only holds others may
report their errors once more. Each error counts once.
"""

from collections import deque
from collections.abc import Container

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Processor, Stage
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.names import tags


class Errors:
    """Recognizes and counts the errors of one session.

    Attributes:
        last: The last error; None if there was none.
    """

    def __init__(self, root: Stage) -> None:
        """Count errors.

        Args:
            root: The session's stage.
        """
        self._root = root
        # They are reported right after; only a few are kept, so that one that is never reported
        # does not stay in memory for long.
        self._raised: deque[tuple[Processor, Exception, bool]] = deque(maxlen=4)
        self._last_report: tuple[str, object] = ("", None)
        self._timed_out: dict[Stage, Failure] = {}
        self.last: Failure | None = None

    def note_raised(self, processor: Processor, error: Exception, *, is_reported: bool) -> None:
        """Record that a processor raised an exception, which is about to be reported.

        Args:
            processor: The processor.
            error: The exception.
            is_reported: Whether one of the processor's stages shows the failure already.
        """
        self._raised.append((processor, error, is_reported))

    def take_raised(self, exception: object) -> tuple[Processor, bool] | None:
        """Return the processor that raised an exception, and whether a stage shows that."""
        for entry in self._raised:
            if entry[1] is exception:
                self._raised.remove(entry)
                return entry[0], entry[2]
        return None

    def is_repeated(
        self,
        processor: Processor | None,
        failure: Failure,
        exception: object,
        known: Container[str],
    ) -> bool:
        """Whether a processor only passes on an error that another one has already reported.

        Args:
            processor: The processor that reports it.
            failure: What went wrong.
            exception: The exception that is reported, if any.
            known: The names of the session's processors; others only hold these.
        """
        if processor is None or processor.name in known:
            return False
        message, before = self._last_report
        if exception is not None:
            return exception is before
        return bool(message) and failure.message.endswith(message)

    def note_report(self, failure: Failure, exception: object) -> None:
        """Record that an error was reported, to recognize when it is passed on."""
        self._last_report = failure.message, exception

    def note_timeout(self, response: Stage, failure: Failure) -> None:
        """Record that a response timed out. Some services then report an error, some do not.

        Args:
            response: The response's stage.
            failure: What went wrong.
        """
        self._timed_out[response] = failure

    def settle_timeout(self, response: Stage, turn: Turn | None) -> None:
        """Count a response that timed out as an error, as it ends, if no error was reported.

        Args:
            response: The response's stage.
            turn: The current turn; None if there is none.
        """
        failure = self._timed_out.pop(response, None)
        if failure is not None and response.failure is None:
            response.fail(failure)
            self.count(failure, turn)

    def count(self, failure: Failure, turn: Turn | None) -> None:
        """Count an error on the session, and on the current turn if there is one."""
        self.last = failure
        self._root.add(tags.SESSION_ERROR_COUNT, 1)
        if turn is not None:
            turn.stage.add(tags.TURN_ERROR_COUNT, 1)
            turn.fail(failure)
