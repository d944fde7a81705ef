"""Reports when an STT service that works segment by segment has finished a segment.

A cough is sent to be transcribed like any speech, and if it yields no text, nothing is pushed.
Without this report, it would be matched with the transcription of what the user says next.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Processor
from pipecat_dd.conversation.user import UserSide

Method = Callable[..., Awaitable[Any]]


def reporting_completion(
    inner: Method, processor: Processor, user: UserSide, is_on: Callable[[], bool]
) -> Method:
    """Return a ``process_generator`` that calls the original and reports when it is done.

    Args:
        inner: The service's own method, which pushes the transcription of one speech segment.
        processor: Our record of the service.
        user: Gets the report.
        is_on: Whether still to report.
    """

    async def process_generator(*args: Any, **kwargs: Any) -> Any:
        before = None
        if is_on():
            with _guard.conversation.guarded():
                before = user.answer_count(processor)
        try:
            return await inner(*args, **kwargs)
        finally:
            if before is not None and is_on():
                with _guard.conversation.guarded():
                    user.end_segment(processor, before, time.time_ns())

    return process_generator
