"""Patches the processors of a pipeline, and removes the patches again.

``process_frame`` and ``push_frame`` are replaced on each processor *instance*. Pipecat calls both
through the instance, so neither the class nor any other session is affected. A patch awaits the
original method in place, with the same arguments; results and exceptions pass through unchanged.
:mod:`~pipecat_dd.instrumentation.frame_tracker` records which frame a processor is processing.
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
from pipecat_dd.instrumentation.audio_out import WRITE, recording_writes
from pipecat_dd.instrumentation.background_tasks import watching_callbacks
from pipecat_dd.instrumentation.declared import declared_kinds
from pipecat_dd.instrumentation.dispatcher import FrameDispatcher
from pipecat_dd.instrumentation.frame_handlers import VOICE_ROLES
from pipecat_dd.instrumentation.frame_tracker import FrameTracker, Method, first_of
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable
from pipecat_dd.instrumentation.handlers import reporting_failures
from pipecat_dd.instrumentation.inference import patch_inference
from pipecat_dd.instrumentation.patches import Patches
from pipecat_dd.instrumentation.segments import reporting_completion
from pipecat_dd.instrumentation.service_events import ServiceEventInstrumentation
from pipecat_dd.instrumentation.user_audio import UserAudioInstrumentation
from pipecat_dd.instrumentation.workers import Workers, claim
from pipecat_dd.names import tags


class PipelineInstrumentation:
    """Patches the processors of one session, and removes the patches at its end.

    Attributes:
        is_on: Whether a pipeline is patched.
        instances: The patched processors.
        workers: Listens to the workers whose pipelines hold them.
        events: Listens to their events.
        covered_ids: The ids, as of :func:`id`, of these processors and of the compound processors
            (such as a parallel pipeline) that only hold others.
    """

    def __init__(
        self,
        conversation: Conversation,
        dispatcher: FrameDispatcher,
        table: FrameTraitsTable,
        tracker: FrameTracker,
        events: ServiceEventInstrumentation,
    ) -> None:
        """Prepare to patch; nothing is patched yet.

        Args:
            conversation: The conversation in which the processors take part.
            dispatcher: Receives the frames that they push.
            table: Knows what each class of frame means.
            tracker: Records what they process.
            events: Records their events.
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
        self._user_audio = UserAudioInstrumentation(
            conversation, self._replaced, lambda: self._tracker.is_on
        )
        self.events = events
        self.is_on = False
        patch_inference()

    def is_patched(self, processor: Any) -> bool:
        """Whether a processor is patched, or an attempt to patch it has failed."""
        return id(processor) in self._known

    def is_covered(self, processor: Any) -> bool:
        """Whether a processor is patched, or need not be because it only holds others."""
        return id(processor) in self.covered_ids

    def has_installed(self, outermost: Any) -> bool:
        """Whether a pipeline's processors are patched.

        Args:
            outermost: The worker's own pipeline, which holds all others.
        """
        return id(outermost) in self._outermost

    def install(self, outermost: Any) -> None:
        """Patch all processors of a pipeline.

        Args:
            outermost: The worker's own pipeline, which holds all others.
        """
        self.is_on = self._tracker.is_on = True
        patch_inference()
        self._outermost.add(id(outermost))
        # A compound processor pushes nothing that those within it do not push.
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
            # Each guarded by itself: if one cannot be patched, the observer's queue still
            # delivers its frames.
            with _guard.instrumentation.guarded():
                self.patch(instance)
        for compound in filter(_pipecat.is_compound, _pipecat.walk(outermost)):
            with _guard.instrumentation.guarded():
                self.events.listen(compound, None)
        # A second worker's pipeline usually has none: the user's audio goes to the first.
        conversation = self._conversation
        analyzer = _pipecat.analyzer_of(*instances)
        conversation.analyzer = analyzer or conversation.analyzer
        conversation.has_detector = conversation.has_detector or analyzer is not None
        conversation.strategy = _pipecat.stop_strategy_of(*instances) or conversation.strategy

    def patch(self, instance: Any) -> None:
        """Patch one processor, unless it is patched already or only holds others."""
        if id(instance) in self._known:
            return
        if _pipecat.is_compound(instance):
            return
        self._known.add(id(instance))
        # Before Pipecat 1.8 a processor has no reference to its pipeline.
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
        if processor.role is Role.OUTPUT and hasattr(instance, WRITE):
            writing = recording_writes(
                instance, processor, self._conversation.bot.voice, lambda: self._tracker.is_on
            )
            self._replaced.patch(instance, WRITE, writing)
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
        self._user_audio.meet(instance, processor)
        self.covered_ids.add(id(instance))
        self.instances.append(instance)
        with _guard.instrumentation.guarded():
            self.events.listen(instance, processor)

    def _own(self, instance: Any, processor: Processor) -> None:
        """Attribute to the session what a processor does in the threads of an SDK."""
        session = self._conversation.session
        stack_lookup.register(session, instance, processor)
        for behind in _pipecat.behind(instance):
            stack_lookup.register(session, behind)

    def remove(self) -> None:
        """Remove all patches."""
        self.is_on = self._tracker.is_on = False
        self.workers.remove()
        self.events.remove()
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
        # If the user gave two processors the same name, it stands for the first.
        name, count = instance.name, 1
        while name in processors:
            count += 1
            name = f"{instance.name} ({count})"
        processors[name] = processor
        return processor

    # The patches

    def _pushing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.push_frame
        known, find, dispatch = self._table.cached, self._table.find, self._dispatcher.dispatch
        seen_before, tracker = self._dispatcher.seen_ids, self._tracker
        has_voice = processor.role in VOICE_ROLES
        ignored: set[type] = set()

        def note(frame: Any) -> None:
            kind = type(frame)
            meaning = known.get(kind) or find(kind)
            if (meaning.is_media and not has_voice) or (
                meaning.handler is None and meaning.purpose is None
            ):
                ignored.add(kind)
                return
            if meaning.handler is not None and tracker.is_on and frame.id not in seen_before:
                # Audio counts twice: where it is generated and where it is written.
                dispatch(meaning.handler, frame, processor, instance, once=not meaning.is_media)
            if meaning.purpose is not None and processor.pipeline is not None:
                processor.pipeline.pass_on(processor, meaning.purpose)

        def push_frame(frame: Any, direction: Any = _pipecat.DOWNSTREAM) -> Awaitable[Any]:
            try:
                if type(frame) not in ignored:
                    note(frame)
            except Exception as error:
                _guard.instrumentation.failed(error)
            return inner(frame, direction)

        def push_frame_as_users(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            try:
                frame = first_of(args, kwargs)
                if type(frame) not in ignored:
                    note(frame)
            except Exception as error:
                _guard.instrumentation.failed(error)
            return inner(*args, **kwargs)

        # A user's own method may have another signature than Pipecat's.
        is_pipecats = _pipecat.has_frame_parameters(inner, _pipecat.DOWNSTREAM)
        return push_frame if is_pipecats else push_frame_as_users

    def _handling(self, instance: Any, processor: Processor, inner: Method) -> Method:
        """Pass on each handler of the processor's events, recording what it raises."""

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
                    handler = reporting_failures(
                        handler, (instance, *args), kwargs, failing(event_name)
                    )
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
        doing = work if isinstance(work, FrameProcessing) else None
        is_kept = doing is not None and _pipecat.is_kept(doing.frame)
        if doing is not None and _pipecat.is_aside(doing.frame):
            stage = bot.syntheses.begin_backchannel(
                processor, time.time_ns(), context_id, is_kept=is_kept
            )
        else:
            answers = answers_spoken(bot.answers, processor)
            stage = bot.syntheses.begin(
                processor, time.time_ns(), context_id, answers, doing, is_kept=is_kept
            )
        before = stage.content.get(tags.TTS_TEXT, "")
        stage.add_content(tags.TTS_TEXT, _pipecat.spoken_join(instance, before, text))


def _service_of(instance: Any) -> Callable[[], Service]:
    # A session's data outlives its pipeline, in task contexts and registries, and must not keep
    # the pipeline and everything it refers to alive.
    held = weakref.ref(instance)
    return lambda: _pipecat.service_of(held())
