"""What can be set, each thing once.

* ``table.py``: every setting, with its argument, variable, default and meaning.
* ``setting.py``: how one is read.
* ``checks.py``, ``special_checks.py``, ``choices.py``: what values are allowed.
* ``notes.py``, ``environment.py``: variables that are wrong or unknown, and the line about them.
* ``observer.py``: the settings of one `DatadogObserver`, read.

Importing it imports neither Pipecat nor ddtrace.
"""

from pipecat_dd.settings.choices import FrameSpans, TraceScope
from pipecat_dd.settings.observer import Settings
from pipecat_dd.settings.table import MAX_SESSION_ID_CHARS

__all__ = ["MAX_SESSION_ID_CHARS", "FrameSpans", "Settings", "TraceScope"]
