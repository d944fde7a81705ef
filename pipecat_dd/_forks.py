"""Functions that renew locks and state in a forked process.

A lock that another thread holds at the moment of a fork stays locked in the child, since the
thread that would release it does not exist there.
"""

import os
from collections.abc import Callable


def in_forked_processes(renew: Callable[[], None]) -> Callable[[], None]:
    """Call a function in each process that is forked from this one; also a decorator.

    Args:
        renew: Called in the child, without arguments. It must not raise.

    Returns:
        The same function.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return renew
