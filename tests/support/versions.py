"""What the installed Pipecat can do, and tests that need more of it than that."""

from importlib.metadata import version

import pytest


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


PIPECAT = _numbers(version("pipecat-ai"))
DDTRACE = _numbers(version("ddtrace"))

REPORTS_STT_USAGE = PIPECAT >= (1, 7)
SETS_UP_OBSERVERS = PIPECAT >= (1, 8)


def needs_pipecat(since: str, what: str) -> pytest.MarkDecorator:
    """Leave a test, or a module by its ``pytestmark``, out where Pipecat cannot do it yet.

    Args:
        since: The version that first could, as ``"1.8"``.
        what: What it cannot do before; the reason that the test's report gives.
    """
    return pytest.mark.skipif(_numbers(since) > PIPECAT, reason=f"before Pipecat {since}: {what}")


def needs_ddtrace(since: str, what: str) -> pytest.MarkDecorator:
    """Leave a test, or a module by its ``pytestmark``, out where ddtrace cannot do it yet.

    Args:
        since: The version that it was seen to work with, as ``"4.16"``.
        what: What an older one was seen not to do; the reason that the test's report gives.
    """
    return pytest.mark.skipif(_numbers(since) > DDTRACE, reason=f"before ddtrace {since}: {what}")
