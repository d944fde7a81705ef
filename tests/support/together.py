"""Several cases of one test at once: most of each is waiting."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Case = TypeVar("Case")

AT_ONCE = max(2, min(4, os.cpu_count() or 2))


def together(cases: Iterable[Case], check: Callable[[Case], None]) -> None:
    """Check all cases, some at a time, and say of each that fails why.

    Args:
        cases: The cases.
        check: Checks one. What it asserts is the test's.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [(case, pool.submit(check, case)) for case in cases]
    failed = [f"{case}: {error!r}" for case, future in futures if (error := future.exception())]
    assert not failed, "\n".join(failed)
