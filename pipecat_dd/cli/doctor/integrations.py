"""Check which of ddtrace's integrations are enabled, and their unexpected effects."""

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
"""The integrations that matter to a voice bot; ddtrace has a hundred more."""

_REQUESTS: Final = FOR_A_BOT - {"loguru", "logging", "asyncio", "futures", "fastapi", "starlette"}
"""The integrations that create a span for each request of a conversation's stages."""

_HOW: Final = (
    "Start the bot with ddtrace-run, or make `import ddtrace.auto` its first import. If the bot "
    "does so already, run `ddtrace-run pipecat-dd doctor` or "
    "`pipecat-dd doctor --start '<the command that starts the bot>'`."
)

MESSAGES: Final = "DD_TRACE_WEBSOCKET_MESSAGES_ENABLED"
_OLDER_MESSAGES: Final = "DD_ASGI_TRACE_WEBSOCKET"

_WEBSOCKET_TRANSPORT: Final = "FastAPIWebsocketTransport"


def patches(context: Context) -> Iterator[Finding]:
    """Check which libraries are patched, in this process or as the bot starts."""
    installed = _ddtrace.installed_libraries(
        FOR_A_BOT & (_ddtrace.default_integrations() | _ddtrace.patched_integrations())
    )
    on = sorted(_ddtrace.patched_integrations() & installed.keys())
    off = sorted(installed.keys() - set(on))
    facts: dict[str, Fact] = {
        "patched": list(on),
        "not_patched": list(off),
        "start": context.start.by,
    }
    requests = sorted(_REQUESTS & set(off))
    where = _where(context.start)
    if not on:
        yield Finding(
            "integrations.patched",
            Level.NOTE,
            f"None of ddtrace's integrations is enabled {where}: requests of "
            f"{', '.join(requests) or 'libraries'} get no spans of their own.",
            _HOW,
            facts,
        )
        return
    yield Finding(
        "integrations.patched",
        Level.NOTE if requests else Level.OK,
        f"Enabled {where}: {', '.join(on)}"
        + (f"; installed, but not enabled: {', '.join(off)}" if off else "")
        + ".",
        f"To get spans for requests of {', '.join(requests)}, unset the variable that disables "
        "the integration (DD_TRACE_<NAME>_ENABLED=false) or add it to ddtrace.patch()."
        if requests
        else "",
        facts,
    )


def _where(start: Start) -> str:
    if not start.is_given:
        return "in this process"
    if start.source is None:
        return "by the bot's command (it names no Python file that the doctor could read)"
    return "when the bot starts"


def failures(context: Context) -> Iterator[Finding]:
    """Import the patched libraries, and report those that ddtrace cannot patch."""
    installed = _ddtrace.installed_libraries(FOR_A_BOT & _ddtrace.patched_integrations())
    for integration, module in installed.items():
        with _ddtrace.collect_errors(about_sending=False) as errors:
            try:
                importlib.import_module(module)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
        for message in errors[:1]:
            yield Finding(
                "integrations.failed",
                Level.PROBLEM,
                f"ddtrace cannot patch {integration}: {message}",
                f"Install compatible versions of {module} and ddtrace, or disable the integration "
                f"with DD_TRACE_{integration.upper()}_ENABLED=false.",
                {"integration": integration},
            )


def websocket_messages(context: Context) -> Iterator[Finding]:
    """Check whether ddtrace creates a trace for each websocket message."""
    installed = _ddtrace.installed_libraries(frozenset({"fastapi", "starlette"}))
    if not installed:
        return
    check = "integrations.websocket_messages"
    is_patched = bool(_ddtrace.patched_integrations() & installed.keys())
    wanted = context.is_on(MESSAGES, context.is_on(_OLDER_MESSAGES, True))
    facts = {"traced": is_patched and wanted}
    if not wanted:
        yield Finding(check, Level.OK, "Websocket messages are not traced.", facts=facts)
    elif not is_patched:
        if context.start.is_given:
            yield Finding(
                check,
                Level.OK,
                "Websocket messages are not traced: FastAPI is not patched.",
                facts=facts,
            )
    else:
        used = _WEBSOCKET_TRANSPORT in context.start.names
        yield Finding(
            check,
            Level.PROBLEM if used else Level.NOTE,
            "ddtrace creates a trace for every websocket message in FastAPI. A telephone call has "
            "100 messages a second.",
            f"Set {MESSAGES}=false"
            + ("." if used else " if calls reach the bot over a websocket in FastAPI."),
            facts,
        )


CHECKS: Final = (patches, failures, websocket_messages)
