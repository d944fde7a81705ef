"""Holding a small session, as a bot would, and keeping what is seen of it.

Everything in it is real: Pipecat's pipeline, the observer, `configure_logging`, ddtrace with
whatever it has patched. Only the destinations are ours.
"""

import asyncio
import inspect
import json
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.settings.notes import raising
from pipecat_dd.testing.seen import Line, SeenSpan

TIMEOUT_SECS = 20.0
NAME = "pipecat-dd doctor"

_ELSEWHERE = ("metrics", "llmobs", "ship")
"""Arguments that would have the session told, or its lines sent, in other places too."""


@dataclass
class SampleSession:
    """A session that was held.

    Attributes:
        id: Its id.
        lines: What was written meanwhile.
        spans: What would have been sent; nothing where it was.
        error: What went wrong, if anything did.
        failures: How often a part of this package failed in it.
        priority: What sampling decided of its trace: kept where above 0; None if nothing.
    """

    id: str
    lines: list[Line] = field(default_factory=list)
    spans: list[SeenSpan] = field(default_factory=list)
    error: Exception | None = None
    failures: int = 0
    priority: float | None = None

    def line(self, message: str) -> Line | None:
        """Return the line of a message, if it was written.

        Args:
            message: All of the message.
        """
        return next((line for line in self.lines if line.get("message") == message), None)


def hold(*, send: bool) -> SampleSession:
    """Hold a session. Loguru, ``logging`` and ddtrace are then as they were.

    Args:
        send: Whether its spans go where ddtrace sends to, rather than nowhere.
    """
    from pipecat_dd import _guard, configure_logging, unconfigure_logging
    from pipecat_dd.cli.doctor import _pipecat
    from pipecat_dd.observer import DatadogObserver
    from pipecat_dd.testing.diverting import diverted

    held = SampleSession(f"doctor-{uuid.uuid4()}")
    parts = (_guard.instrumentation, _guard.conversation, _guard.spans, _guard.lines)
    before = sum(part.failures for part in parts)

    async def bot() -> None:
        # A bot would go on with the default of a variable that is wrong; here it is to be seen.
        with raising():
            observer = DatadogObserver(session_id=held.id, name=NAME, **_off(DatadogObserver))
        held.priority = observer.context.sampling_priority
        await _pipecat.hold(observer, TIMEOUT_SECS)

    configure_logging(
        lambda message: held.lines.append(json.loads(str(message))), **_off(configure_logging)
    )
    try:
        with nullcontext() if send else diverted(held.spans.append):
            asyncio.run(bot())
    except Exception as error:
        held.error = error
    finally:
        unconfigure_logging()
    held.failures = sum(part.failures for part in parts) - before
    return held


def _off(taker: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(taker).parameters
    return {name: False for name in _ELSEWHERE if name in parameters}
