"""Puts our wrappers around the processors of a pipeline, and takes them off again.

``process_frame`` and ``push_frame`` are replaced on each processor *instance*: Pipecat calls
both through the instance, so the class and every other session are left alone. The wrapped
method is awaited in place, with the same arguments; what it returns and raises passes through.
What a processor works on is noted in :mod:`~pipecat_dd.instrumentation.frame_tracker`.
"""

import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.context import FrameProcessing, current, current_context
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Processor, Role, Service
from pipecat_dd.conversation.pipelines import Pipeline
from pipecat_dd.instrumentation.answering import answers_spoken
from pipecat_dd.instrumentation.background_tasks import watching_callbacks
from pipecat_dd.instrumentation.declared import declared_kinds
from pipecat_dd.instrumentation.dispatcher import FrameDispatcher
from pipecat_dd.instrumentation.frame_tracker import FrameTracker, Method
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable
from pipecat_dd.instrumentation.handlers import noting
from pipecat_dd.instrumentation.inference import patch_inference
from pipecat_dd.instrumentation.patches import Patches
from pipecat_dd.instrumentation.segments import reporting_completion
from pipecat_dd.instrumentation.workers import Workers, claim
from pipecat_dd.names import tags


class PipelineInstrumentation:
    """Wraps the processors of one session's pipeline, and unwraps them at its end.

    Attributes:
        is_on: Whether the pipeline is wrapped.
        instances: The processors that are.
        workers: Listens to the workers whose pipelines they are in.
        heard: The ids, as of :func:`id`, of these and of what only holds them.
    """

    def __init__(
        self,
        conversation: Conversation,
        dispatcher: FrameDispatcher,
        table: FrameTraitsTable,
        tracker: FrameTracker,
    ) -> None:
        """Prepare to wrap.

        Args:
            conversation: The conversation that the processors hold.
            dispatcher: Hears what they push.
            table: Says what a frame means.
            tracker: Notes what they work on.
        """
        self._conversation = conversation
        self._tracker = tracker
        self._dispatcher = dispatcher
        self._table = table
        self._replaced = Patches()
        self._known: set[int] = set()
        self._noted: dict[int, Processor] = {}
        self.covered_ids: set[int] = set()
        self._outermost: set[int] = set()
        self.instances: list[Any] = []
        self.workers = Workers(conversation, table)
        self.is_on = False
        patch_inference()

    def is_patched(self, processor: Any) -> bool:
        """Whether a processor is wrapped, or could not be.

        Args:
            processor: The processor.
        """
        return id(processor) in self._known

    def is_covered(self, processor: Any) -> bool:
        """Whether a processor is wrapped, or need not be.

        Args:
            processor: The processor.
        """
        return id(processor) in self.covered_ids

    def has_installed(self, outermost: Any) -> bool:
        """Whether a pipeline's processors are wrapped.

        Args:
            outermost: The pipeline.
        """
        return id(outermost) in self._outermost

    def install(self, outermost: Any) -> None:
        """Wrap all processors of a pipeline.

        Args:
            outermost: The pipeline.
        """
        self.is_on = self._tracker.is_on = True
        patch_inference()
        self._outermost.add(id(outermost))
        # What only holds others says nothing that those do not.
        self.covered_ids.update(map(id, filter(_pipecat.is_compound, _pipecat.walk(outermost))))
        instances = [
            instance
            for instance in _pipecat.walk(outermost)
            if id(instance) not in self._known and not _pipecat.is_compound(instance)
        ]
        pipeline = None
        with _guard.instrumentation.guarded():
            pipeline = self.workers.listen(outermost)
        spoken = _pipecat.having_behind(outermost, lambda p: _pipecat.role_of(p) is Role.TTS)
        for instance in instances:
            with _guard.instrumentation.guarded():
                classes = [type(other).__name__ for other in instances]
                processor = self._note(instance, classes, pipeline)
                processor.has_voice_behind = id(instance) in spoken
        for instance in instances:
            # Each by itself: one that cannot be wrapped is heard by the observer's queue.
            with _guard.instrumentation.guarded():
                self.patch(instance)
        # A second worker's pipeline has none as a rule: the first's hears the user.
        conversation = self._conversation
        conversation.analyzer = _pipecat.analyzer_of(*instances) or conversation.analyzer
        conversation.strategy = _pipecat.stop_strategy_of(*instances) or conversation.strategy

    def patch(self, instance: Any) -> None:
        """Wrap one processor.

        Args:
            instance: The processor.
        """
        if id(instance) in self._known:
            return
        if _pipecat.is_compound(instance):
            return
        self._known.add(id(instance))
        # Before Pipecat 1.8 a processor does not lead to its pipeline.
        claim(instance, self._conversation.session)
        processor = self._noted.pop(id(instance), None)
        if processor is None:
            pipeline = self.workers.of(instance)
            processor = self._note(instance, [type(instance).__name__], pipeline)
            self._noted.pop(id(instance), None)
        self._own(instance, processor)
        self._replaced.patch(instance, "process_frame", self._tracker.tracking(instance, processor))
        self._replaced.patch(instance, "push_frame", self._pushing(instance, processor))
        runner = _pipecat.handler_runner(instance)
        if runner is not None:
            handling = self._handling(instance, processor, runner)
            self._replaced.patch(instance, _pipecat.RUN_HANDLER, handling)
        if processor.role is Role.TTS:
            self._replaced.patch(instance, "run_tts", self._synthesizing(instance, processor))
        if _pipecat.is_a(instance, "LLMAssistantAggregator"):
            watching = watching_callbacks(
                instance.create_task, self._conversation.turns, lambda: self._tracker.is_on
            )
            self._replaced.patch(instance, "create_task", watching)
        if processor.role is Role.STT and _pipecat.is_a(instance, "SegmentedSTTService"):
            through = reporting_completion(
                instance.process_generator,
                processor,
                self._conversation.user,
                lambda: self._tracker.is_on,
            )
            self._replaced.patch(instance, "process_generator", through)
            self._conversation.user.transcriptions.by_segment.add(processor)
        self.covered_ids.add(id(instance))
        self.instances.append(instance)

    def _own(self, instance: Any, processor: Processor) -> None:
        """Let what a processor does in a thread of an SDK's be known as the session's work."""
        session = self._conversation.session
        stack_lookup.register(session, instance, processor)
        for behind in _pipecat.behind(instance):
            stack_lookup.register(session, behind)

    def remove(self) -> None:
        """Put everything back as it was."""
        self.is_on = self._tracker.is_on = False
        self.workers.remove()
        self._replaced.undo()
        self._known.clear()
        self._noted.clear()
        self.covered_ids.clear()
        self.instances.clear()

    def _note(
        self, instance: Any, classes: list[str], pipeline: Pipeline | None = None
    ) -> Processor:
        processors = self._conversation.session.processors
        class_name = type(instance).__name__
        role = _pipecat.role_of(instance)
        is_service = role in (Role.LLM, Role.STT, Role.TTS)
        key = class_name
        if classes.count(class_name) > 1 or any(key == p.key for p in processors.values()):
            same = sum(other.class_name == class_name for other in processors.values())
            key = f"{class_name}.{same}"
        processor = Processor(
            name=instance.name,
            class_name=class_name,
            key=key,
            role=role,
            is_users=_pipecat.is_users(instance),
            service=_service_of(instance) if is_service else None,
            kinds=declared_kinds(instance),
            pipeline=pipeline,
        )
        if pipeline is not None and role in (Role.INPUT, Role.OUTPUT):
            pipeline.has_transport = True
        self._noted[id(instance)] = processor
        # By a name that the user has given to two, the first is found.
        name, count = instance.name, 1
        while name in processors:
            count += 1
            name = f"{instance.name} ({count})"
        processors[name] = processor
        return processor

    # The wrappers

    def _pushing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.push_frame
        known, find, hears = self._table.cached, self._table.find, self._dispatcher.dispatch
        heard_before, tracker = self._dispatcher.seen_ids, self._tracker

        def push_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            try:
                kind = type(frame)
                meaning = known.get(kind) or find(kind)
                if meaning.handler is not None and tracker.is_on and frame.id not in heard_before:
                    # Each chunk of audio counts where it is made and where it is written.
                    hears(meaning.handler, frame, processor, instance, once=not meaning.is_media)
                if meaning.purpose is not None and processor.pipeline is not None:
                    processor.pipeline.pass_on(processor, meaning.purpose)
            except Exception as error:
                _guard.instrumentation.failed(error)
            # Less to do where, as nearly always, nothing is given by name.
            return inner(frame, *args, **kwargs) if kwargs else inner(frame, *args)

        return push_frame

    def _handling(self, instance: Any, processor: Processor, inner: Method) -> Method:
        """Pass on each handler of the processor's events, noting what it raises."""

        def failing(event_name: str) -> Callable[[Exception], None]:
            def failed(error: Exception) -> None:
                with _guard.conversation.guarded():
                    self._conversation.record_error(
                        processor, current.get(), Failure.of(error), time.time_ns(), event_name
                    )

            return failed

        def _run_handler(event_name: str, handler: Any, *args: Any, **kwargs: Any) -> Any:
            if self._tracker.is_on:
                with _guard.instrumentation.guarded():
                    handler = noting(handler, (instance, *args), kwargs, failing(event_name))
            return inner(event_name, handler, *args, **kwargs)

        return _run_handler

    def _synthesizing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.run_tts

        def run_tts(*args: Any, **kwargs: Any) -> Any:
            if self._tracker.is_on:
                with _guard.conversation.guarded():
                    given = dict(zip(("text", "context_id"), args, strict=False)) | kwargs
                    text, context_id = str(given.get("text", "")), str(given.get("context_id"))
                    self._synthesize(instance, processor, text, context_id)
            return inner(*args, **kwargs)

        return run_tts

    def _synthesize(self, instance: Any, processor: Processor, text: str, context_id: str) -> None:
        bot, work = self._conversation.bot, current_context()
        if work is None or work.processor is not processor:
            bot.syntheses.begin_aside(processor, time.time_ns(), context_id, text)
            return
        if isinstance(work, FrameProcessing) and _pipecat.is_aside(work.frame):
            stage = bot.syntheses.begin_backchannel(processor, time.time_ns(), context_id)
        else:
            stage = bot.syntheses.begin(
                processor, time.time_ns(), context_id, answers_spoken(bot.answers, processor)
            )
        before = stage.content.get(tags.TTS_TEXT, "")
        stage.add_content(tags.TTS_TEXT, _pipecat.spoken_join(instance, before, text))


def _service_of(instance: Any) -> Callable[[], Service]:
    # What is known of a session outlives its pipeline, in contexts of tasks and in registries; it
    # must not hold the pipeline, and all that hangs on it.
    held = weakref.ref(instance)
    return lambda: _pipecat.service_of(held())
