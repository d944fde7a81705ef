"""Lines to Datadog's log intake without an Agent: ``configure_logging(ship=True)``.

A line is handed over where it is made, and the bot's logging call goes on; a thread sends what
has come together. How lines fare can be asked at any time::

    from pipecat_dd.export.shipping import counts

    print(counts())  # Counts(written=12, shipped=10, dropped={}, waiting=2, …)

- ``settings.py``: what can be set, and what is refused
- ``waiting.py``, ``hand.py``: lines in memory; lines on their way
- ``batches.py``: lines as requests within the intake's limits
- ``_http.py``, ``answers.py``: the network, and what an answer means
- ``spool.py``: lines on disk
- ``worker.py``, ``shipper.py``, ``running.py``: the thread, its front, the process's one
- ``counting.py``, ``saying.py``: what became of lines; what is said of it
"""

from pipecat_dd.export.shipping.counting import COUNTERS, Counts, Reason
from pipecat_dd.export.shipping.lifecycle import flush
from pipecat_dd.export.shipping.settings import Shipping

__all__ = ["Counts", "Reason", "Shipping", "counts", "flush"]


def counts() -> Counts:
    """Return what became of this process's lines so far: a snapshot that adds up."""
    return COUNTERS.snapshot()
