"""Records, in each processor's own task, which frame it is processing.

The patch of ``process_frame`` awaits the original in place, with the same arguments; results and
exceptions pass through unchanged. For media it is a plain function that returns the original's
coroutine: media pass every processor fifty times a second, and get no extra coroutine. For all
other frames one coroutine wraps the original, and the whole cost of tracking a frame is in that
one function; each call saved there makes a conversation cheaper.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.call_stack import running_task
from pipecat_dd.conversation.context import FrameProcessing, WorkContext, current
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import MAX_CONTENT_CHARS, Processor, Role
from pipecat_dd.instrumentation.answering import asked_with
from pipecat_dd.instrumentation.dispatcher import FrameDispatcher
from pipecat_dd.instrumentation.frame_traits import FrameTraits, FrameTraitsTable
from pipecat_dd.names import tags
from pipecat_dd.settings import FrameSpans

Method = Callable[..., Awaitable[Any]]


def first_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the first argument of a user's method, whatever its name; None if it has none."""
    return args[0] if args else next(iter(kwargs.values()), None)


class FrameTracker:
    """Tracks which frames the processors of one session are processing.

    Attributes:
        is_on: Whether frame processing is recorded.
    """

    def __init__(
        self,
        conversation: Conversation,
        dispatcher: FrameDispatcher,
        table: FrameTraitsTable,
        set_aside: Callable[[], Callable[[], None]],
    ) -> None:
        """Prepare to track; :attr:`is_on` starts it.

        Args:
            conversation: The conversation in which the processors take part.
            dispatcher: Receives the frames whose pusher is not patched.
            table: Knows what each class of frame means.
            set_aside: Called for a processor that runs in the pusher's task. It makes the
                pusher's active span inactive, and returns a function that makes it active again.
        """
        self._conversation = conversation
        self._dispatcher = dispatcher
        self._table = table
        self._set_aside = set_aside
        self._open: set[FrameProcessing] = set()
        self._leave: dict[Processor, Callable[[FrameProcessing, FrameTraits, int], None]] = {}
        self.is_on = False
        conversation.cut_processing = self._cut

    def tracking(self, instance: Any, processor: Processor) -> Method:
        """Return the patch of a processor's ``process_frame``.

        Args:
            instance: Pipecat's processor.
            processor: Our record of it.
        """
        inner: Method = instance.process_frame
        known, find, dispatch = self._table.cached, self._table.find, self._dispatcher.dispatch
        seen_before = self._dispatcher.seen_ids
        frames = self._conversation.frames
        people = self._conversation.participants
        session = self._conversation.session
        idle = WorkContext(session, processor)
        responds = processor.role is Role.LLM and not _pipecat.is_realtime(instance)
        has_own_task = not _pipecat.runs_in_pushers_task(instance)
        arrive = self._conversation.bot.syntheses.arrive
        is_output = processor.role is Role.OUTPUT
        takes_all = frames.takes_all_of(processor)
        slow_ns = frames.slow_ns if frames.mode is not FrameSpans.OFF else sys.maxsize
        in_all = frames.mode is FrameSpans.ALL
        guard = _guard.instrumentation
        finish = self._conversation.finish
        bind, unbind, bound, now_ns = current.set, current.reset, current.get, time.time_ns
        opened, closed = self._open.add, self._open.discard

        # The media that are only counted here, and the attribute by which they name a participant.
        counted: dict[type, str | None] = {}
        unknown = ""

        def enter(frame: Any, direction: Any, meaning: FrameTraits) -> FrameProcessing:
            processing = FrameProcessing(session, processor, frame, direction, now_ns())
            if meaning.names is not None:
                name = getattr(frame, meaning.names, None)
                processing.participant = people.named_by(meaning.names, name)
            if meaning.purpose is not None and processor.pipeline is not None:
                processor.pipeline.enter(
                    processor, meaning.purpose, frame, direction, processing.start_ns
                )
            if meaning.opens_response:
                if responds:
                    self._begin_response(processing, processor, frame)
                else:
                    processor.asked_ns = processing.start_ns
            if not has_own_task:
                processing.put_back = self._set_aside()
            opened(processing)
            return processing

        def leave(processing: FrameProcessing, meaning: FrameTraits, end_ns: int) -> None:
            closed(processing)
            if not processing.done:
                processing.done = True
                took_ns = end_ns - processing.start_ns
                if took_ns < 0:  # the clock was set back
                    took_ns = 0
                processor.frames += 1
                processor.busy_ns += took_ns
                if took_ns > processor.longest_ns:
                    processor.longest_ns = took_ns
                if (
                    processing.stage is not None
                    or processing.failure is not None
                    or took_ns >= slow_ns
                    or (takes_all and (meaning.carries_data or in_all))
                ):
                    finish(processing, end_ns, is_streamed=meaning.is_streamed)
            if meaning.purpose is not None and processor.pipeline is not None:
                processor.pipeline.leave(processor, meaning.purpose, processing.stage, end_ns)
            # A task created meanwhile keeps this context: it must neither stay the participant's
            # for good nor keep the frame alive.
            processing.participant = processing.frame = processing.failure = None

        self._leave[processor] = leave

        async def process_tracked(
            call: Method, frame: Any, direction: Any, meaning: FrameTraits
        ) -> Any:
            processing = None
            try:
                processing = enter(frame, direction, meaning)
            except Exception as error:
                guard.failed(error)
            if processing is None:
                return await call(frame, direction)
            token = bind(processing)
            try:
                return await call(frame, direction)
            except BaseException as error:
                processing.failure = error
                raise
            finally:
                try:
                    unbind(token)
                    if processing.put_back is not None:
                        processing.put_back()
                except ValueError:
                    pass  # the garbage collector closed the coroutine, in another context
                except Exception as error:
                    guard.failed(error)
                try:
                    leave(processing, meaning, now_ns())
                except Exception as error:
                    guard.failed(error)

        async def process_media(call: Method, work: WorkContext, frame: Any, direction: Any) -> Any:
            token = bind(work)
            try:
                return await call(frame, direction)
            finally:
                work.participant = None
                with contextlib.suppress(ValueError):
                    unbind(token)

        def is_in_own_task() -> bool:
            task = running_task()
            # Pipecat names a processor's tasks `<processor>::<what it does>`.
            return task is None or task.get_name().startswith(f"{instance.name}::")

        def pass_by(frame: Any, direction: Any) -> None:
            at_ns = now_ns()
            frames.passed(processor, type(frame).__name__, direction, at_ns, at_ns)

        def process(call: Method, frame: Any, direction: Any) -> Awaitable[Any]:
            if not self.is_on or guard.off:
                return call(frame, direction)
            work = meaning = None
            try:
                kind = type(frame)
                meaning = known.get(kind) or find(kind)
                if meaning.is_media:
                    processor.frames += 1
                    if has_own_task and bound() is not idle:
                        if is_in_own_task():
                            bind(idle)
                        else:  # another processor holds this one, and goes on afterwards
                            work = idle
                    if is_output and meaning.handler is not None:
                        arrive(
                            getattr(frame, "context_id", None), _pipecat.audio_secs(frame), now_ns()
                        )
                    else:
                        counted[kind] = meaning.names
                    if takes_all:
                        pass_by(frame, direction)
                    if meaning.names is not None and people.can_be_several:
                        # This runs fifty times a second, so only where it makes a difference.
                        name = getattr(frame, meaning.names, None)
                        if name and (whose := people.named_by(meaning.names, name)) is not None:
                            work = WorkContext(session, processor, participant=whose)
                elif meaning.handler is not None and frame.id not in seen_before:
                    # Pushed by something that is not patched, such as the pipeline's source.
                    dispatch(meaning.handler, frame, None, None)
            except Exception as error:
                guard.failed(error)
            # Outside our guard: an exception of the bot's must reach the bot, and only once.
            if work is not None:
                return process_media(call, work, frame, direction)
            if meaning is None or meaning.is_media:
                return call(frame, direction)
            return process_tracked(call, frame, direction, meaning)

        def process_frame(frame: Any, direction: Any) -> Awaitable[Any]:
            is_counted = False
            try:
                names = counted.get(type(frame), unknown)
                if (
                    names is not unknown
                    and self.is_on
                    and (not has_own_task or bound() is idle)
                    and not (names and people.can_be_several and getattr(frame, names, None))
                ):
                    # As above, for what nearly all frames are.
                    is_counted = True
                    processor.frames += 1
                    if takes_all:
                        pass_by(frame, direction)
            except Exception as error:
                guard.failed(error)
            return inner(frame, direction) if is_counted else process(inner, frame, direction)

        def process_frame_as_users(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            frame = first_of(args, kwargs)
            direction = args[1] if len(args) > 1 else kwargs.get("direction", _pipecat.DOWNSTREAM)

            def call(frame: Any, direction: Any) -> Awaitable[Any]:
                return inner(*args, **kwargs)

            return process(call, frame, direction)

        # A user's own method may have another signature than Pipecat's.
        return process_frame if _pipecat.has_frame_parameters(inner) else process_frame_as_users

    def _begin_response(
        self, processing: FrameProcessing, processor: Processor, frame: Any
    ) -> None:
        with _guard.conversation.guarded():
            session = self._conversation.session
            bot = self._conversation.bot
            stage = bot.begin_response(processor, processing.start_ns)
            asked_with(bot.answers, frame, processor)
            messages, tools = _pipecat.context_counts(frame)
            stage.set(tags.LLM_MESSAGE_COUNT, messages)
            stage.set(tags.LLM_TOOL_COUNT, tools)
            if session.capture_content:
                text = _pipecat.context_text(frame, MAX_CONTENT_CHARS)
                stage.add_content(tags.GEN_AI_INPUT_MESSAGES, text)
            if getattr(frame, "speculation", False):
                stage.attributes[tags.LLM_SPECULATIVE] = True
            processing.stage = stage

    def _cut(self, at_ns: int, *, cancelled: bool) -> None:
        """End, at the session's end, the frame processing still in progress; record no more.

        Args:
            at_ns: When the session ends, in nanoseconds since the epoch.
            cancelled: Whether the processors are cancelled. Otherwise Pipecat may let them finish
                the frames that they are processing.
        """
        self.is_on = False
        for processing in list(self._open):
            with _guard.conversation.guarded():
                if cancelled:
                    processing.failure = asyncio.CancelledError()
                assert processing.processor is not None
                self._leave[processing.processor](
                    processing, self._table.find(type(processing.frame)), at_ns
                )
