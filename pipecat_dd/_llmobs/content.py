"""Removes content from spans: in a span processor, and where span processors do not see it."""

import threading
from collections.abc import Callable
from typing import Any

from pipecat_dd import _guard
from pipecat_dd._ddtrace import Span
from pipecat_dd._llmobs.on import llmobs

_here = threading.local()
"""In this thread: ``emptied``, whether content was removed from the span being processed."""


class _Processor:
    """A span processor for LLM Observability that calls the user's, and then ours."""

    def __init__(self, users: Callable[[Any], Any] | None, process: Callable[[Any], bool]) -> None:
        self._users = users
        self._process = process

    def __call__(self, span: Any) -> Any:
        try:
            result = span if self._users is None else self._users(span)
        except Exception:
            # ddtrace logs the error, and sends the span that it passed in.
            self._take(span)
            raise
        if result is not span:
            self._take(span)
        if result is not None:
            self._take(result)
        return result

    def _take(self, span: Any) -> None:
        _here.emptied = self._process(span) or getattr(_here, "emptied", False)


def chain(instance: Any, process: Callable[[Any], bool]) -> None:
    """Process spans after the user's own processor, whenever that was registered."""
    with _guard.llmobs.guarded():
        users = getattr(instance, "_user_span_processor", None)
        if not isinstance(users, _Processor):
            llmobs().register_processor(_Processor(users, process))


def take_content_out(
    instance: Any, process: Callable[[Any], bool], rest: Callable[[dict[str, Any]], None]
) -> None:
    """Process spans, including the parts of them that span processors do not see."""
    chain(instance, process)
    # The method that calls the processor, and in ddtrace 4.0 does other things, too.
    is_alone = hasattr(instance, "_apply_user_span_processor")
    name = "_apply_user_span_processor" if is_alone else "_llmobs_span_event"
    inner = getattr(instance, name, None)
    if inner is None:
        return

    def passes(span: Span, *args: Any, **kwargs: Any) -> Any:
        _here.emptied = False
        chain(instance, process)
        result = inner(span, *args, **kwargs)
        if _here.emptied and result is not None:
            with _guard.llmobs.guarded():
                sent: Any = (span._get_struct_tag("_llmobs") if is_alone else result) or {}
                meta = sent.get("meta") or {}
                try:
                    rest(meta)
                except Exception:
                    meta.clear()
                    raise
        return result

    setattr(instance, name, passes)
