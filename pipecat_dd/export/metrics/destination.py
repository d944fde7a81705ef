"""A session's stages, told as metrics."""

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Session, Stage
from pipecat_dd.export.metrics import process, sender, stages
from pipecat_dd.export.metrics.sample import Sample

_BEFORE_START = (Kind.SESSION, Kind.STARTUP, Kind.PARTICIPANT, Kind.PARTICIPANT_EVENT)
"""What may be told of before it is known by which transport the bot talks."""


class Metrics:
    """Tells a session's stages as metrics.

    The tags that a user gives to the observer are not sent: they are there to find one session
    by (a customer, a call), and each combination of tags is a metric of its own.
    """

    part = _guard.metrics

    def __init__(self, session: Session) -> None:
        """Tell a session's stages.

        Args:
            session: The session.
        """
        self._session = session
        self._sender = sender.shared()
        self._process = process.shared()
        self._is_started = False

    def on_open(self, stage: Stage) -> None:
        """A stage has begun."""
        samples: list[Sample] = []
        if stage.kind is Kind.SESSION:
            self._process.session_begins(self._session)
        elif stage.kind is Kind.PARTICIPANT:
            samples.append(stages.joined(stage))
        elif stage.kind not in _BEFORE_START:
            samples += self._start()
        self._sender.keep(samples)

    def on_close(self, stage: Stage) -> None:
        """A stage has ended."""
        samples: list[Sample] = []
        if stage.kind is Kind.SESSION or (
            stage.kind is Kind.STARTUP and stage.resource == "pipeline"
        ):
            samples += self._start()
        samples += stages.closed(stage)
        self._sender.keep(samples)
        if stage.kind is Kind.SESSION:
            self._process.session_ends(self._session)

    def _start(self) -> list[Sample]:
        """Say that the session has started, once it is known by which transport."""
        if self._is_started:
            return []
        self._is_started = True
        return [stages.started(self._session.root)]
