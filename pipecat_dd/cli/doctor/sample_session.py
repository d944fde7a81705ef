"""Run a small session, as a bot would, and record its spans and log lines.

The session is real: it uses Pipecat's pipeline, the observer, `configure_logging`, and ddtrace
with its patches. Only the destinations of spans and lines are replaced.
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

_OTHER_DESTINATIONS = ("metrics", "llmobs", "ship")
"""The arguments that would send the session's data to further destinations."""


@dataclass
class SampleSession:
    """A session that has ended.

    Attributes:
        id: Its id.
        lines: All log lines that were written during the session.
        spans: The spans that would have been sent; empty if they were really sent.
        error: The exception that ended the session early; None if there was none.
        failures: How many errors of this package were caught during the session.
        priority: The sampling priority of its trace, which is kept if this is above 0; None if
            sampling has not decided.
    """

    id: str
    lines: list[Line] = field(default_factory=list)
    spans: list[SeenSpan] = field(default_factory=list)
    error: Exception | None = None
    failures: int = 0
    priority: float | None = None

    def line(self, message: str) -> Line | None:
        """Return the line with exactly this message; None if there is none."""
        return next((line for line in self.lines if line.get("message") == message), None)


def run(*, send: bool) -> SampleSession:
    """Run a session, and restore Loguru, ``logging`` and ddtrace afterwards.

    Args:
        send: Whether its spans are really sent.
    """
    from pipecat_dd import _guard, configure_logging, unconfigure_logging
    from pipecat_dd.cli.doctor import _pipecat
    from pipecat_dd.observer import DatadogObserver
    from pipecat_dd.testing.diverting import diverted

    sample = SampleSession(f"doctor-{uuid.uuid4()}")
    parts = (_guard.instrumentation, _guard.conversation, _guard.spans, _guard.lines)
    before = sum(part.failures for part in parts)

    async def bot() -> None:
        # A bot would use the default for an invalid variable. The doctor must report it instead.
        with raising():
            observer = DatadogObserver(
                session_id=sample.id, name=NAME, **_arguments_off(DatadogObserver)
            )
        sample.priority = observer.context.sampling_priority
        await _pipecat.run_session(observer, TIMEOUT_SECS)

    configure_logging(
        lambda message: sample.lines.append(json.loads(str(message))),
        **_arguments_off(configure_logging),
    )
    try:
        with nullcontext() if send else diverted(sample.spans.append):
            asyncio.run(bot())
    except Exception as error:
        sample.error = error
    finally:
        unconfigure_logging()
    sample.failures = sum(part.failures for part in parts) - before
    return sample


def _arguments_off(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    return {name: False for name in _OTHER_DESTINATIONS if name in parameters}
