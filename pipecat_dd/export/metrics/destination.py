"""Exports a session's stages as metrics."""

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Session, Stage
from pipecat_dd.export.metrics import process, sender, stages
from pipecat_dd.export.metrics.sample import Sample

_BEFORE_START = (Kind.SESSION, Kind.STARTUP, Kind.PARTICIPANT, Kind.PARTICIPANT_EVENT)
"""Stages that may begin before the bot's transport is known."""


class Metrics:
    """Exports a session's stages as metrics.

    Tags that the user passes to the observer are not sent: they identify single sessions (a
    customer, a call), and Datadog bills each combination of tags as a metric of its own.
    """

    part = _guard.metrics

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sender = sender.shared()
        self._process = process.shared()
        self._is_started = False

    def on_open(self, stage: Stage) -> None:
        """A stage has begun."""
        samples: list[Sample] = []
        if stage.kind is Kind.SESSION:
            self._process.add_session(self._session)
        elif stage.kind is Kind.PARTICIPANT:
            samples.append(stages.joined(stage))
        elif stage.kind not in _BEFORE_START:
            samples += self._start()
        self._sender.queue(samples)

    def on_close(self, stage: Stage) -> None:
        """A stage has ended."""
        samples: list[Sample] = []
        if stage.kind is Kind.SESSION or (
            stage.kind is Kind.STARTUP and stage.resource == "pipeline"
        ):
            samples += self._start()
        samples += stages.closed(stage)
        self._sender.queue(samples)
        if stage.kind is Kind.SESSION:
            self._process.remove_session(self._session)

    def _start(self) -> list[Sample]:
        """Return the metric of a started session, once: its transport is known by now."""
        if self._is_started:
            return []
        self._is_started = True
        return [stages.started(self._session.root)]
