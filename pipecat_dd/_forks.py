"""What has to be made anew in a forked process.

A lock that another thread holds at the moment of a fork stays locked in the child: the thread
that would release it is not there.
"""

import os
from collections.abc import Callable


def in_forked_processes(renew: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in each process that is forked from this one.

    Args:
        renew: The function; must not raise.

    Returns:
        The same function: this can be used as a decorator.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return renew
