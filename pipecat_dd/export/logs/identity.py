"""The fields that identify a line's session, participant, trace and service."""

from collections.abc import Mapping
from typing import Any

from pipecat_dd.export.correlation import Correlation
from pipecat_dd.export.logs.extra import Extra, id_of
from pipecat_dd.export.logs.field_roles import FieldRole
from pipecat_dd.export.logs.sanitize import Sanitizer
from pipecat_dd.names import fields


def identity_fields(known: Correlation, bound: Extra, plain: Sanitizer) -> dict[str, Any]:
    """Return the fields for session, participant and service, without the trace's ids.

    Args:
        known: The ids of the code that logged.
        bound: The bound values. A session or participant among them takes precedence.
        plain: Redacts bound values and converts them to JSON types.
    """
    made: dict[str, Any] = {}
    session_id = bound.own.get(FieldRole.SESSION_ID) or known.session_id
    if session_id:
        made[fields.SESSION_ID] = plain.id(session_id)
    if known.participant_id or known.participant_name or bound.own:
        _add_participant(made, known, bound.own, plain)
    node = bound.own.get(FieldRole.FLOW_NODE) or known.flow_node
    if node:
        made[fields.FLOW_NODE] = plain.text(node)
    if known.service:
        # Not the service that ddtrace's patch binds: it may be inferred.
        made[fields.SERVICE] = known.service
        made[fields.DD_SERVICE] = known.service
    env = known.env or bound.ddtrace.get(fields.DD_ENV)
    if env:
        made[fields.DD_ENV] = env
    version = known.version or bound.ddtrace.get(fields.DD_VERSION)
    if version:
        made[fields.DD_VERSION] = version
    return made


def trace_and_span(known: Correlation, bound: Extra) -> tuple[str | None, str | None]:
    """Return the ids of trace and span; each is None if no span is active.

    If ours are unknown (the record was made in another thread), both ids are those that ddtrace's
    own patch has bound to the record. They are never mixed: the trace would not contain the span.
    """
    trace_id, span_id = known.trace_id, known.span_id
    if trace_id is None and span_id is None and bound.ddtrace:
        trace_id = bound.ddtrace.get(fields.DD_TRACE_ID)
        span_id = bound.ddtrace.get(fields.DD_SPAN_ID)
    if not trace_id or trace_id == "0":  # ddtrace writes "0" if no span is active
        return None, None
    return trace_id, span_id if span_id and span_id != "0" else None


def id_fields(trace_id: str, span_id: str | None) -> dict[str, str]:
    """Return the ids of trace and span, under both of their names.

    Datadog removes ``dd.trace_id`` from a line when it links the line to its trace, so that no
    query finds it. The names under ``pipecat`` can be searched for.
    """
    if span_id is None:
        return {fields.DD_TRACE_ID: trace_id, fields.PIPECAT_TRACE_ID: trace_id}
    return {
        fields.DD_TRACE_ID: trace_id,
        fields.DD_SPAN_ID: span_id,
        fields.PIPECAT_TRACE_ID: trace_id,
        fields.PIPECAT_SPAN_ID: span_id,
    }


def _add_participant(
    made: dict[str, Any], known: Correlation, own: Mapping[FieldRole, Any], plain: Sanitizer
) -> None:
    participant_id, name = known.participant_id, known.participant_name
    given = own.get(FieldRole.PARTICIPANT)
    participant: dict[str, Any] = {}
    if given is not None:
        plain_given = plain.value(given, fields.PARTICIPANT)
        participant = plain_given if isinstance(plain_given, dict) else {}
    bound_id = own.get(FieldRole.PARTICIPANT_ID) or id_of(participant.pop(fields.ID_KEY, None))
    if bound_id and bound_id != participant_id:
        # Another participant than the known one, whose name does not apply.
        participant_id, name = bound_id, None
    if participant_id:
        participant_id = plain.id(participant_id)
        made[fields.PARTICIPANT_ID] = participant_id
        participant = {fields.ID_KEY: participant_id, **participant}
    if name and fields.NAME_KEY not in participant:
        participant[fields.NAME_KEY] = plain.text(name)
    if participant:
        made[fields.PARTICIPANT] = participant
