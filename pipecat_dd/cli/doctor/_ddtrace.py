"""The doctor's access to ddtrace: what is patched, where traces go, which variables it reads.

It is separate from `pipecat_dd._ddtrace` because a running bot needs none of this.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from pipecat_dd._private import peek

PRIVATE: dict[str, str] = {
    "_monkey._get_patched_modules": "the integrations that are enabled",
    "_monkey.PATCH_MODULES": "all integrations, and which of them patch_all() enables",
    "_monkey._MODULES_FOR_CONTRIB": "the modules that each integration patches",
    "_monkey.log": "the logger of patching errors, which ddtrace reports nowhere else",
    "writer.log": "the logger of sending errors, which ddtrace reports nowhere else",
    "Tracer._span_aggregator": "the trace writer",
    "NativeWriter._api_version": "the version of the trace API that ddtrace uses; without it, the "
    "doctor does not check whether the Agent supports that version",
    "_supported_configurations.SUPPORTED_CONFIGURATIONS": "the variables that ddtrace reads; "
    "without it, misspelt variables are not reported",
}
"""The private names that this module uses, and what for.

If one of the first three is missing, the integration checks fail and report that.
"""

_PATCHING_LOGGER = "ddtrace._monkey"
_SENDING_LOGGER = "ddtrace.internal.writer"


def patch(switches: Mapping[str, bool], everything: Mapping[str, bool] | None) -> None:
    """Patch the integrations that a bot's source code patches.

    Args:
        switches: The arguments of its ``patch()`` call; empty if it makes none.
        everything: The arguments of its ``patch_all()`` call; None if it makes none.
    """
    import ddtrace
    from ddtrace._monkey import PATCH_MODULES

    if everything is not None:
        ddtrace.patch_all(**{name: on for name, on in everything.items() if name in PATCH_MODULES})
    ddtrace.patch(
        raise_errors=False, **{name: on for name, on in switches.items() if name in PATCH_MODULES}
    )


def patched_integrations() -> frozenset[str]:
    """Return the enabled integrations. Each patches its library when that is imported."""
    from ddtrace._monkey import _get_patched_modules

    return frozenset(_get_patched_modules())


def default_integrations() -> frozenset[str]:
    """Return the integrations that ``patch_all()`` enables by default."""
    from ddtrace._monkey import PATCH_MODULES

    return frozenset(name for name, on in PATCH_MODULES.items() if on)


def installed_libraries(integrations: frozenset[str]) -> dict[str, str]:
    """Return the integrations whose library is installed, each with a module of that library.

    Args:
        integrations: The integrations to look for, by ddtrace's names.
    """
    from ddtrace._monkey import _MODULES_FOR_CONTRIB

    found = {}
    for integration in sorted(integrations):
        for module in _MODULES_FOR_CONTRIB.get(integration, (integration,)):
            if _is_installed(module):
                found[integration] = module
                break
    return found


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def variables() -> frozenset[str]:
    """Return the names of the variables that ddtrace reads; empty if they are unknown."""
    try:
        from ddtrace.internal.settings._supported_configurations import SUPPORTED_CONFIGURATIONS
    except Exception:  # ddtrace raises various exceptions for invalid settings
        return frozenset()
    return frozenset(SUPPORTED_CONFIGURATIONS)


def agent_url() -> str | None:
    """Return the URL of the Agent that ddtrace sends traces to; None if it uses no Agent."""
    from ddtrace.trace import tracer

    return tracer.agent_trace_url


def trace_api() -> str | None:
    """Return the version of the trace API that ddtrace uses; None if it is unknown."""
    from ddtrace.trace import tracer

    writer = peek(peek(tracer, "_span_aggregator"), "writer")
    version = peek(writer, "_api_version")
    return version if isinstance(version, str) else None


class _ErrorCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def collect_errors(*, about_sending: bool) -> Iterator[list[str]]:
    """Collect the errors that ddtrace logs within a block.

    Args:
        about_sending: Whether to collect errors about sending traces, or those about patching.

    Yields:
        The messages. The list grows while the block runs.
    """
    collector = _ErrorCollector()
    logger = logging.getLogger(_SENDING_LOGGER if about_sending else _PATCHING_LOGGER)
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


def flush() -> None:
    """Send all finished spans now."""
    from ddtrace.trace import tracer

    tracer.flush()  # type: ignore[no-untyped-call]
