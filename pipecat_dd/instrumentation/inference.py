"""Records inference outside the pipeline, by any LLM service.

A service that only writes summaries, or that a classifier uses, is in no pipeline. Therefore
``run_inference`` is patched on the classes of LLM services, once per process. Each call is
recorded in the session whose code makes it; a call from outside all sessions is not recorded.
"""

import asyncio
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.context import WorkContext, current, current_context
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import (
    MAX_CONTENT_CHARS,
    ModelCalls,
    Phase,
    Processor,
    Role,
    Service,
    Session,
    Stage,
)
from pipecat_dd.instrumentation.patches import Patches
from pipecat_dd.names import tags

_lock = threading.Lock()
_wrapped: "weakref.WeakSet[type]" = weakref.WeakSet()


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


class InferenceContext(WorkContext):
    """The work context of a task that runs inference outside the pipeline.

    Attributes:
        instance: The LLM service.
    """

    __slots__ = ("instance",)

    def __init__(self, session: Session, processor: Processor, stage: Stage, instance: Any) -> None:
        super().__init__(session, processor, stage)
        self.instance = instance


def patch_inference() -> None:
    """Patch ``run_inference`` on the classes of LLM services that are not patched yet."""
    with _guard.instrumentation.guarded(), _lock:
        for kind in _pipecat.inference_classes():
            if kind not in _wrapped:
                _wrapped.add(kind)
                setattr(kind, _pipecat.RUN_INFERENCE, _asking(kind.__dict__["run_inference"]))


def _asking(inner: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(inner)
    async def run_inference(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = None
        with _guard.conversation.guarded():
            begun = _begin(self, args, kwargs)
        if begun is None:
            return await inner(self, *args, **kwargs)
        asking, inferences = begun
        token = current.set(asking)
        failed: BaseException | None = None
        answer = None
        try:
            with _reading_usage(self):
                answer = await inner(self, *args, **kwargs)
                return answer
        except BaseException as error:
            failed = error
            raise
        finally:
            with contextlib.suppress(ValueError):
                # Raised if the garbage collector closes the coroutine, in another context.
                current.reset(token)
            with _guard.conversation.guarded():
                _end(asking.bound, inferences, answer, failed)

    return run_inference


def _begin(
    instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[InferenceContext, ModelCalls] | None:
    if _guard.instrumentation.off or _guard.conversation.off:
        return None
    work = current_context()
    if isinstance(work, InferenceContext) and work.instance is instance:
        return None  # a subclass's method calls the one of its base class
    owner, processor = stack_lookup.owner_of(instance)
    session = owner if work is None or work.session is None else work.session
    if session is None or session.phase is not Phase.RUNNING or session.inferences is None:
        return None
    if processor is None or owner is not session:
        name = str(getattr(instance, "name", type(instance).__name__))
        class_name = type(instance).__name__
        held = weakref.ref(instance)
        processor = Processor(
            name, class_name, class_name, Role.LLM, service=lambda: _service_of(held)
        )
    within = None if work is None else work.bound
    stage = session.inferences.begin(processor, time.time_ns(), within)
    context = args[0] if args else kwargs.get("context")
    messages, tools = _pipecat.context_counts(context)
    max_tokens = args[1] if len(args) > 1 else kwargs.get("max_tokens")
    stage.set(tags.LLM_MESSAGE_COUNT, messages)
    stage.set(tags.LLM_TOOL_COUNT, tools)
    stage.set(tags.gen_ai_request("max_tokens"), max_tokens)
    if session.capture_content:
        text = _pipecat.context_text(context, MAX_CONTENT_CHARS)
        stage.add_content(tags.GEN_AI_INPUT_MESSAGES, text)
    return InferenceContext(session, processor, stage, instance), session.inferences


def _service_of(held: "weakref.ref[Any]") -> Service:
    return _pipecat.service_of(held())


def _end(
    stage: Stage | None, inferences: ModelCalls, answer: Any, failed: BaseException | None
) -> None:
    assert stage is not None
    if isinstance(answer, str):
        stage.add_content(tags.GEN_AI_OUTPUT_MESSAGES, answer)
    inferences.end(
        stage,
        time.time_ns(),
        failure=Failure.of(failed) if isinstance(failed, Exception) else None,
        interrupted=isinstance(failed, (asyncio.CancelledError, GeneratorExit)),
    )


# The tokens that an inference uses


class _Read:
    """Reads the answers of an SDK's client while any inference is in progress on it."""

    def __init__(self, begin: Callable[[], Callable[[], None]]) -> None:
        self.count = 0
        self._begin = begin
        self._end: Callable[[], None] | None = None

    def enter(self) -> None:
        self.count += 1
        if self._end is None:
            self._end = self._begin()

    def leave(self) -> None:
        self.count -= 1
        if self.count == 0 and self._end is not None:
            end, self._end = self._end, None
            end()


_reads: dict[int, _Read] = {}


@contextmanager
def _reading_usage(service: Any) -> Iterator[None]:
    key, read = 0, None
    with _guard.instrumentation.guarded():
        found = _usage_of(service)
        if found is not None:
            key, begin = found
            read = _reads.setdefault(key, _Read(begin))
            read.enter()
    try:
        yield
    finally:
        if read is not None:
            with _guard.instrumentation.guarded():
                read.leave()
                if read.count == 0:
                    _reads.pop(key, None)


def _usage_of(service: Any) -> tuple[int, Callable[[], Callable[[], None]]] | None:
    """Return how to read a service's token usage; None if there is no way.

    Returns:
        A key for the SDK's object that reports the usage, and a function that starts reading and
        returns another one that stops it.
    """
    call = _pipecat.asking_call(service)
    if call is not None:

        def begin() -> Callable[[], None]:
            replaced = Patches()
            replaced.patch(call.owner, call.name, _recording(getattr(call.owner, call.name)))
            return replaced.undo

        return id(call.owner), begin
    session = _pipecat.bedrock_session(service)
    if session is not None:

        def register() -> Callable[[], None]:
            session.register(_pipecat.BEDROCK_ANSWERED, _note_answer)
            return lambda: session.unregister(_pipecat.BEDROCK_ANSWERED, _note_answer)

        return id(session), register
    return None


def _recording(inner: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(inner)
    def ask(*args: Any, **kwargs: Any) -> Any:
        asked = inner(*args, **kwargs)
        # The conversation's own requests are streamed, and left unchanged.
        return _noted(asked) if isinstance(current.get(), InferenceContext) else asked

    return ask


async def _noted(asked: Any) -> Any:
    answer = await asked
    _note(answer)
    return answer


def _note_answer(parsed: Any = None, **_: Any) -> None:
    _note(parsed)


def _note(answer: Any) -> None:
    with _guard.conversation.guarded():
        asking = current.get()
        if (
            isinstance(asking, InferenceContext)
            and asking.bound is not None
            and asking.session is not None
        ):
            inferences = asking.session.inferences
            if inferences is not None:
                inferences.use(asking.bound, _pipecat.tokens_of(answer))
