"""See inside a Pipecat bot from Datadog.

Three lines in a bot::

    from pipecat_dd import DatadogObserver, configure_logging
    configure_logging()
    task = PipelineTask(pipeline, observers=[DatadogObserver()])
"""

from pipecat_dd.knowing.place import current_session
from pipecat_dd.knowing.session import Session
from pipecat_dd.observer import DatadogObserver

__all__ = ["DatadogObserver", "Session", "current_session"]
