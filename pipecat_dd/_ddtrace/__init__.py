"""The only module that uses ddtrace.

It starts, dates and finishes spans, makes sampling decisions, and answers ddtrace's question which
span is active. Only public names are used, except for those listed in :data:`PRIVATE`; if one of
those is missing, less is shown, but nothing fails.
"""

from pipecat_dd._ddtrace.asking import activated, answer_active, answers, set_aside, traces_messages
from pipecat_dd._ddtrace.busy import beneath, is_busy
from pipecat_dd._ddtrace.ending import before_shutdown, flush
from pipecat_dd._ddtrace.private import PRIVATE
from pipecat_dd._ddtrace.public import Active, Context, Span, tracer
from pipecat_dd._ddtrace.sending import look_at_parts, looks_at_parts, send_finished
from pipecat_dd._ddtrace.settings import (
    INJECTS_IDS,
    ddtrace_version,
    env,
    is_enabled,
    is_otel,
    service,
    tags,
    unified,
    version,
)
from pipecat_dd._ddtrace.spans import (
    MEASURED,
    clear_error,
    finish,
    is_by_otel,
    log_ids,
    place,
    set_error,
    set_metric,
    set_tag,
    start,
    with_those_above,
    writable,
)
from pipecat_dd._ddtrace.stand_ins import StandIn, carry, has_client, retire, root_of, stand_in
from pipecat_dd._ddtrace.traces import (
    above,
    agree,
    beside,
    continue_trace,
    new_span_id,
    new_trace,
    new_trace_like,
)

__all__ = [
    "INJECTS_IDS",
    "MEASURED",
    "PRIVATE",
    "Active",
    "Context",
    "Span",
    "StandIn",
    "above",
    "activated",
    "agree",
    "answer_active",
    "answers",
    "before_shutdown",
    "beneath",
    "beside",
    "carry",
    "clear_error",
    "continue_trace",
    "ddtrace_version",
    "env",
    "finish",
    "flush",
    "has_client",
    "is_busy",
    "is_by_otel",
    "is_enabled",
    "is_otel",
    "log_ids",
    "look_at_parts",
    "looks_at_parts",
    "new_span_id",
    "new_trace",
    "new_trace_like",
    "place",
    "retire",
    "root_of",
    "send_finished",
    "service",
    "set_aside",
    "set_error",
    "set_metric",
    "set_tag",
    "stand_in",
    "start",
    "tags",
    "tracer",
    "traces_messages",
    "unified",
    "version",
    "with_those_above",
    "writable",
]
