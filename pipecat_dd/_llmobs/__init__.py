"""The only module that uses ddtrace's LLM Observability.

ddtrace's module is imported when it is first needed, so that a bot without LLM Observability pays
nothing. Only public names are used, except for those listed in :data:`PRIVATE`; if one of those is
missing, less is shown, but nothing fails.
"""

from pipecat_dd._llmobs.ids import (
    NO_PARENT,
    Above,
    by_agent,
    in_trace,
    remote,
    stamp,
    trace_facts,
    written,
)
from pipecat_dd._llmobs.on import enable, has_name, is_on, is_wanted, knows_less
from pipecat_dd._llmobs.private import PRIVATE
from pipecat_dd._llmobs.spans import KINDS, annotate, answer_active, settle, start

__all__ = [
    "KINDS",
    "NO_PARENT",
    "PRIVATE",
    "Above",
    "annotate",
    "answer_active",
    "by_agent",
    "enable",
    "has_name",
    "in_trace",
    "is_on",
    "is_wanted",
    "knows_less",
    "remote",
    "settle",
    "stamp",
    "start",
    "trace_facts",
    "written",
]
