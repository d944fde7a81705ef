"""Remembers what is worked out once for each class of objects."""

import sys
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")

_IS_MADE_AT_RUN_TIME = 1 << 9
"""A class's flag in CPython (``Py_TPFLAGS_HEAPTYPE``). One without it is Python's own."""


class ClassMemo(Generic[_T]):
    """The results of a function of a class, computed once for each class.

    Classes that a module defines live as long as the process. All others, such as those that a
    function makes for each call, are forgotten when they are gone.
    """

    __slots__ = ("_find", "_made", "of_modules")

    def __init__(self, find: Callable[[type], _T]) -> None:
        """Remember the results of a function.

        Args:
            find: The function.
        """
        self._find = find
        self._made: weakref.WeakKeyDictionary[type, _T] = weakref.WeakKeyDictionary()
        # To be read without a call where every tenth of a microsecond counts.
        self.of_modules: dict[type, _T] = {}

    def __call__(self, kind: type) -> _T:
        """Return the function's result for a class."""
        try:
            return self.of_modules[kind]
        except KeyError:
            pass
        found = self._made.get(kind)
        if found is None:
            found = self._find(kind)
            (self.of_modules if _lives_as_long_as_we(kind) else self._made)[kind] = found
        return found


def _lives_as_long_as_we(kind: type) -> bool:
    if not kind.__flags__ & _IS_MADE_AT_RUN_TIME:
        return True
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind
