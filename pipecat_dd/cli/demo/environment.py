"""The environment of the demo's child processes.

The demo must neither depend on the user's own setup nor affect it: its spans must not reach the
user's Agent, and the user's settings must not change its output. A child process therefore gets
the user's environment without the variables that configure Datadog, OpenTelemetry, this package or
a proxy, plus the variables that it needs. They must be set before the child starts, because
ddtrace reads its settings when it is imported.
"""

import os
from collections.abc import Mapping

_FOREIGN_PREFIXES = (
    *("DD_", "_DD_", "OTEL_", "PIPECAT_DD_"),
    *("LOGURU_", "OPENAI_"),
    *("SNAPSHOT_", "VCR_"),  # the test agent's
)


def quiet_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of an environment without the variables that would affect the demo.

    Args:
        environ: The environment to copy; None for that of this process.
    """
    source = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in source.items()
        if not name.startswith(_FOREIGN_PREFIXES) and not name.lower().endswith("_proxy")
    }
    kept["NO_PROXY"] = "*"  # all connections of the demo are on loopback
    return kept


def bot_environment(
    *,
    agent_url: str,
    provider_url: str,
    service: str = "pipecat-dd-demo",
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment for a bot that sends its traces to a local test agent.

    Args:
        agent_url: The URL that ddtrace sends traces to.
        provider_url: The base URL of the server that replaces OpenAI. The ``openai`` SDK reads it
            from the environment, so the bot needs no code for it.
        service: The value of ``DD_SERVICE``.
        environ: The environment to copy; None for that of this process.
    """
    return quiet_environment(environ) | {
        "DD_TRACE_AGENT_URL": agent_url,
        "DD_SERVICE": service,
        "DD_ENV": "demo",
        "DD_VERSION": "1.0.0",
        # ddtrace would print its errors as plain text among the JSON lines.
        "DD_TRACE_LOG_STREAM_HANDLER": "false",
        # Send only traces: these two send requests to Datadog or the Agent every few seconds.
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "OPENAI_BASE_URL": provider_url,
        "OPENAI_API_KEY": "demo",
        "PYTHONUNBUFFERED": "1",
    }
