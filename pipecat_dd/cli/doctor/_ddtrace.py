"""The doctor's door to ddtrace: what is patched, where it sends to, which variables it reads.

Apart from the package's own door, which a bot goes through: nothing in here is of use to one.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from pipecat_dd._private import peek

PRIVATE: dict[str, str] = {
    "_monkey._get_patched_modules": "which integrations are switched on",
    "_monkey.PATCH_MODULES": "which there are, and which are switched on where all are",
    "_monkey._MODULES_FOR_CONTRIB": "which modules each of them patches",
    "_monkey.log": "ddtrace's logger of what it could not patch, which it says nowhere else",
    "writer.log": "its logger of what it could not send, which it says nowhere else",
    "Tracer._span_aggregator": "the writer of traces",
    "NativeWriter._api_version": "which version of the trace API it sends; without it that is not "
    "compared with what the Agent takes",
    "_supported_configurations.SUPPORTED_CONFIGURATIONS": "which variables ddtrace reads, so that "
    "a misspelt one can be told; without it none is",
}
"""What is used here without being public, and what it is used for.

Where one of the first three is missing the checks of integrations cannot be made, and say so.
"""

_LOG_OF_PATCHING = "ddtrace._monkey"
_LOG_OF_WRITING = "ddtrace.internal.writer"


def patch(switches: Mapping[str, bool], everything: Mapping[str, bool] | None) -> None:
    """Patch what a bot's source patches.

    Args:
        switches: The arguments of its ``patch()``.
        everything: The arguments of its ``patch_all()``; None where it does not call that.
    """
    import ddtrace
    from ddtrace._monkey import PATCH_MODULES

    if everything is not None:
        ddtrace.patch_all(**{name: on for name, on in everything.items() if name in PATCH_MODULES})
    ddtrace.patch(
        raise_errors=False, **{name: on for name, on in switches.items() if name in PATCH_MODULES}
    )


def patched() -> frozenset[str]:
    """Return the integrations that are on: their libraries are patched when imported."""
    from ddtrace._monkey import _get_patched_modules

    return frozenset(_get_patched_modules())


def by_default() -> frozenset[str]:
    """Return the integrations that ddtrace turns on where it is told to patch all."""
    from ddtrace._monkey import PATCH_MODULES

    return frozenset(name for name, on in PATCH_MODULES.items() if on)


def installed_of(integrations: frozenset[str]) -> dict[str, str]:
    """Return those integrations whose library is installed, with a module of the library.

    Args:
        integrations: ddtrace's names for them.
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
    """Return the names of the variables that ddtrace reads; empty where that is not known."""
    try:
        from ddtrace.internal.settings._supported_configurations import SUPPORTED_CONFIGURATIONS
    except Exception:  # ddtrace raises what it likes where its settings are wrong
        return frozenset()
    return frozenset(SUPPORTED_CONFIGURATIONS)


def agent_url() -> str | None:
    """Return where ddtrace sends traces; None where that is no Agent."""
    from ddtrace.trace import tracer

    return tracer.agent_trace_url


def trace_api() -> str | None:
    """Return which version of the Agent's trace API ddtrace sends; None where it is not known."""
    from ddtrace.trace import tracer

    writer = peek(peek(tracer, "_span_aggregator"), "writer")
    version = peek(writer, "_api_version")
    return version if isinstance(version, str) else None


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def complaints(*, of_writing: bool) -> Iterator[list[str]]:
    """Collect ddtrace's own errors for a block.

    Args:
        of_writing: Those about sending traces; else those about patching.

    Yields:
        What it said, as the block goes on.
    """
    kept = _Kept()
    logger = logging.getLogger(_LOG_OF_WRITING if of_writing else _LOG_OF_PATCHING)
    logger.addHandler(kept)
    try:
        yield kept.messages
    finally:
        logger.removeHandler(kept)


def flush() -> None:
    """Send what has finished, now."""
    from ddtrace.trace import tracer

    tracer.flush()  # type: ignore[no-untyped-call]
