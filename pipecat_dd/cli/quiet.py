"""Keeps Pipecat from greeting while a command imports it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_pipecat() -> Iterator[None]:
    """Suppress Pipecat's log lines within a block: importing Pipecat logs a greeting.

    Afterwards they are enabled again, since a user's own program may call the command.
    """
    from loguru import logger

    logger.disable("pipecat")
    try:
        yield
    finally:
        logger.enable("pipecat")
