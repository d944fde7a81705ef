"""The observer that a user adds to a bot: it connects instrumentation, conversation and export."""

import asyncio
import time
import uuid
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from loguru import logger
from pipecat.observers.base_observer import BaseObserver
from pipecat.transports.base_transport import BaseTransport

from pipecat_dd import _ddtrace, _guard, _instances, _loguru, _pipecat
from pipecat_dd.conversation.ambient import bind
from pipecat_dd.conversation.call_stack import is_function, maker, running_task
from pipecat_dd.conversation.context import current_session
from pipecat_dd.conversation.model import Phase, Session
from pipecat_dd.conversation.no_session import NO_SESSION
from pipecat_dd.conversation.pools import carry_into_pools
from pipecat_dd.conversation.threads import carry_into_threads
from pipecat_dd.export.logs import refresh_logging
from pipecat_dd.export.notices import write_notices
from pipecat_dd.instrumentation.workers import claim
from pipecat_dd.names import fields
from pipecat_dd.session_instrumentation import Callers, SessionInstrumentation
from pipecat_dd.settings import MAX_SESSION_ID_CHARS, Settings, environment


class DatadogObserver(BaseObserver):
    """Shows a bot's conversation in Datadog, stage by stage.

    Creating an observer begins a session. From then on, the function that created it belongs to
    the session, and so does everything that the function starts. Each log line that the bot writes
    carries the session's id and the ids of the span that is active at that moment (see
    :func:`~pipecat_dd.configure_logging`). The spans of ddtrace's integrations nest under that
    span.

    Create one observer per conversation, in the first line of the function that runs it. If
    several conversations share an observer (one created at module level, for example), each is
    a session of its own, but only log lines of its pipeline carry its id; lines of the function
    that runs the call do not. An error inside the observer never reaches the bot.

    Example::

        configure_logging()
        worker = PipelineWorker(pipeline, observers=[DatadogObserver()])

    Before Pipecat 1.3, ``PipelineWorker`` is called ``PipelineTask``.
    """

    # Pipecat asks at each push. Its property would answer the same, and take longer.
    observe_every_push = False

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
        blocked_ms: float | None = None,
    ) -> None:
        """Begin a session.

        The environment variable at the end of an argument's entry sets the same; an argument
        takes precedence over its variable. An invalid variable never keeps a bot from answering:
        one log line reports it, and the default is used.

        Args:
            session_id: The session's id, 1 to 200 characters. By default the ``session_id`` set
                with ``logger.contextualize`` (Pipecat Cloud sets one), else that of the
                ``runner_args`` with which Pipecat's runner called the bot, else a new UUID.
                ``PIPECAT_DD_SESSION_ID``.
            name: The bot's name, 1 to 100 characters; the resource of the session's span. By
                default ``DD_SERVICE``, else ``pipecat-bot``. ``PIPECAT_DD_NAME``.
            tags: Tags for every span of the session: names of 1 to 200 characters, and strings,
                numbers or booleans. None by default. ``PIPECAT_DD_TAGS``, as
                ``key:value,key:value``.
            parent: The context of a remote parent, as returned by
                ``HTTPPropagator.extract(headers)``: the session continues its trace. By default,
                the session has a trace of its own. A span that is active where the observer is
                created is linked, not continued: ddtrace would hold back the session's spans
                until that span finishes. No variable.
            capture_content: Whether transcripts, prompts, replies, tool arguments and tool
                results may be sent. Off by default. ``PIPECAT_DD_CAPTURE_CONTENT``.
            turn_end_timeout_secs: How long the bot must be silent, with no work in progress,
                before the turn ends: above 0, at most 3600 seconds; 2.5 by default.
                ``PIPECAT_DD_TURN_END_TIMEOUT_SECS``.
            frame_spans: Which frame processing gets a span. ``"notable"`` (default): any that
                was slow, failed, wrote a log line or opened a span, and what your own processors
                do with frames that carry data. ``"all"``: each frame in each processor.
                ``"off"``: none. In every mode, each processor's work is counted on the turn.
                ``PIPECAT_DD_FRAME_SPANS``.
            slow_frame_ms: The processing of a frame is slow if it takes at least this many
                milliseconds: 0 to 60000, 10 by default. ``PIPECAT_DD_SLOW_FRAME_MS``.
            trace_scope: ``"session"`` (default): the conversation is one trace. ``"turn"``:
                each turn is a trace of its own, linked to the session's span; use it for long
                calls and where tools outlive turns. ``PIPECAT_DD_TRACE_SCOPE``.
            transport: One or several transports whose participants to follow. Needed only if
                they cannot be reached from the pipeline's input and output; Pipecat's own
                transports are found automatically. No variable.
            participant_names: Whether participants' names may be sent; their ids always are.
                On by default. ``PIPECAT_DD_PARTICIPANT_NAMES``.
            phone_hash_key: A secret of at least 16 bytes. Telephone numbers are never sent;
                with a key, participants' spans carry the number's HMAC-SHA256, so that you can
                find the same caller again. By default, there are no hashes.
                ``PIPECAT_DD_PHONE_HASH_KEY``.
            llmobs: Whether the session also appears in LLM Observability, as an agent with its
                turns, model calls and tools. True turns that product on in this process, which
                needs ``DD_LLMOBS_ML_APP`` or ``DD_SERVICE``; False leaves the session out of
                it. By default the session appears if ``DD_LLMOBS_ENABLED`` or your code has
                turned the product on. ``PIPECAT_DD_LLMOBS``.
            metrics: Whether to send metrics to DogStatsD (``docs/metrics.md``). It needs the
                extra ``metrics``. Off by default. ``PIPECAT_DD_METRICS``.
            blocked_ms: How many milliseconds the event loop must stand still before a span
                reports it, with the place in the code that blocked it: 20 to 60000, 100 by
                default; 0 turns it off. ``PIPECAT_DD_BLOCKED_MS``.

        Raises:
            ValueError: An argument has an invalid value; the message says what is valid.
            TypeError: An argument has the wrong type; the message says which is right.
            ImportError: ``metrics`` is on and its extra is not installed.
        """
        # Pipecat 1.12 and later can skip a frame's later pushes; earlier versions ignore this.
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
            blocked_ms=blocked_ms,
        )
        self._settings = settings
        self._sessions: list[SessionInstrumentation] = []
        self._latest: SessionInstrumentation | None = None
        self._session_count = 0
        self._is_of_module = False
        with _guard.spans.guarded():
            self._over = Callers()
            frame = maker(self)
            self._is_of_module = not is_function(frame)
            made = self._begin()
            with _guard.instrumentation.guarded():
                made.binding = bind(made.session, frame)
                _made.add(self)
        with _guard.instrumentation.guarded():
            carry_into_pools()
            carry_into_threads()
            # For loggers created after configure_logging(), such as uvicorn's.
            refresh_logging()
            write_notices()
            environment.report()

    def _begin(self) -> SessionInstrumentation:
        """Begin the session of this observer's first or next conversation."""
        for other in (self._latest, *self._sessions):
            if other is not None and other.binding is not None:
                # The code that created this observer runs more than one call.
                other.binding.is_for_many = True
        self._sessions = [one for one in self._sessions if not one.is_over]
        given = self._settings.session_id
        session_id = given if self._session_count == 0 else None
        with _guard.instrumentation.guarded():
            session_id = session_id or _contextual_session_id() or _runners_session_id()
        if any(session_id == other.session.id for other in self._sessions):
            session_id = None
        if self._session_count == 1 and given is not None:
            logger.warning(
                f"pipecat_dd: session_id={given!r} names one conversation, but its "
                "DatadogObserver is used for another, too, which gets an id of its own. Create a "
                "DatadogObserver for each conversation"
            )
        # In the form that log lines and spans carry, since they are matched to the session by it.
        session_id = _ddtrace.writable(session_id or str(uuid.uuid4()))
        self._session_count += 1
        made = SessionInstrumentation(session_id, self._settings, self)
        self._latest = made
        self._sessions.append(made)
        return made

    @property
    def session_id(self) -> str:
        """The session's id, as on its spans and log lines.

        If several conversations share the observer, this is the id of the session that the
        calling code belongs to, or else of the session that began last.
        """
        with _guard.spans.guarded():
            return self._asked().session.id
        return self._settings.session_id or ""

    @property
    def session(self) -> Session:
        """The session.

        It is for code that has the observer but works for no session itself, such as another
        request of a web server. The bot's own code calls :func:`~pipecat_dd.current_session`. If
        several conversations share the observer, this is the session that the calling code belongs
        to, or else the one that began last.

        Example::

            @app.post("/calls/{call_id}/transferred")
            async def transferred(call_id: str) -> None:
                observers[call_id].session.set_outcome("transferred")
        """
        with _guard.spans.guarded():
            return self._asked().session
        return NO_SESSION

    @property
    def context(self) -> _ddtrace.Context:
        """The context of the session's span, with which other code can continue its trace.

        Pass it on, as ``parent`` or in headers, to another process or to another session in the
        same trace. Several workers of one runner do not need it: give each the same observer.

        Example::

            HTTPPropagator.inject(observer.context, headers)  # here
            DatadogObserver(parent=HTTPPropagator.extract(headers))  # there
        """
        with _guard.spans.guarded():
            return self._asked().runtime.tree.context
        return _ddtrace.Context()

    def _asked(self) -> SessionInstrumentation:
        """Return the session of the calling code, else the one that began last."""
        if len(self._sessions) > 1:
            asking = current_session()
            for one in self._sessions:
                if one.session is asking:
                    return one
        return self._latest or self._begin()

    # Called by Pipecat

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        """Begin the session, in the context that the processors' tasks inherit.

        Pipecat 1.8 and later call this before the processors are set up.

        Args:
            *args: Pipecat's task manager, passed on unchanged.
            **kwargs: Passed on unchanged; Pipecat passes none so far.
        """
        if hasattr(BaseObserver, "setup"):  # before Pipecat 1.8, only a user calls this
            await super().setup(*args, **kwargs)
        with _guard.instrumentation.guarded():
            proxy, worker = _pipecat.calling()
            found = self._for_worker(proxy, worker)
            if found is None or (worker is not None and not self._may_see(found, worker.pipeline)):
                return
            found.set_up(worker)

    async def on_processor_setup(self, data: Any) -> None:
        """Patch the whole pipeline once its first processor has been set up (Pipecat 1.8 on).

        Args:
            data: Pipecat's event: the processor, and when its set-up started and finished.
        """
        with _guard.instrumentation.guarded():
            outermost = _pipecat.outermost(data.processor)
            found = self._having_installed(outermost)
            if found is None:
                self._instrument(data.processor)
                found = self._having_installed(outermost)
            if found is not None:
                found.record_setup(data)

    async def on_pipeline_started(self) -> None:
        """Record the pipeline's start: the StartFrame has passed through all of it."""
        with _guard.instrumentation.guarded():
            found = self._called_by(*_pipecat.calling())
            if found is not None:
                found.start()

    async def on_process_frame(self, data: Any) -> None:
        """Patch the processor if it is not patched yet.

        Args:
            data: Pipecat's event: the processor and the frame that it processes.
        """
        for one in self._sessions:
            if one.pipelines.is_patched(data.processor):
                return
            if one.pipelines.is_on and one.pipelines.is_covered(data.processor):
                return  # it only holds others
        self._instrument(data.processor)

    async def on_push_frame(self, data: Any) -> None:
        """Dispatch a frame pushed by a processor that is not patched.

        Args:
            data: Pipecat's event: the frame and the processor that pushed it.
        """
        if any(one.pipelines.is_covered(data.source) for one in self._sessions):
            return
        with _guard.instrumentation.guarded():
            found = self._of_processor(data.source)
            if found is None:
                return
            kind = type(data.frame)
            handler = (found.traits.cached.get(kind) or found.traits.find(kind)).handler
            if handler is None:
                return
            at_ns = _pipecat.event_time_ns(data.source, data.timestamp, time.time_ns())
            processor = found.session.processors.get(data.source.name)
            found.dispatcher.dispatch(handler, data.frame, processor, data.source, at_ns)

    async def cleanup(self) -> None:
        """End the session and close what is open; a second call does nothing.

        Each observed worker calls this, and the session ends with the last of them.
        """
        ended, worker = False, None
        # If the look-up fails, the only session is cleaned up all the same, or it would stay open.
        found = self._sessions[0] if len(self._sessions) == 1 else None
        with _guard.instrumentation.guarded():
            proxy, worker = _pipecat.calling()
            found = self._called_by(proxy, worker)
        with _guard.instrumentation.guarded():
            if found is not None:
                ended = found.clean_up(is_removed=_pipecat.has_removed(worker, self))
                if ended:
                    self._sessions.remove(found)
                    self._over.update(found.callers)
        if ended and not self._sessions:
            await super().cleanup()  # type: ignore[no-untyped-call]

    def _awaits_worker(self, task: "asyncio.Task[Any]") -> bool:
        """Whether a task made this observer, which has not seen a worker yet."""
        return any(
            one.session.phase is Phase.MADE
            and one.binding is not None
            and one.binding.is_made_in(task)
            for one in self._sessions
        )

    # Which session an event belongs to

    def _having_installed(self, outermost: Any) -> SessionInstrumentation | None:
        """Return the session whose patches a worker's pipeline has."""
        for one in self._sessions:
            if one.pipelines.has_installed(outermost):
                return one
        return None

    def _for_worker(self, proxy: Any, worker: Any) -> SessionInstrumentation | None:
        """Return a worker's session, beginning one if the worker serves another conversation.

        None if its session is over; later events are not recorded.
        """
        if self._over.have(proxy, worker):
            return None
        for one in self._sessions:
            if one.callers.have(proxy, worker):
                one.bind(proxy, worker)
                return one
        found = next((one for one in self._sessions if one.admits(worker)), None)
        if found is not None and self._is_for_another(found):
            self._sessions.remove(found)
            found.abandon()
            self._session_count = 0
            found = None
        found = found or self._begin()
        found.bind(proxy, worker)
        return found

    def _is_for_another(self, found: SessionInstrumentation) -> bool:
        """Whether a session begun at module level lacks the id that the present call has."""
        if self._settings.session_id is not None or not self._is_of_module or found.callers:
            return False
        return (_contextual_session_id() or found.session.id) != found.session.id

    def _called_by(self, proxy: Any, worker: Any) -> SessionInstrumentation | None:
        """Return the session of a known worker; if the caller is unknown, the only session."""
        if self._over.have(proxy, worker):
            return None
        for one in self._sessions:
            if one.callers.have(proxy, worker):
                return one
        if len(self._sessions) != 1:
            return None
        is_unknown = proxy is None and worker is None
        return self._sessions[0] if is_unknown or not self._sessions[0].callers else None

    def _of_processor(self, processor: Any) -> SessionInstrumentation | None:
        return self._called_by(_pipecat.proxy_of(processor), _pipecat.worker_of(processor))

    def _may_see(self, found: SessionInstrumentation, outermost: Any) -> bool:
        """Whether this observer may record a worker's pipeline; of several, only the first may."""
        other = claim(outermost, found.session)
        if other is None:
            return True
        logger.warning(
            "pipecat_dd: two DatadogObservers are on one worker. The first, of session "
            f"{other.id}, goes on; the other, of session {found.session.id}, records nothing. Give "
            "each worker only one"
        )
        self._over.update(found.callers)
        self._sessions.remove(found)
        found.abandon()
        return False

    def _instrument(self, processor: Any) -> None:
        with _guard.instrumentation.guarded():
            if _guard.instrumentation.off:
                return
            outermost = _pipecat.outermost(processor)
            worker = _pipecat.worker_of(processor) or _pipecat.worker_behind(outermost)
            found = self._for_worker(_pipecat.proxy_of(processor), worker)
            if found is None:
                return
            if found.pipelines.has_installed(outermost) or self._may_see(found, outermost):
                found.instrument(processor, worker)


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


_made: "weakref.WeakSet[DatadogObserver]" = weakref.WeakSet()
"""All observers that the process has made and not dropped."""


def awaits_worker() -> bool:
    """Whether the running task has made an observer that has not seen a worker yet."""
    task = running_task()
    return task is not None and any(observer._awaits_worker(task) for observer in list(_made))


def _contextual_session_id() -> str | None:
    return _as_session_id(_loguru.contextualized().get(fields.SESSION_ID))


_runners: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
"""Runner arguments whose session id is in use; only one session gets it."""


def _runners_session_id() -> str | None:
    """Return the id that Pipecat's runner gave the bot, unless another session has it already."""
    arguments = _pipecat.runner_arguments()
    found = _as_session_id(getattr(arguments, "session_id", None))
    if found is None or _runners.get(id(arguments)) is arguments:
        return None
    _runners[id(arguments)] = arguments
    return found


def _as_session_id(found: Any) -> str | None:
    if not found:
        return None
    # Cut, not rejected: whoever set it may not know our limit, and the bot must run.
    return str(found).strip()[:MAX_SESSION_ID_CHARS].rstrip() or None
