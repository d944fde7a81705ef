"""Services that transcribe speech stretch by stretch, and when they are through with one.

A cough is sent to be transcribed like any speech, and nothing is pushed when nothing comes of it.
Whoever waits for its transcription would take the next one, of what the user says later, for it.
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
    """Return a ``process_generator`` that does what another does, and tells when it is done.

    Args:
        inner: The service's own, which pushes what one stretch of speech is transcribed to.
        processor: The service.
        user: Told of it.
        is_on: Whether to tell still.
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
