"""Which of ddtrace's integrations are on, and what they do that nobody expects."""

import importlib
from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Fact, Finding, Level
from pipecat_dd.cli.doctor.start import Start

FOR_A_BOT: Final = frozenset(
    {
        *("openai", "anthropic", "google_genai", "mistralai", "botocore", "aiobotocore"),
        *("httpx", "httpx2", "aiohttp", "requests", "grpc", "mcp"),
        *("fastapi", "starlette", "loguru", "logging", "asyncio", "futures"),
    }
)
"""What a voice bot has to do with; ddtrace knows a hundred more."""

_REQUESTS: Final = FOR_A_BOT - {"loguru", "logging", "asyncio", "futures", "fastapi", "starlette"}
"""Those that make a span of each request that a stage of the conversation waits for."""

_HOW: Final = (
    "Start the bot with ddtrace-run, or make `import ddtrace.auto` its first import. If it does "
    "that already, look again with `ddtrace-run pipecat-dd doctor`, or with "
    "`pipecat-dd doctor --start '<the command that starts the bot>'`."
)

MESSAGES: Final = "DD_TRACE_WEBSOCKET_MESSAGES_ENABLED"
_OLDER_MESSAGES: Final = "DD_ASGI_TRACE_WEBSOCKET"

_WEBSOCKET_TRANSPORT: Final = "FastAPIWebsocketTransport"


def patches(situation: Context) -> Iterator[Finding]:
    """Check which libraries are patched, in this process or by the bot's own start."""
    installed = _ddtrace.installed_of(FOR_A_BOT & (_ddtrace.by_default() | _ddtrace.patched()))
    on = sorted(_ddtrace.patched() & installed.keys())
    off = sorted(installed.keys() - set(on))
    facts: dict[str, Fact] = {
        "patched": list(on),
        "not_patched": list(off),
        "start": situation.start.by,
    }
    requests = sorted(_REQUESTS & set(off))
    where = _where(situation.start)
    if not on:
        yield Finding(
            "integrations.patched",
            Level.NOTE,
            f"None of ddtrace's integrations is switched on {where}: requests of "
            f"{', '.join(requests) or 'libraries'} get no span of their own inside their stage.",
            _HOW,
            facts,
        )
        return
    yield Finding(
        "integrations.patched",
        Level.NOTE if requests else Level.OK,
        f"Switched on {where}: {', '.join(on)}"
        + (f"; installed, but not switched on: {', '.join(off)}" if off else "")
        + ".",
        f"For spans of the requests of {', '.join(requests)}: unset what turns them off "
        f"(DD_TRACE_<NAME>_ENABLED=false), or name them in ddtrace.patch()."
        if requests
        else "",
        facts,
    )


def _where(start: Start) -> str:
    if not start.told:
        return "in this process"
    if start.source is None:
        return "by the bot's command, in which no file of Python was found to read"
    return "by the bot's start"


def failures(situation: Context) -> Iterator[Finding]:
    """Import what is patched, and see whether ddtrace manages to patch it."""
    installed = _ddtrace.installed_of(FOR_A_BOT & _ddtrace.patched())
    for integration, module in installed.items():
        with _ddtrace.complaints(of_writing=False) as complaints:
            try:
                importlib.import_module(module)
            except Exception as error:
                complaints.append(f"{type(error).__name__}: {error}")
        for complaint in complaints[:1]:
            yield Finding(
                "integrations.failed",
                Level.PROBLEM,
                f"ddtrace cannot patch {integration}: {complaint}",
                f"Install versions of {module} and ddtrace that go together, or turn it off with "
                f"DD_TRACE_{integration.upper()}_ENABLED=false.",
                {"integration": integration},
            )


def websocket_messages(situation: Context) -> Iterator[Finding]:
    """Check whether each message of a websocket becomes a trace of its own."""
    installed = _ddtrace.installed_of(frozenset({"fastapi", "starlette"}))
    if not installed:
        return
    check = "integrations.websocket_messages"
    is_patched = bool(_ddtrace.patched() & installed.keys())
    wanted = situation.is_on(MESSAGES, situation.is_on(_OLDER_MESSAGES, True))
    facts = {"traced": is_patched and wanted}
    if not wanted:
        yield Finding(check, Level.OK, "Messages of websockets are not traced.", facts=facts)
    elif not is_patched:
        if situation.start.told:
            yield Finding(
                check,
                Level.OK,
                "Messages of websockets are not traced: FastAPI is not patched.",
                facts=facts,
            )
    else:
        used = _WEBSOCKET_TRANSPORT in situation.start.names
        yield Finding(
            check,
            Level.PROBLEM if used else Level.NOTE,
            "ddtrace makes a trace of every message of a websocket behind FastAPI: 102 of them for "
            "100 messages, and a telephone call is 100 messages a second.",
            f"Set {MESSAGES}=false"
            + ("." if used else ", if callers come over a websocket behind FastAPI."),
            facts,
        )


CHECKS: Final = (patches, failures, websocket_messages)
