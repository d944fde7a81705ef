"""Removes or redacts content on all spans of LLM Observability.

ddtrace's integrations report each model's prompts and answers. If a session does not capture
content, all spans that were opened in it, including the user's own, lose their content before they
leave the process.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.conversation.context import current_context
from pipecat_dd.conversation.model import Phase, Session
from pipecat_dd.export.redaction import InForce
from pipecat_dd.names import tags

_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()
_redactor = InForce()

_MEDIA = ("audio_parts", "image_parts")
_AS_THEY_ARE = ("role", "type", *_MEDIA)


def knows(session: Session) -> None:
    """Register a session; unless it captures content, content is removed from its spans."""
    _sessions.add(session)


def process(span: Any) -> bool:
    """Remove content from a span, or redact it. Never raises.

    Args:
        span: An ``LLMObsSpan``, as ddtrace passes it to a span processor.

    Returns:
        Whether content was removed.
    """
    try:
        captures = _captures(_tag(span, tags.SESSION_ID))
        if captures is False:
            _empty(span)
            return True
        if captures:
            span.input = [_redacted(message) for message in span.input]
            span.output = [_redacted(message) for message in span.output]
            span.metadata = _mapped(getattr(span, "metadata", {}))
    except Exception as error:
        _guard.llmobs.failed(error)
        span.input = [{"role": "", "content": ""}]
        span.output = [{"role": "", "content": ""}]
        span.metadata = {}
        return True
    return False


def empty_rest(meta: dict[str, Any]) -> None:
    """Remove content that span processors do not see: documents, templates, tools, instructions.

    Args:
        meta: ddtrace's data on a span.
    """
    for name in ("tool_definitions", "intent"):
        meta.pop(name, None)
    for name in ("input", "output"):
        part = meta.get(name)
        if isinstance(part, dict):
            part.pop("prompt", None)
            if part.get("documents"):
                part["documents"] = [{**_figures(one), "text": ""} for one in part["documents"]]
    metadata = meta.get("metadata") or {}
    ddtraces = metadata.pop("_dd", None)
    kept = _figures(metadata)
    if isinstance(ddtraces, dict):
        # An agent's instructions and tools, declared by an integration or the user.
        ddtraces.pop("agent_manifest", None)
        kept["_dd"] = ddtraces
    metadata.clear()
    metadata.update(kept)


def _tag(span: Any, name: str) -> str | None:
    try:
        found = span.get_tag(name)
    except Exception:  # raised if the span has no tags
        return None
    return None if found is None else str(found)


def _captures(session_id: str | None) -> bool | None:
    """Return whether content may be sent; None if it belongs to no session."""
    sessions = list(_sessions)
    meant = [session for session in sessions if session.id == session_id]
    if not meant:
        place = current_context()
        if place is not None and place.session is not None:
            meant = [place.session]
    if not meant:
        # The session is unknown, and may be one that does not capture content.
        meant = [session for session in sessions if session.phase is not Phase.ENDED]
    return all(session.capture_content for session in meant) if meant else None


def _empty(span: Any) -> None:
    # Emptied one by one: given no messages at all, ddtrace keeps those that it had.
    span.input = [_emptied(message) for message in span.input]
    span.output = [_emptied(message) for message in span.output]
    metadata = getattr(span, "metadata", None)
    span.metadata = _figures(metadata) if isinstance(metadata, dict) else {}


def _emptied(message: Any) -> dict[str, str]:
    role = message.get("role", "") if isinstance(message, dict) else ""
    return {"role": str(role), "content": ""}


def _figures(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if isinstance(value, (bool, int, float))}


def _redacted(message: Any) -> Any:
    if not isinstance(message, dict):
        return _mapped(message)
    return {
        name: value if name in _AS_THEY_ARE else _mapped(value) for name, value in message.items()
    }


def _mapped(value: Any, change: Callable[[str], str] = _redactor.text) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(part, change) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(part, change) for part in value]
    return value
