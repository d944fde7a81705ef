"""The map in docs/architecture.md holds: who may import whom, type-only imports included.

    Pipecat -> instrumentation -> conversation <- export -> Datadog

An import within a function counts, and so does one under ``TYPE_CHECKING``: a reader follows both.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipecat_dd
from tests.support import module_map

PACKAGE = Path(pipecat_dd.__file__).parent

MAY_IMPORT = {
    # What stands alone, and the two that everything may lean on.
    "_private": set[str](),
    "_forks": set[str](),
    "_guard": set[str](),
    "_network": set[str](),
    "_phone_patterns": set[str](),
    "names": set[str](),
    # The doors. `_pipecat` returns what it has found in the model's words.
    "_pipecat": {"_private", "conversation", "names"},
    "_ddtrace": {"_private", "_forks", "_guard", "names"},
    "_llmobs": {"_ddtrace", "_guard", "_private", "names"},
    "_loguru": {"_private"},
    # The three parts.
    "conversation": {"_forks", "_guard", "_phone_patterns", "_private", "names", "settings"},
    "instrumentation": {"_forks", "_guard", "_pipecat", "conversation", "names", "settings"},
    "export": {
        *("_ddtrace", "_llmobs", "_loguru", "_pipecat"),
        *("_exit", "_forks", "_guard", "_network", "_phone_patterns", "_private"),
        *("conversation", "names", "settings"),
    },
    "settings": {"_ddtrace", "_forks", "_llmobs", "_pipecat", "names"},
    "testing": {"_private", "export", "names", "settings"},
}
"""What each part of the package may import of the others. The rest puts the parts together."""

FOREIGN = {
    "pipecat": {"_pipecat", "observer", "session_instrumentation", "cli"},
    "ddtrace": {"_ddtrace", "_llmobs", "cli", "testing"},
    "datadog": {"export.metrics._dogstatsd"},
    "datadog_api_client": {"cli"},
    "opentelemetry": set[str](),
}
"""The parts that may import what is not ours. ``loguru.logger`` is for all but the conversation;
what is private of Loguru, ``tests/versions/test_private.py`` holds to its door."""


def modules() -> dict[str, ast.Module]:
    """Return each module of the package, by its name below ``pipecat_dd``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text("utf8"))
    return found


MODULES = modules()


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full names of what a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree: ast.Module) -> set[str]:
    """Return the modules of the package that a module imports."""
    found = set()
    for name in imported(tree):
        head, _, rest = name.partition(".")
        if head == "pipecat_dd":
            found.add(rest if rest in MODULES else rest.rpartition(".")[0])
    return found


IMPORTS = {name: ours(tree) - {name} for name, tree in MODULES.items()}


def part(module: str) -> str:
    """Return the part of the package that a module is, or is in; empty for its public face."""
    return module.partition(".")[0]


@pytest.mark.parametrize("own", MAY_IMPORT)
def test_a_part_imports_only_what_it_may(own: str) -> None:
    assert own in {part(name) for name in MODULES}, "there is no such part any more"
    wrong = {
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if part(name) == own
        for other in others
        if part(other) not in (own, *MAY_IMPORT[own])
    }
    assert not wrong


def test_nothing_imports_the_command_line() -> None:
    wrong = {
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if part(name) != "cli"
        for other in others
        if part(other) == "cli"
    }
    assert not wrong


@pytest.mark.parametrize("library", FOREIGN)
def test_what_is_foreign_has_its_doors(library: str) -> None:
    doors = FOREIGN[library]
    wrong = {
        f"{name} imports {found}"
        for name, tree in MODULES.items()
        for found in imported(tree)
        if found.partition(".")[0] == library and not {name, part(name)} & doors
    }
    assert not wrong


def test_the_conversation_knows_no_library() -> None:
    libraries = {*FOREIGN, "loguru"}
    wrong = {
        f"{name} imports {found}"
        for name, tree in MODULES.items()
        if part(name) == "conversation"
        for found in imported(tree)
        if found.partition(".")[0] in libraries
    }
    assert not wrong


def test_no_files_import_one_another_in_a_circle() -> None:
    circles = []
    left = dict(IMPORTS)
    # Whoever imports nothing that is left is in no circle, and nothing that leads only there is.
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    while left:
        path = [next(iter(left))]
        while path[-1] not in path[:-1]:
            path.append(next(iter(sorted(left[path[-1]] & left.keys()))))
        circle = path[path.index(path[-1]) :]
        circles.append(" -> ".join(circle))
        for name in circle[:-1]:
            left.pop(name, None)
        while free := [name for name, others in left.items() if not others & left.keys()]:
            for name in free:
                del left[name]
    assert not circles


def test_every_file_that_the_map_names_is_there() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf8")
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?|[a-z_]+\.py)`", text))
    # In a list of files of one directory the first names it.
    beside = {path.name for path in PACKAGE.rglob("*.py")}
    missing = {
        name
        for name in named
        if not (PACKAGE / name).exists()
        and not (PACKAGE.parent / name).exists()
        and name not in beside
        and not any((room / name).is_dir() for room in (PACKAGE / "export", PACKAGE / "cli"))
    }
    assert len(named) > 30
    assert not missing


def test_the_page_lists_every_module() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf8")
    listed = text.partition(module_map.HEADING)[2].strip()
    assert listed == module_map.tables().strip(), "run: python -m tests.support.module_map"
