"""The observer that a user adds to a bot: it puts hearing, knowing and telling together."""

import asyncio
import contextvars
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from loguru import logger
from pipecat.observers.base_observer import BaseObserver
from pipecat.transports.base_transport import BaseTransport

from pipecat_dd import _ddtrace, _guard, _instances, _loguru, _pipecat
from pipecat_dd._exit import close_at_exit, close_with_loop
from pipecat_dd.hearing.backlog import Backlog
from pipecat_dd.hearing.ear import Ear
from pipecat_dd.hearing.hooks import Hooks
from pipecat_dd.hearing.table import Table
from pipecat_dd.hearing.transports import Transports
from pipecat_dd.hearing.visits import Visits
from pipecat_dd.hearing.workers import UNOBSERVED_SECS, claim
from pipecat_dd.knowing import owners
from pipecat_dd.knowing.conversation import Conversation
from pipecat_dd.knowing.place import Place, here, originate
from pipecat_dd.knowing.pools import carry_into_pools
from pipecat_dd.knowing.session import Phase, Session, register, unregister
from pipecat_dd.knowing.turns import Timer
from pipecat_dd.settings import MAX_SESSION_ID_CHARS, Settings
from pipecat_dd.telling import active
from pipecat_dd.telling.destinations import destinations
from pipecat_dd.telling.lacking import say_what_is_lacking
from pipecat_dd.telling.logs import refresh_logging
from pipecat_dd.telling.replaced import say_what_is_replaced
from pipecat_dd.telling.several import Several
from pipecat_dd.telling.spans.tree import SpanTree


class DatadogObserver(BaseObserver):
    """Shows a bot's conversation in Datadog, stage by stage.

    From its making on, the code that makes it belongs to a session: every log line that the
    bot writes carries the session's id and the ids of the span that was at work when it was
    written (see :func:`~pipecat_dd.configure_logging`), and whatever ddtrace's integrations
    open in the bot nests under that span.

    Make one for each conversation, in the function that runs it. Nothing that goes wrong in
    here reaches the bot.

    Example::

        configure_logging()
        task = PipelineTask(pipeline, observers=[DatadogObserver()])
    """

    def __init__(
        self,
        *,
        session_id: str | None = None,
        name: str | None = None,
        tags: Mapping[str, str | int | float | bool] | None = None,
        parent: _ddtrace.Context | None = None,
        capture_content: bool | None = None,
        turn_end_timeout_secs: float | None = None,
        frame_spans: Literal["notable", "all", "off"] | None = None,
        slow_frame_ms: float | None = None,
        trace_scope: Literal["session", "turn"] | None = None,
        transport: BaseTransport | Sequence[BaseTransport] | None = None,
        participant_names: bool | None = None,
        phone_hash_key: str | bytes | None = None,
        llmobs: bool | None = None,
        metrics: bool | None = None,
    ) -> None:
        """Begin a session.

        Each argument but ``parent`` and ``transport`` can also be given by an environment
        variable, which an argument wins over.

        Args:
            session_id: The session's id, 1 to 200 characters. Else the ``session_id`` that
                ``logger.contextualize`` holds (Pipecat Cloud sets one), else that of the
                ``runner_args`` which Pipecat's runner called the bot with, else a new UUID.
                ``PIPECAT_DD_SESSION_ID``.
            name: The bot's name, 1 to 100 characters; the resource of the session's span.
                Else ``DD_SERVICE``. ``PIPECAT_DD_NAME``.
            tags: Tags for every span of the session. ``PIPECAT_DD_TAGS``, as
                ``key:value,key:value``.
            parent: The context of a remote parent, as
                ``HTTPPropagator.extract(headers)`` returns it: the session continues its
                trace. Without one the session has a trace of its own. A span that is active
                where the observer is made is linked, not continued: ddtrace would hold the
                session's spans back until that span has finished.
            capture_content: Whether transcripts, prompts, replies, tool arguments and results
                may be sent. Off by default. ``PIPECAT_DD_CAPTURE_CONTENT``.
            turn_end_timeout_secs: How long the bot must be quiet, with nothing under way, for
                the turn to be over: above 0, at most 3600 seconds; 2.5 by default.
                ``PIPECAT_DD_TURN_END_TIMEOUT_SECS``.
            frame_spans: Which of a processor's work on frames gets a span: ``"notable"``
                (default) what was slow, failed, wrote a line or opened a span, and what a
                processor of your own does with frames that carry data; ``"all"``; ``"off"``.
                In every mode each processor's work is counted on the turn.
                ``PIPECAT_DD_FRAME_SPANS``.
            slow_frame_ms: How long work on a frame takes for that to be notable: 0 to 60000
                milliseconds, 10 by default. ``PIPECAT_DD_SLOW_FRAME_MS``.
            trace_scope: ``"session"`` (default): the conversation is one trace. ``"turn"``:
                each turn is a trace of its own, linked to the session's span, for long calls
                and where tools outlive turns. ``PIPECAT_DD_TRACE_SCOPE``.
            transport: A transport whose participants are to be followed, or several, where the
                pipeline's input and output do not lead to it. Pipecat's own are found.
            participant_names: Whether participants' names may be sent; their ids always are.
                On by default. ``PIPECAT_DD_PARTICIPANT_NAMES``.
            phone_hash_key: A secret of at least 16 bytes. Telephone numbers are never sent;
                with a key, spans of participants carry their HMAC-SHA256 by it, so that the
                same caller can be found again. ``PIPECAT_DD_PHONE_HASH_KEY``.
            llmobs: Whether the session is shown in LLM Observability too, as an agent with its
                turns, model calls and tools. True turns that product on in this process, which
                needs ``DD_LLMOBS_ML_APP`` or ``DD_SERVICE``; False leaves the session out of
                it; by default it follows ``DD_LLMOBS_ENABLED``, or whether your code has
                turned it on. ``PIPECAT_DD_LLMOBS``.
            metrics: Whether to send metrics to DogStatsD (``docs/metrics.md``); needs the
                extra ``metrics``. Off by default. ``PIPECAT_DD_METRICS``.

        Raises:
            ValueError: An argument has a value that is not allowed; says which are.
            TypeError: An argument is of a type that is not allowed; says which are.
            ImportError: Metrics are asked for and their extra is not installed.
        """
        # Pipecat 1.12 and later can leave out a frame's later pushes; earlier ones ignore it.
        super().__init__(observe_every_push=False)
        settings = Settings.read(
            session_id=session_id,
            name=name,
            tags=tags,
            parent=parent,
            capture_content=capture_content,
            turn_end_timeout_secs=turn_end_timeout_secs,
            frame_spans=frame_spans,
            slow_frame_ms=slow_frame_ms,
            trace_scope=trace_scope,
            transport=transport,
            participant_names=participant_names,
            phone_hash_key=phone_hash_key,
            llmobs=llmobs,
            metrics=metrics,
        )
        self._session_id = settings.session_id or str(uuid.uuid4())
        self._made_in: Callable[[], asyncio.Task[Any] | None] = lambda: None
        with _guard.hearing.guarded():
            found = settings.session_id or _contextual_session_id() or _runners_session_id()
            found = found or self._session_id
            # As it will stand on lines and spans, by which what is sent is known as the session's.
            self._session_id = _ddtrace.writable(found)
            task = _running_task()
            if task is not None:
                self._made_in = weakref.ref(task)
        self._set_up = 0
        self._cleaned_up = 0
        self._workers: set[int] = set()
        self._is_said_over = False
        self._patience: Timer | None = None
        self._told: active.Told | None = None
        self._let_loop_end: Callable[[], None] | None = None
        self._hooks: Hooks | None = None
        self._transports: Transports | None = None
        with _guard.spans.guarded():
            self._begin(settings)

    def _begin(self, settings: Settings) -> None:
        session = Session(
            id=self._session_id,
            name=settings.name,
            tags=settings.tags,
            capture_content=settings.capture_content,
        )
        # One that is thrown away before it ran must not be taken for a session that goes on.
        weakref.finalize(self, _abandon, session).atexit = False
        found = _ddtrace.activated()
        caller = found if isinstance(found, _ddtrace.Span) else None
        tree = SpanTree(session, settings.parent, caller, settings.trace_scope)
        conversation = Conversation(
            session,
            Several(tree, destinations(session, tree, settings)),
            _start_timer,
            settings.turn_end_timeout_secs,
            settings.frame_spans,
            settings.slow_frame_ms,
            participant_names=settings.participant_names,
            phone_hash_key=settings.phone_hash_key,
        )
        table = Table()
        self._told = active.Told(session, conversation, tree)
        self._table = table
        self._ear = Ear(conversation)
        visits = Visits(conversation, self._ear, table, _ddtrace.set_aside)
        self._hooks = Hooks(conversation, self._ear, table, visits)
        self._transports = Transports(conversation, _ddtrace.set_aside, _ddtrace.traces_messages)
        if settings.phone_hash_key is not None:
            with _guard.hearing.guarded():
                self._transports.calls = _pipecat.calls_here()
        self._given = settings.transports
        active.tell(self._told)
        register(session)
        close_at_exit(conversation)
        carry_into_pools()
        # Loggers that came after configure_logging(), such as uvicorn's.
        refresh_logging()
        originate(session)
        say_what_is_replaced()
        say_what_is_lacking()

    @property
    def session_id(self) -> str:
        """The session's id, as on its spans and lines."""
        return self._session_id

    @property
    def context(self) -> _ddtrace.Context:
        """The context of the session's span, for what takes part in it elsewhere.

        Several workers of one runner take the same observer, each; that needs no context. What
        runs in another process, or is to be a session of its own in this trace, is given this
        one: as ``parent``, or in headers.

        Example::

            HTTPPropagator.inject(observer.context, headers)  # here
            DatadogObserver(parent=HTTPPropagator.extract(headers))  # there
        """
        with _guard.spans.guarded():
            if self._told is not None:
                return self._told.tree.context
        return _ddtrace.Context()

    # Called by Pipecat

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        """Begin the session, in the context that the processors' tasks descend from.

        Called by Pipecat from 1.8 on, before the processors are set up.

        Args:
            *args: The task manager.
            **kwargs: None known.
        """
        if hasattr(BaseObserver, "setup"):  # before Pipecat 1.8 it is the user's own call
            await super().setup(*args, **kwargs)
        self._set_up += 1
        with _guard.hearing.guarded():
            worker = _pipecat.calling_worker()
            if worker is not None and self._may_see(worker.pipeline) and self._hooks is not None:
                self._hooks.workers.meet(worker.pipeline)
            if self._told is not None:
                here.set(Place(self._told.session))
                self._run(time.time_ns())

    async def on_processor_setup(self, data: Any) -> None:
        """Wrap the pipeline's processors as soon as one leads to them (Pipecat 1.8 on).

        Args:
            data: Which processor was set up.
        """
        with _guard.hearing.guarded():
            hooks = self._hooks
            if hooks is not None and not hooks.has_installed(_pipecat.outermost(data.processor)):
                self._hook(data.processor)
            if self._told is not None:
                # Pipecat gives these times on the monotonic clock.
                offset_ns = time.time_ns() - time.monotonic_ns()
                self._told.conversation.was_set_up(
                    data.processor.name,
                    data.started_at_ns + offset_ns,
                    data.finished_at_ns + offset_ns,
                )

    async def on_pipeline_started(self) -> None:
        """Note that the pipeline has started: the StartFrame has passed through all of it."""
        with _guard.hearing.guarded():
            if self._told is not None:
                self._told.conversation.has_started(time.time_ns())
                self._patience = self._patience or _start_timer(UNOBSERVED_SECS, self._look_around)

    async def on_process_frame(self, data: Any) -> None:
        """Wrap what is not wrapped yet.

        Args:
            data: Which processor works on which frame.
        """
        hooks = self._hooks
        if hooks is None or hooks.wraps(data.processor):
            return
        if not (hooks.is_on and _pipecat.is_compound(data.processor)):
            self._hook(data.processor)

    async def on_push_frame(self, data: Any) -> None:
        """Hear what was pushed by a processor that is not wrapped.

        Args:
            data: The frame, and who pushed it.
        """
        if self._told is None or self._hooks is None or self._hooks.hears(data.source):
            return
        kind = type(data.frame)
        moment = (self._table.known.get(kind) or self._table.find(kind)).moment
        if moment is None:
            return
        at_ns = _pipecat.event_time_ns(data.source, data.timestamp, time.time_ns())
        processor = self._told.session.processors.get(data.source.name)
        self._ear.hears(moment, data.frame, processor, data.source, at_ns)

    async def cleanup(self) -> None:
        """End the session: close what is open. Bears being called twice.

        Called by each worker that it observes: the session ends with the last of them.
        """
        self._cleaned_up += 1
        with _guard.hearing.guarded():
            if self._told is not None and _running_task() is not self._made_in():
                # The worker's own task: the processors' clean-up, and the worker's last lines,
                # come after this, and may know the session by nothing else.
                here.set(Place(self._told.session))
            # One that it was added to as it ran already has not set it up; before Pipecat 1.8
            # none does.
            if self._cleaned_up < max(self._set_up, len(self._workers)):
                if self._told is not None:
                    self._told.conversation.goes_on()
                return
        self._look_around()
        # Each by itself: whatever fails, nothing else is left behind.
        with _guard.knowing.guarded():
            if self._told is not None and _pipecat.has_removed(_pipecat.calling_worker(), self):
                self._told.conversation.is_ending("removed")
        with _guard.knowing.guarded():
            if self._told is not None:
                self._told.conversation.ends(time.time_ns())
        with _guard.hearing.guarded():
            if self._let_loop_end is not None:
                self._let_loop_end()
        with _guard.hearing.guarded():
            if self._hooks is not None:
                self._hooks.remove()
        with _guard.hearing.guarded():
            if self._transports is not None:
                self._transports.remove()
        await super().cleanup()  # type: ignore[no-untyped-call]

    def _run(self, at_ns: int) -> None:
        if self._told is None:
            return
        found = _ddtrace.activated()
        if isinstance(found, _ddtrace.Span):
            self._told.tree.hide(found)
        self._told.conversation.begins(at_ns)
        if self._let_loop_end is None:
            with _guard.hearing.guarded():
                self._let_loop_end = close_with_loop(self._told.conversation)
        if self._transports is not None:
            for transport in self._given:
                with _guard.hearing.guarded():
                    self._transports.listen(transport)

    def _may_see(self, outermost: Any) -> bool:
        """Whether a worker's pipeline is this observer's to see: the first one's, of several."""
        told = self._told
        if told is None:
            return False
        other = claim(outermost, told.session)
        if other is None:
            return True
        logger.warning(
            f"pipecat_dd: two DatadogObservers are on one worker. The first, of the session "
            f"{other.id}, goes on; the other, of {self.session_id}, sees nothing. Give a worker one"
        )
        self._told = self._hooks = self._transports = None
        _abandon(told.session)
        return False

    def _look_around(self) -> None:
        """Say which workers of the conversation nobody observes, if any."""
        patience, self._patience = self._patience, None
        if patience is not None:
            patience.cancel()
        told, hooks = self._told, self._hooks
        if told is None or hooks is None or told.session.phase is not Phase.RUNNING:
            return

        def look() -> None:
            here.set(Place(told.session))
            hooks.workers.say_who_is_unobserved(DatadogObserver)

        contextvars.copy_context().run(look)

    def _hook(self, processor: Any) -> None:
        with _guard.hearing.guarded():
            if self._told is None or self._hooks is None or _guard.hearing.off:
                return
            if self._told.session.phase is Phase.ENDED:
                self._say_over()
                return
            outermost = _pipecat.outermost(processor)
            is_within = outermost is processor or self._hooks.has_installed(outermost)
            if self._hooks.is_on and is_within:
                self._hooks.wrap(processor)
                self._listen([processor])
                return
            if not self._may_see(outermost):
                return
            # Before Pipecat 1.8, and where the observer was added late, nobody called setup().
            self._run(time.time_ns())
            self._hooks.install(outermost)
            self._hooks.wrap(processor)
            backlog = Backlog(self._table, self._told.conversation.sheds)
            _pipecat.spare_events(processor, self, self._hooks.heard, backlog.admits)
            self._listen(self._hooks.instances)
            session = self._told.session
            root = session.root
            root.facts["pipecat.version"] = _pipecat.pipecat_version()
            worker = _pipecat.worker_of(processor)
            if worker is not None:
                self._workers.add(id(worker))
                owners.own(session, worker)
            root.know(conversation_id=_pipecat.conversation_id(worker))
            transport = _pipecat.transport_of(self._hooks.instances)
            root.know(transport=transport)

    def _say_over(self) -> None:
        """Say, once, that a second conversation is not seen: a session ends with its first."""
        if not self._is_said_over:
            self._is_said_over = True
            logger.warning(
                f"pipecat_dd: the session {self.session_id} is over; make a DatadogObserver for "
                "each conversation. This one is not seen"
            )

    def _listen(self, processors: Iterable[Any]) -> None:
        if self._transports is not None:
            self._transports.find(processors)


_instances.answer_on_class(
    DatadogObserver,
    (
        "setup",
        "on_processor_setup",
        "on_pipeline_started",
        "on_process_frame",
        "on_push_frame",
        "cleanup",
    ),
    # Before Pipecat 1.8 there is no setup() of an observer.
    ("setup" if hasattr(BaseObserver, "setup") else "on_pipeline_started",),
)


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _abandon(session: Session) -> None:
    if session.phase is Phase.MADE:
        session.phase = Phase.ENDED
        unregister(session)


def _contextual_session_id() -> str | None:
    return _as_session_id(_loguru.contextualized().get("session_id"))


_runners: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
"""What runners gave bots whose sessions have its id: it is one session's."""


def _runners_session_id() -> str | None:
    """Return the id that Pipecat's runner gave the bot which makes the observer, for the first."""
    arguments = _pipecat.runner_arguments()
    found = _as_session_id(getattr(arguments, "session_id", None))
    if found is None or _runners.get(id(arguments)) is arguments:
        return None
    _runners[id(arguments)] = arguments
    return found


def _as_session_id(found: Any) -> str | None:
    if not found:
        return None
    # Whoever set it may not know of our limit, and the bot must run.
    return str(found).strip()[:MAX_SESSION_ID_CHARS].rstrip() or None


def _start_timer(secs: float, callback: Callable[[], None]) -> Timer:
    def run() -> None:
        with _guard.knowing.guarded():
            callback()

    # In a context of its own: a timer must not keep a visit's alive, nor act in its name.
    loop = asyncio.get_running_loop()
    return loop.call_later(secs, run, context=contextvars.Context())
