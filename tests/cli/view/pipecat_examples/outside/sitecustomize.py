"""What is around a bot of Pipecat's examples: its providers are servers on this machine.

Python imports this file as it starts, where its folder is in ``PYTHONPATH``, so the bot's own
command and code stay as they are. `EXAMPLES_PROVIDERS` is a JSON object: the defaults of arguments
that name a provider's address, by module and class. `EXAMPLES_ROOM` is what the participant does
in a room of Daily's, which stands where that SDK begins.
"""

import importlib.abc
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from typing import Any

_REPLACED: dict[str, dict[str, dict[str, str]]] = json.loads(
    os.environ.get("EXAMPLES_PROVIDERS", "{}")
)
"""Module: class: argument: default."""
_ROOM = os.environ.get("EXAMPLES_ROOM", "")


def _redirect(module: Any) -> None:
    for name, defaults in _REPLACED[module.__name__].items():
        _set_defaults(getattr(module, name).__init__, defaults)


def _set_defaults(function: Any, defaults: dict[str, str]) -> None:
    by_keyword = function.__kwdefaults__
    positional = function.__code__.co_varnames[: function.__code__.co_argcount]
    for argument, default in defaults.items():
        if argument in by_keyword:
            by_keyword[argument] = default
        else:
            known = list(function.__defaults__)
            known[positional.index(argument) - len(positional)] = default
            function.__defaults__ = tuple(known)


def _open_room(module: Any) -> None:
    from tests.cli.view.pipecat_examples.room import open_room

    open_room(_ROOM)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function with a module once that is imported."""

    def __init__(self, wanted: dict[str, Callable[[Any], None]]) -> None:
        self._wanted = wanted

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._wanted:
            return None
        then = self._wanted.pop(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            then(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_wanted: dict[str, Callable[[Any], None]] = dict.fromkeys(_REPLACED, _redirect)
if _ROOM:
    _wanted["pipecat.transports.daily.transport"] = _open_room
if _wanted:
    sys.meta_path.insert(0, _AfterImport(_wanted))
