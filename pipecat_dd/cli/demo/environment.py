"""The environment of the demo's child processes.

The demo must neither depend on nor disturb what its user has set up: no span of it may reach the
user's own Agent, no setting of theirs may change what it shows. So a child's environment is the
user's without anything that configures Datadog, OpenTelemetry, Pipecat's observer or a proxy,
plus exactly what the child needs. It has to be complete before the child starts, because ddtrace
reads its settings when it is imported.
"""

import os
from collections.abc import Mapping

_FOREIGN_PREFIXES = (
    *("DD_", "_DD_", "OTEL_", "PIPECAT_DD_"),
    *("LOGURU_", "OPENAI_"),
    *("SNAPSHOT_", "VCR_"),  # the test agent's
)


def quiet_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of the environment without what would reach into the demo.

    Args:
        environ: The environment to start from; the process's own if not given.
    """
    source = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in source.items()
        if not name.startswith(_FOREIGN_PREFIXES) and not name.lower().endswith("_proxy")
    }
    kept["NO_PROXY"] = "*"  # everything here is on loopback
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
        agent_url: Where ddtrace sends its traces.
        provider_url: Base URL of the server that stands in for OpenAI; the ``openai`` SDK takes
            it from the environment, so that the bot itself needs no line for it.
        service: ``DD_SERVICE``, the service of the spans.
        environ: The environment to start from; the process's own if not given.
    """
    return quiet_environment(environ) | {
        "DD_TRACE_AGENT_URL": agent_url,
        "DD_SERVICE": service,
        "DD_ENV": "demo",
        "DD_VERSION": "1.0.0",
        # ddtrace's own complaints, in plain text, have no place among lines of JSON.
        "DD_TRACE_LOG_STREAM_HANDLER": "false",
        # Nothing but traces: these two would call home, or the Agent, every few seconds.
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "OPENAI_BASE_URL": provider_url,
        "OPENAI_API_KEY": "demo",
        "PYTHONUNBUFFERED": "1",
    }
