"""Lines to Datadog's log intake without an Agent: ``configure_logging(ship=True)``.

The bot's logging call puts a line into memory and returns; a thread sends the lines in batches.
The counts of what happened to them can be read at any time::

    from pipecat_dd import shipping_counts

    print(shipping_counts())  # Counts(written=12, shipped=10, dropped={}, waiting=2, …)

- ``settings.py``: the settings and their checks
- ``buffer.py``, ``inflight.py``: lines in memory; lines being sent
- ``batches.py``: requests within the intake's limits
- ``_http.py``, ``retry.py``: the connection; what an answer means, and when to try again
- ``spool.py``: lines on disk
- ``worker.py``, ``shipper.py``, ``lifecycle.py``: the thread, what starts it, the process's shipper
- ``counting.py``, ``notices.py``: counts of lines; log lines about shipping itself
"""

from pipecat_dd.export.shipping.counting import COUNTERS, Counts, Reason
from pipecat_dd.export.shipping.lifecycle import flush_shipping
from pipecat_dd.export.shipping.settings import Shipping

__all__ = ["Counts", "Reason", "Shipping", "flush_shipping", "shipping_counts"]


def shipping_counts() -> Counts:
    """Return the counts of this process's lines so far, all taken at the same moment."""
    return COUNTERS.snapshot()
