"""What is private to other libraries is where we look for it, and nothing else of it is used.

Each entry of a ``PRIVATE`` of ours is looked up in the source of the library that is installed:
a class that still sets, or defines, what we ask it for. A version that has moved one fails here,
naming it, before anybody sees less of a bot.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pipecat
import pytest

import pipecat_dd
from pipecat_dd._pipecat.events import FRAME_EVENTS
from pipecat_dd._pipecat.private import CALL_EVENT_HANDLER
from tests.support.versions import DDTRACE, PIPECAT

PACKAGE = Path(pipecat_dd.__file__).parent

WHERE = {
    # Where each class, or module, of a PRIVATE is; an older place after the newer.
    "BaseObject": "pipecat.utils.base_object",
    "WorkerObserver": "pipecat.pipeline.worker_observer "
    "pipecat.pipeline.task_observer:TaskObserver",
    "FrameProcessor": "pipecat.processors.frame_processor",
    "PipelineWorker": "pipecat.pipeline.worker pipecat.pipeline.task:PipelineTask",
    "PipelineSink": "pipecat.pipeline.pipeline",
    "WorkerRunner": "pipecat.workers.runner",
    "FlowManager": "pipecat.flows.manager",
    "AIService": "pipecat.services.ai_service",
    "WebsocketService": "pipecat.services.websocket_service",
    "BaseOpenAILLMService": "pipecat.services.openai.base_llm",
    "AnthropicLLMService": "pipecat.services.anthropic.llm",
    "GoogleLLMService": "pipecat.services.google.llm",
    "AWSBedrockLLMService": "pipecat.services.aws.llm",
    "LLMService": "pipecat.services.llm_service",
    "STTService": "pipecat.services.stt_service",
    "UserTurnCompletionLLMServiceMixin": "pipecat.turns.user_turn_completion_mixin",
    "TTSService": "pipecat.services.tts_service",
    "RunnableGenerator": "langchain_core.runnables.base",
    "LangchainProcessor": "pipecat.processors.frameworks.langchain",
    "LLMUserAggregator": "pipecat.processors.aggregators.llm_response_universal",
    "VADProcessor": "pipecat.processors.audio.vad_processor",
    "VADController": "pipecat.audio.vad.vad_controller",
    "BaseInputTransport": "pipecat.transports.base_input",
    "DailyInputTransport": "pipecat.transports.daily.transport",
    "DailyTransport": "pipecat.transports.daily.transport",
    "DailyTransportClient": "pipecat.transports.daily.transport",
    "LiveKitTransport": "pipecat.transports.livekit.transport",
    "SmallWebRTCInputTransport": "pipecat.transports.smallwebrtc.transport",
    "SmallWebRTCTransport": "pipecat.transports.smallwebrtc.transport",
    "SmallWebRTCClient": "pipecat.transports.smallwebrtc.transport",
    "TavusTransportClient": "pipecat.transports.tavus.transport",
    "VonageClient": "pipecat.transports.vonage.client",
    "FastAPIWebsocketTransport": "pipecat.transports.websocket.fastapi",
    "FastAPIWebsocketClient": "pipecat.transports.websocket.fastapi",
    "FastAPIWebsocketInputTransport": "pipecat.transports.websocket.fastapi",
    "SingleClientWebsocketServerTransport": "pipecat.transports.websocket.server "
    "pipecat.transports.websocket.server:WebsocketServerTransport",
    "SingleClientWebsocketServerInputTransport": "pipecat.transports.websocket.server "
    "pipecat.transports.websocket.server:WebsocketServerInputTransport",
    "SingleClientWebsocketServerOutputTransport": "pipecat.transports.websocket.server "
    "pipecat.transports.websocket.server:WebsocketServerOutputTransport",
    "FastAPIWebsocketOutputTransport": "pipecat.transports.websocket.fastapi",
    "WebSocket": "starlette.websockets",
    "TwilioFrameSerializer": "pipecat.serializers.twilio",
    "TelnyxFrameSerializer": "pipecat.serializers.telnyx",
    "PlivoFrameSerializer": "pipecat.serializers.plivo",
    "ExotelFrameSerializer": "pipecat.serializers.exotel",
    "utils": "pipecat.runner.utils",
    "string": "pipecat.utils.string",
    "Thread": "threading",
    "Handle": "asyncio.events",
    "_bootstrap": "importlib._bootstrap",
    "Span": "ddtrace._trace.span",
    "Tracer": "ddtrace._trace.tracer",
    "NativeWriter": "ddtrace.internal.writer.writer",
    "SpanAggregator": "ddtrace._trace.processor",
    "thread_context": "ddtrace.internal.opentelemetry.thread_context",
    "patch": "ddtrace.contrib.internal.asyncio.patch",
    "middleware": "ddtrace.contrib.internal.asgi.middleware",
    "Context": "ddtrace._trace.context",
    "LLMObs": "ddtrace.llmobs._llmobs",
    "_config": "ddtrace.internal.settings._config",
    "_monkey": "ddtrace._monkey",
    "writer": "ddtrace.internal.writer.writer",
    "_supported_configurations": "ddtrace.internal.settings._supported_configurations",
    "_logger": "loguru._logger",
    "Core": "loguru._logger",
    "Logger": "loguru._logger",
    "Handler": "loguru._handler",
    "AsyncSink": "loguru._simple_sinks",
    "CallableSink": "loguru._simple_sinks",
    "StandardSink": "loguru._simple_sinks",
    "StreamSink": "loguru._simple_sinks",
    "ErrorInterceptor": "loguru._error_interceptor",
    "_defaults": "loguru._defaults",
}

ONLY = {
    # Which versions have it: from, and up to but not with.
    "FrameProcessor._setup": (PIPECAT, (1, 8), None),
    "FrameProcessor._observer": (PIPECAT, None, (1, 8)),
    "WorkerRunner._entries": (PIPECAT, (1, 3), None),
    # In 1.8 and not in 1.0; which one brought it is not known here.
    "utils._pipecat_parsed_telephony": (PIPECAT, (1, 8), None),
    # In 1.8 and not in 1.0; which one brought it is not known here.
    "PipelineWorker._processor_unusable_policy": (PIPECAT, (1, 8), None),
    # In 1.8 and not in 1.0; which one brought it is not known here.
    "FlowManager._llm": (PIPECAT, (1, 8), None),
    # In 1.4 and not in 1.0; which one brought it is not known here.
    "STTService._reconnecting": (PIPECAT, (1, 4), None),
    "TavusTransportClient._callbacks": (PIPECAT, None, None),
    "VonageClient._listeners": (PIPECAT, (1, 3), None),
    "string._sent_tokenizer": (PIPECAT, (1, 8), None),
    # In 4.16 and not in 4.0; which one brought them is not known here.
    "thread_context._sync_active_otel_thread_context": (DDTRACE, (4, 16), None),
    "_supported_configurations.SUPPORTED_CONFIGURATIONS": (DDTRACE, (4, 16), None),
    "Span._inherit_from_parent": (DDTRACE, (4, 16), None),
    "LLMObs._apply_user_span_processor": (DDTRACE, (4, 16), None),
    "LLMObs._instance": (DDTRACE, None, None),
    "LLMObs._sampler": (DDTRACE, (4, 16), None),
}

NOT_LOOKED_UP = {
    "RunnableGenerator._transform": "LangChain's, which no extra of ours installs",
    "RunnableGenerator._atransform": "LangChain's",
    "_bootstrap._find_and_load": "frozen; tests/instrumentation sees it at work",
    "_dd.measured": "a name in Datadog's span format, which no library has to have",
    "_dd.p.llmobs_*": "names in Datadog's protocol",
    "llmobs_parent_id": "a name in Datadog's protocol",
    "<class>_sender_thread": "the name of a thread; tests/export/metrics sees it run",
}
"""What is not looked up, and why."""

NO_DOOR_NEEDED = {
    # What begins with an underscore and is documented all the same, or is no attribute.
    ("sys", "_getframe"): "CPython documents it",
    ("sys", "_current_frames"): "the standard library documents it",
    ("sys", "_current_exceptions"): "the standard library documents it",
    (None, "_is_gil_enabled"): "the standard library documents it, from Python 3.13 on",
    ("os", "_exit"): "the standard library documents it",
    ("asyncio", "_get_running_loop"): "asyncio exports it, for those who must not pay for a raise",
    ("sentinel", "_log_destroy_pending"): "asyncio's; where a task has none, nothing is quieted",
    (None, "_fields"): "namedtuple documents it",
    (None, "_record"): "structlog documents it",
    (None, "_from_structlog"): "structlog documents it",
    (None, "_name"): "what structlog puts on a record, and what a line leaves out",
    (None, "_logger"): "the same",
    (None, "_timestamp"): "an attribute of Datadog's logs",
    (None, "_seconds"): "the end of a name",
}


def doors() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each module of ours with a list of what is private: its name, and the list."""
    for found in pkgutil.walk_packages(pipecat_dd.__path__, "pipecat_dd."):
        private = getattr(importlib.import_module(found.name), "PRIVATE", None)
        if isinstance(private, dict):
            yield found.name, private


ENTRIES = sorted({entry for _, private in doors() for entry in private})


@cache
def tree_of(module: str) -> ast.Module | None:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.origin is None else ast.parse(Path(spec.origin).read_text())


def is_in(place: str, owner: str, name: str) -> bool:
    """Whether a class, or a module, sets or defines a name in its own source."""
    module, _, renamed = place.partition(":")
    tree = tree_of(module)
    if tree is None:
        return False
    body: ast.AST = tree
    if owner[:1].isupper():
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        body = classes.get(renamed or owner, ast.Module([], []))
    for node in ast.walk(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return True
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
        if (
            isinstance(node, ast.Attribute)
            and node.attr == name
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            return True
        if isinstance(node, ast.Constant) and node.value == name:
            return True
        if isinstance(node, ast.Subscript) and ast.unparse(node).replace("'", '"') == name:
            return True
    # What is compiled has no source.
    return module.startswith("ddtrace") and hasattr(
        getattr(importlib.import_module(module), owner, None), name
    )


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_private_is_where_it_is_looked_for(entry: str) -> None:
    if entry in NOT_LOOKED_UP:
        return
    owner, _, name = entry.partition(".")
    assert owner in WHERE, f"{entry} cannot be looked up: say in WHERE which module it is in"
    there = any(is_in(place, owner, name) for place in WHERE[owner].split())
    installed, since, until = ONLY.get(entry, (PIPECAT, None, None))
    expected = (since is None or installed >= since) and (until is None or installed < until)
    if expected:
        assert there, f"the installed version has moved {entry}"
    else:
        assert not there, f"{entry} is there, which ONLY says it is not"


# What is used


def attributes(tree: ast.AST) -> Iterator[tuple[str | None, str, int]]:
    """Yield each private name that a module looks up on something that is not its own.

    That is what is asked of it, in words or as a string, and where.
    """
    strings_of_its_own = {
        id(constant)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(getattr(target, "id", "") in ("__slots__", "__all__") for target in node.targets)
        for constant in ast.walk(node.value)
    }
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    parts_of_words = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("startswith", "endswith", "removesuffix", "removeprefix")
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            of = node.value.id if isinstance(node.value, ast.Name) else None
            if of not in ("self", "cls", *classes) and node.attr not in functions:
                yield of, node.attr, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            looks_like_one = node.value.isidentifier() and is_private(node.value)
            if looks_like_one and id(node) not in strings_of_its_own | parts_of_words:
                yield None, node.value, node.lineno
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("pipecat_dd"):
            for part in [*(node.module or "").split("."), *(name.name for name in node.names)]:
                if is_private(part) or part == "internal":
                    yield None, part, node.lineno


def is_private(name: str) -> bool:
    return re.fullmatch(r"_[a-z][a-z0-9_]*", name) is not None and not name.endswith("__")


def test_nothing_private_is_used_that_is_not_listed() -> None:
    listed = {part for entry in ENTRIES for part in re.findall(r"\b_[a-z][a-z0-9_]*", entry)}
    listed |= {part for places in WHERE.values() for part in re.split(r"[.: ]", places)}
    unlisted = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf8"))
        for of, name, line in attributes(tree):
            if name in listed or {(of, name), (None, name)} & NO_DOOR_NEEDED.keys():
                continue
            unlisted.append(f"{path.relative_to(PACKAGE)}:{line}: {of or ''}.{name}")
    assert not unlisted, "\n".join(["in no PRIVATE:", *unlisted])


def test_pipecat_awaits_the_events_of_frames_where_it_dispatches_them() -> None:
    """Where nothing handles one, its dispatch is answered by a future, which no task can run."""
    called = awaited = 0
    for path in Path(pipecat.__path__[0]).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not any(f'"{name}"' in text for name in FRAME_EVENTS):
            continue
        nodes = list(ast.walk(ast.parse(text)))
        called += sum(map(_is_dispatch_of_frame_event, nodes))
        awaited += sum(
            isinstance(node, ast.Await) and _is_dispatch_of_frame_event(node.value)
            for node in nodes
        )
    assert called == awaited >= len(FRAME_EVENTS)


def _is_dispatch_of_frame_event(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == CALL_EVENT_HANDLER
        and any(isinstance(one, ast.Constant) and one.value in FRAME_EVENTS for one in node.args)
    )
