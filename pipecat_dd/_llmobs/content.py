"""Taking content out of spans: the processor they pass by, and what it is not shown of them."""

import threading
from collections.abc import Callable
from typing import Any

from pipecat_dd import _guard
from pipecat_dd._ddtrace import Span
from pipecat_dd._llmobs.on import llmobs

_here = threading.local()
"""In this thread: ``emptied``, whether content was taken out of the span that is about to leave."""


class _Processor:
    """The processor of LLM Observability's spans: the user's, and then ours."""

    def __init__(self, users: Callable[[Any], Any] | None, process: Callable[[Any], bool]) -> None:
        self._users = users
        self._process = process

    def __call__(self, span: Any) -> Any:
        try:
            result = span if self._users is None else self._users(span)
        except Exception:
            # ddtrace says so, and sends the span that it gave.
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
    """Have spans pass by us after the user's own processor, whenever that was registered."""
    with _guard.llmobs.guarded():
        users = getattr(instance, "_user_span_processor", None)
        if not isinstance(users, _Processor):
            llmobs().register_processor(_Processor(users, process))


def take_content_out(
    instance: Any, process: Callable[[Any], bool], rest: Callable[[dict[str, Any]], None]
) -> None:
    """Have spans pass by us, with what a processor is not shown of them."""
    chain(instance, process)
    # The step that calls the processor: by itself, or, in ddtrace 4.0, with the rest.
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
                told: Any = (span._get_struct_tag("_llmobs") if is_alone else result) or {}
                meta = told.get("meta") or {}
                try:
                    rest(meta)
                except Exception:
                    meta.clear()
                    raise
        return result

    setattr(instance, name, passes)
