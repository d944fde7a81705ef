"""Stands in each processor's own task while it works.

``process_frame`` and ``push_frame`` are replaced on each processor *instance*: Pipecat calls
both through the instance, so the class and every other session are left alone. The wrapped
method is awaited in place, with the same arguments; what it returns and raises passes through.

For media the wrapper is a plain function that returns the inner coroutine, so no layer is
added to the path that is taken fifty times a second in every processor.
"""

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.hearing.ear import Ear
from pipecat_dd.hearing.moments import Table, Traffic, opens_response
from pipecat_dd.knowing.conversation import Conversation
from pipecat_dd.knowing.place import Place, Visit, here
from pipecat_dd.knowing.processor import Processor, Role
from pipecat_dd.knowing.stage import Failure

Method = Callable[..., Awaitable[Any]]


class Hooks:
    """Wraps the processors of one session's pipeline, and unwraps them at its end.

    Attributes:
        is_on: Whether the pipeline is wrapped.
        instances: The processors that are.
    """

    def __init__(self, conversation: Conversation, ear: Ear, table: Table) -> None:
        """Prepare to wrap.

        Args:
            conversation: The conversation that the processors hold.
            ear: Hears what they push.
            table: Says what a frame means.
        """
        self._conversation = conversation
        self._ear = ear
        self._table = table
        self._undo: list[Callable[[], None]] = []
        self._known: set[int] = set()
        self.instances: list[Any] = []
        self.is_on = False

    def wraps(self, processor: Any) -> bool:
        """Whether a processor is wrapped.

        Args:
            processor: The processor.
        """
        return id(processor) in self._known

    def install(self, outermost: Any) -> None:
        """Wrap all processors of a pipeline.

        Args:
            outermost: The pipeline.
        """
        self.is_on = True
        instances = [
            instance
            for instance in _pipecat.walk(outermost)
            if id(instance) not in self._known and not _pipecat.is_compound(instance)
        ]
        for instance in instances:
            self._note(instance, [type(other).__name__ for other in instances])
        for instance in instances:
            self.wrap(instance)
        self._conversation.analyzer = _pipecat.analyzer_of(*instances) or "vad"

    def wrap(self, instance: Any) -> None:
        """Wrap one processor.

        Args:
            instance: The processor.
        """
        if id(instance) in self._known:
            return
        if _pipecat.is_compound(instance):
            return
        self._known.add(id(instance))
        self.instances.append(instance)
        processor = self._conversation.session.processors.get(instance.name)
        if processor is None:
            processor = self._note(instance, [type(instance).__name__])
        self._replace(instance, "process_frame", self._visiting(instance, processor))
        self._replace(instance, "push_frame", self._pushing(instance, processor))
        if processor.role is Role.TTS:
            self._replace(instance, "run_tts", self._synthesizing(instance, processor))

    def remove(self) -> None:
        """Put everything back as it was."""
        self.is_on = False
        undo, self._undo = self._undo, []
        for step in reversed(undo):
            with _guard.hearing.guarded():
                step()
        self._known.clear()
        self.instances.clear()

    def _note(self, instance: Any, classes: list[str]) -> Processor:
        processors = self._conversation.session.processors
        class_name = type(instance).__name__
        role = _pipecat.role_of(instance)
        is_service = role in (Role.LLM, Role.STT, Role.TTS)
        key = class_name
        if classes.count(class_name) > 1:
            same = sum(other.class_name == class_name for other in processors.values())
            key = f"{class_name}.{same}"
        processor = Processor(
            name=instance.name,
            class_name=class_name,
            key=key,
            role=role,
            is_users=_pipecat.is_users(instance),
            service=(lambda: _pipecat.service_of(instance)) if is_service else None,
        )
        processors[instance.name] = processor
        return processor

    def _replace(self, instance: Any, name: str, wrapper: Method) -> None:
        before = instance.__dict__.get(name)
        setattr(instance, name, wrapper)

        def restore() -> None:
            if instance.__dict__.get(name) is not wrapper:
                return  # somebody has wrapped it since; ours passes everything through
            if before is None:
                delattr(instance, name)
            else:
                setattr(instance, name, before)

        self._undo.append(restore)

    # The wrappers

    def _pushing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.push_frame
        known, find, hears = self._table.known, self._table.find, self._ear.hears

        def push_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            kind = type(frame)
            traffic, moment = known.get(kind) or find(kind)
            if moment is not None and self.is_on:
                # Each chunk of audio counts where it is made and where it is written.
                hears(moment, frame, processor, instance, once=traffic is Traffic.MEANT)
            return inner(frame, *args, **kwargs)

        return push_frame

    def _visiting(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.process_frame
        known, find, hears = self._table.known, self._table.find, self._ear.hears
        session = self._conversation.session
        idle = Place(session, processor)
        is_llm = processor.role is Role.LLM
        has_own_task = not _pipecat.runs_in_pushers_task(instance)
        bind, unbind, now_ns = here.set, here.reset, time.time_ns

        async def visit(frame: Any, *args: Any, **kwargs: Any) -> Any:
            visit = Visit(session, processor, type(frame).__name__, now_ns())
            token = bind(visit)
            try:
                if is_llm and opens_response(frame):
                    self._begin_response(visit, processor, frame)
                return await inner(frame, *args, **kwargs)
            except BaseException as error:
                visit.failure = error
                raise
            finally:
                visit.done = True
                if visit.stage is not None or visit.failure is not None:
                    self._end(visit)
                # The garbage collector closes a coroutine from another context.
                with contextlib.suppress(ValueError):
                    unbind(token)

        def process_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            if not self.is_on:
                return inner(frame, *args, **kwargs)
            kind = type(frame)
            traffic, moment = known.get(kind) or find(kind)
            if traffic is Traffic.MEDIA or traffic is Traffic.MEDIA_MEANT:
                if has_own_task:
                    bind(idle)
                return inner(frame, *args, **kwargs)
            if moment is not None:
                # Pushed by something that is not wrapped: the pipeline's source, say.
                hears(moment, frame, None, None)
            return visit(frame, *args, **kwargs)

        return process_frame

    def _synthesizing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.run_tts

        def run_tts(text: str, context_id: Any = None, *args: Any, **kwargs: Any) -> Any:
            if self.is_on:
                with _guard.knowing.guarded():
                    self._conversation.bot.synthesis_begins(
                        processor, time.time_ns(), str(context_id)
                    )
            return inner(text, context_id, *args, **kwargs)

        return run_tts

    def _begin_response(self, visit: Visit, processor: Processor, frame: Any) -> None:
        with _guard.knowing.guarded():
            stage = self._conversation.bot.response_begins(processor, visit.start_ns)
            messages, tools = _pipecat.context_counts(frame)
            stage.know(llm__message_count=messages, llm__tool_count=tools)
            visit.stage = stage

    def _end(self, visit: Visit) -> None:
        with _guard.knowing.guarded():
            at_ns = time.time_ns()
            stage = visit.stage
            error = visit.failure
            failed = error is not None and isinstance(error, Exception)
            if failed and stage is None:
                stage = self._conversation.visit_stage(visit)
            if stage is None:
                return
            if failed and error is not None:
                stage.fail(Failure.of(error))
            self._conversation.visit_ends(stage, at_ns, cancelled=error is not None and not failed)
