"""Reads ddtrace's settings: the bot's service, env, version and tags, and what is turned on."""

import os
import sys
import time
from collections.abc import Mapping

import ddtrace

from pipecat_dd._ddtrace.public import tracer


def is_enabled() -> bool:
    """Whether ddtrace sends anything (``DD_TRACE_ENABLED``)."""
    return bool(tracer.enabled)


def is_otel() -> bool:
    """Whether OpenTelemetry's spans are ddtrace's (``DD_TRACE_OTEL_ENABLED``)."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    return type(trace.get_tracer_provider()).__module__.partition(".")[0] == "ddtrace"


def service() -> str | None:
    """Return ``DD_SERVICE``; None if it is not set."""
    return _text(ddtrace.config.service)


def mapped_service() -> str | None:
    """Return the service of our spans: ``DD_SERVICE``, as ``DD_SERVICE_MAPPING`` renames it."""
    own = service()
    mapping = getattr(ddtrace.config, "service_mapping", None)
    return _text(mapping.get(own, own)) if isinstance(mapping, Mapping) else own


def env() -> str | None:
    """Return ``DD_ENV``; None if it is not set."""
    return _text(ddtrace.config.env)


def ddtrace_version() -> str:
    """Return ddtrace's own version."""
    return str(ddtrace.__version__)


def version() -> str | None:
    """Return ``DD_VERSION``; None if it is not set."""
    return _text(ddtrace.config.version)


INJECTS_IDS = os.environ.get("DD_LOGS_INJECTION", "").strip().lower() not in ("false", "0")
"""Whether log lines carry trace and span ids; ``DD_LOGS_INJECTION=false`` turns that off."""

_UNIFIED_FOR_SECS = 1.0
_unified: tuple[float, tuple[str | None, str | None, str | None]] | None = None


def unified() -> tuple[str | None, str | None, str | None]:
    """Return the service, env and version of what is sent.

    They are looked up at most once a second, since each log line needs them.
    """
    global _unified
    now = time.monotonic()
    held = _unified
    if held is None or now - held[0] > _UNIFIED_FOR_SECS:
        held = _unified = (now, (mapped_service(), env(), version()))
    return held[1]


def tags() -> dict[str, str]:
    """Return ``DD_TAGS``, which ddtrace puts on every span, without service, env and version."""
    found = getattr(ddtrace.config, "tags", None)
    if not isinstance(found, Mapping):
        return {}
    unified = ("service", "env", "version")
    return {str(name): str(value) for name, value in found.items() if name not in unified}


def _text(value: object) -> str | None:
    return str(value) if value else None
