"""Stands in each processor's own task while it works.

``process_frame`` and ``push_frame`` are replaced on each processor *instance*: Pipecat calls
both through the instance, so the class and every other session are left alone. The wrapped
method is awaited in place, with the same arguments; what it returns and raises passes through.

For media the wrapper is a plain function that returns the inner coroutine, so no layer is
added to the path that is taken fifty times a second in every processor.
"""

import contextlib
import sys
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.hearing.declared import declared_kinds
from pipecat_dd.hearing.ear import Ear
from pipecat_dd.hearing.handlers import noting
from pipecat_dd.hearing.replaced import Replaced
from pipecat_dd.hearing.segments import telling_when_through
from pipecat_dd.hearing.table import Meaning, Table, opens_response
from pipecat_dd.knowing import owners
from pipecat_dd.knowing.conversation import Conversation
from pipecat_dd.knowing.frames import FrameSpans
from pipecat_dd.knowing.place import Place, Visit, here
from pipecat_dd.knowing.processor import Processor, Role, Service
from pipecat_dd.knowing.stage import Failure, Kind

Method = Callable[..., Awaitable[Any]]


class Hooks:
    """Wraps the processors of one session's pipeline, and unwraps them at its end.

    Attributes:
        is_on: Whether the pipeline is wrapped.
        instances: The processors that are.
        heard: The ids, as of :func:`id`, of these and of what only holds them.
    """

    def __init__(
        self,
        conversation: Conversation,
        ear: Ear,
        table: Table,
        set_aside: Callable[[], Callable[[], None]],
    ) -> None:
        """Prepare to wrap.

        Args:
            conversation: The conversation that the processors hold.
            ear: Hears what they push.
            table: Says what a frame means.
            set_aside: Makes a span of the pusher's inactive in a processor that works in the
                pusher's task; returns what makes it active again.
        """
        self._conversation = conversation
        self._set_aside = set_aside
        self._ear = ear
        self._table = table
        self._replaced = Replaced()
        self._known: set[int] = set()
        self.heard: set[int] = set()
        self._outermost: set[int] = set()
        self.instances: list[Any] = []
        self.is_on = False

    def wraps(self, processor: Any) -> bool:
        """Whether a processor is wrapped.

        Args:
            processor: The processor.
        """
        return id(processor) in self._known

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
        self.is_on = True
        self._outermost.add(id(outermost))
        # What only holds others says nothing that those do not.
        self.heard.update(map(id, filter(_pipecat.is_compound, _pipecat.walk(outermost))))
        instances = [
            instance
            for instance in _pipecat.walk(outermost)
            if id(instance) not in self._known and not _pipecat.is_compound(instance)
        ]
        for instance in instances:
            self._note(instance, [type(other).__name__ for other in instances])
        for instance in instances:
            self.wrap(instance)
        # A second worker's pipeline has none as a rule: the first's hears the user.
        conversation = self._conversation
        conversation.analyzer = _pipecat.analyzer_of(*instances) or conversation.analyzer
        conversation.strategy = _pipecat.stop_strategy_of(*instances) or conversation.strategy

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
        self.heard.add(id(instance))
        self.instances.append(instance)
        processor = self._conversation.session.processors.get(instance.name)
        if processor is None:
            processor = self._note(instance, [type(instance).__name__])
        self._own(instance, processor)
        self._replaced.replace(instance, "process_frame", self._visiting(instance, processor))
        self._replaced.replace(instance, "push_frame", self._pushing(instance, processor))
        runner = _pipecat.handler_runner(instance)
        if runner is not None:
            handling = self._handling(instance, processor, runner)
            self._replaced.replace(instance, _pipecat.RUN_HANDLER, handling)
        if processor.role is Role.TTS:
            self._replaced.replace(instance, "run_tts", self._synthesizing(instance, processor))
        if processor.role is Role.STT and _pipecat.is_a(instance, "SegmentedSTTService"):
            through = telling_when_through(
                instance.process_generator, processor, self._conversation.user, lambda: self.is_on
            )
            self._replaced.replace(instance, "process_generator", through)

    def _own(self, instance: Any, processor: Processor) -> None:
        """Let what a processor does in a thread of an SDK's be known as the session's work."""
        session = self._conversation.session
        owners.own(session, instance, processor)
        for behind in _pipecat.behind(instance):
            owners.own(session, behind)

    def remove(self) -> None:
        """Put everything back as it was."""
        self.is_on = False
        self._replaced.put_back()
        self._known.clear()
        self.heard.clear()
        self.instances.clear()

    def _note(self, instance: Any, classes: list[str]) -> Processor:
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
        )
        processors[instance.name] = processor
        return processor

    # The wrappers

    def _pushing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.push_frame
        known, find, hears = self._table.known, self._table.find, self._ear.hears
        heard_before = self._ear.heard

        def push_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            try:
                kind = type(frame)
                meaning = known.get(kind) or find(kind)
                if meaning.moment is not None and self.is_on and frame.id not in heard_before:
                    # Each chunk of audio counts where it is made and where it is written.
                    hears(meaning.moment, frame, processor, instance, once=not meaning.is_media)
            except Exception as error:
                _guard.hearing.failed(error)
            return inner(frame, *args, **kwargs)

        return push_frame

    def _visiting(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.process_frame
        known, find, hears = self._table.known, self._table.find, self._ear.hears
        heard_before = self._ear.heard
        frames = self._conversation.frames
        people = self._conversation.participants
        session = self._conversation.session
        idle = Place(session, processor)
        responds = processor.role is Role.LLM and not _pipecat.is_realtime(instance)
        has_own_task = not _pipecat.runs_in_pushers_task(instance)
        takes_all = frames.takes_all_of(processor)
        slow_ns = frames.slow_ns if frames.mode is not FrameSpans.OFF else sys.maxsize
        in_all = frames.mode is FrameSpans.ALL
        bind, unbind, now_ns = here.set, here.reset, time.time_ns

        def enter(meaning: Meaning, frame: Any, direction: Any) -> Visit:
            visit = Visit(session, processor, frame, direction, now_ns())
            if meaning.names is not None:
                name = getattr(frame, meaning.names, None)
                visit.participant = people.named_by(meaning.names, name)
            if not has_own_task:
                visit.put_back = self._set_aside()
            if responds and opens_response(frame):
                self._begin_response(visit, processor, frame)
            return visit

        def leave(visit: Visit, meaning: Meaning) -> None:
            visit.done = True
            if visit.put_back is not None:
                visit.put_back()
            end_ns = now_ns()
            took_ns = end_ns - visit.start_ns
            processor.frames += 1
            processor.busy_ns += took_ns
            if took_ns > processor.longest_ns:
                processor.longest_ns = took_ns
            if (
                visit.stage is not None
                or visit.failure is not None
                or took_ns >= slow_ns
                or (takes_all and (meaning.carries_data or in_all))
            ):
                self._end(visit, meaning, end_ns)
            # A task made in it is not the participant's for good, and keeps no frame alive.
            visit.participant = visit.frame = None

        async def visit(
            visit: Visit, meaning: Meaning, frame: Any, direction: Any, args: Any, kwargs: Any
        ) -> Any:
            token = bind(visit)
            try:
                return await inner(frame, direction, *args, **kwargs)
            except BaseException as error:
                visit.failure = error
                raise
            finally:
                try:
                    leave(visit, meaning)
                except Exception as error:
                    _guard.hearing.failed(error)
                try:  # noqa: SIM105 - suppress() costs more than all else here
                    unbind(token)
                except ValueError:
                    pass  # the garbage collector closed the coroutine, from another context

        async def hear_out(place: Place, frame: Any, direction: Any, args: Any, kwargs: Any) -> Any:
            token = bind(place)
            try:
                return await inner(frame, direction, *args, **kwargs)
            finally:
                place.participant = None
                with contextlib.suppress(ValueError):
                    unbind(token)

        def process_frame(
            frame: Any, direction: Any = _pipecat.DOWNSTREAM, *args: Any, **kwargs: Any
        ) -> Awaitable[Any]:
            if not self.is_on or _guard.hearing.off:
                return inner(frame, direction, *args, **kwargs)
            try:
                kind = type(frame)
                meaning = known.get(kind) or find(kind)
                if meaning.is_media:
                    processor.frames += 1
                    if has_own_task:
                        bind(idle)
                    if takes_all:
                        at_ns = now_ns()
                        frames.passed(processor, kind.__name__, direction, at_ns, at_ns)
                    if meaning.names is not None and people.can_be_several:
                        # Fifty times a second, and so only where it makes a difference.
                        name = getattr(frame, meaning.names, None)
                        if name and (whose := people.named_by(meaning.names, name)) is not None:
                            place = Place(session, processor, participant=whose)
                            return hear_out(place, frame, direction, args, kwargs)
                    return inner(frame, direction, *args, **kwargs)
                if meaning.moment is not None and frame.id not in heard_before:
                    # Pushed by something that is not wrapped: the pipeline's source, say.
                    hears(meaning.moment, frame, None, None)
                entered = enter(meaning, frame, direction)
            except Exception as error:
                _guard.hearing.failed(error)
                return inner(frame, direction, *args, **kwargs)
            return visit(entered, meaning, frame, direction, args, kwargs)

        return process_frame

    def _handling(self, instance: Any, processor: Processor, inner: Method) -> Method:
        """Pass on each handler of the processor's events, noting what it raises."""

        def failing(event_name: str) -> Callable[[Exception], None]:
            def failed(error: Exception) -> None:
                with _guard.knowing.guarded():
                    self._conversation.errs(
                        processor, here.get(), Failure.of(error), time.time_ns(), event_name
                    )

            return failed

        def _run_handler(event_name: str, handler: Any, *args: Any, **kwargs: Any) -> Any:
            if self.is_on:
                with _guard.hearing.guarded():
                    handler = noting(handler, (instance, *args), kwargs, failing(event_name))
            return inner(event_name, handler, *args, **kwargs)

        return _run_handler

    def _synthesizing(self, instance: Any, processor: Processor) -> Method:
        inner: Method = instance.run_tts

        def run_tts(text: str, context_id: Any = None, *args: Any, **kwargs: Any) -> Any:
            if self.is_on:
                with _guard.knowing.guarded():
                    stage = self._conversation.bot.synthesis_begins(
                        processor, time.time_ns(), str(context_id)
                    )
                    stage.quote("tts.text", text)
            return inner(text, context_id, *args, **kwargs)

        return run_tts

    def _begin_response(self, visit: Visit, processor: Processor, frame: Any) -> None:
        with _guard.knowing.guarded():
            session = self._conversation.session
            stage = self._conversation.bot.response_begins(processor, visit.start_ns)
            messages, tools = _pipecat.context_counts(frame)
            stage.know(llm__message_count=messages, llm__tool_count=tools)
            if session.capture_content:
                stage.quote("gen_ai.input.messages", _pipecat.context_text(frame))
            if getattr(frame, "speculation", False):
                stage.facts["llm.speculative"] = True
            visit.stage = stage

    def _end(self, visit: Visit, meaning: Meaning, end_ns: int) -> None:
        """Tell of a visit in which something happened."""
        with _guard.knowing.guarded():
            conversation = self._conversation
            frames, processor = conversation.frames, visit.processor
            assert processor is not None
            stage, error = visit.stage, visit.failure
            failed = isinstance(error, Exception)
            responded = stage is not None and stage.kind is not Kind.FRAME
            # What a service raises is its stage's, once Pipecat has said what it means.
            for_stage = failed and stage is None and processor.stage is not None
            if isinstance(error, Exception):
                conversation.raised(processor, error, told=not for_stage)
            if stage is not None:
                if isinstance(error, Exception):
                    stage.fail(Failure.of(error))
                cancelled = error is not None and not failed
                conversation.visit_ends(stage, end_ns, cancelled=cancelled)
            if responded and frames.mode is not FrameSpans.ALL:
                return  # the stage of the response says all there is to say of it
            if stage is None or responded:
                slow = end_ns - visit.start_ns >= frames.slow_ns
                if meaning.is_streamed and not (slow or failed or responded):
                    frames.passed(
                        processor, visit.frame_class, visit.direction, visit.start_ns, end_ns
                    )
                    return
                if for_stage and not (slow or frames.takes_all_of(processor)):
                    return
                own = conversation.visit_stage(visit)
                if own is not None:
                    if isinstance(error, Exception) and not for_stage:
                        own.fail(Failure.of(error))
                    conversation.visit_ends(own, end_ns, cancelled=error is not None and not failed)


def _service_of(instance: Any) -> Callable[[], Service]:
    # What is known of a session outlives its pipeline, in contexts of tasks and in registries; it
    # must not hold the pipeline, and all that hangs on it.
    held = weakref.ref(instance)
    return lambda: _pipecat.service_of(held())
