"""All settings, each defined once.

* ``table.py``: every setting, with its argument, variable, default and meaning.
* ``setting.py``: how a setting is read.
* ``checks.py``, ``special_checks.py``, ``choices.py``: which values are valid.
* ``notes.py``, ``environment.py``: log lines about invalid and unknown variables.
* ``observer.py``: the settings of one `DatadogObserver`.

Importing this package imports neither Pipecat nor ddtrace.
"""

from pipecat_dd.settings.choices import FrameSpans, TraceScope
from pipecat_dd.settings.observer import Settings
from pipecat_dd.settings.table import MAX_SESSION_ID_CHARS

__all__ = ["MAX_SESSION_ID_CHARS", "FrameSpans", "Settings", "TraceScope"]
