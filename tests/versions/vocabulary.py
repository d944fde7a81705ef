"""All that the installed Pipecat can utter: its frames, its metrics and its events.

They are read from its source, since many of its modules need packages that are not installed. A
class belongs to those of its base, wherever it is defined.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Utterer:
    """A class that has an event.

    Attributes:
        class_name: The class.
        part: The part of Pipecat that it is in: ``services``, ``transports``.
        is_sync: Whether it runs the handlers of the event in place.
    """

    class_name: str
    part: str
    is_sync: bool


@dataclass
class Vocabulary:
    """The names of one version.

    Attributes:
        bases: The base classes of each class, by name.
        events: Who has each event.
        unknown: Where an event's name is not a literal.
    """

    bases: dict[str, set[str]] = field(default_factory=dict)
    events: dict[str, set[Utterer]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def kinds(self, root: str) -> set[str]:
        """Return a class and all that derive from it."""
        found: set[str] = set()
        more = {root}
        while more:
            found |= more
            more = {name for name, bases in self.bases.items() if bases & found} - found
        return found

    def above(self, name: str) -> set[str]:
        """Return a class and all that it derives from."""
        found: set[str] = set()
        more = {name}
        while more:
            found |= more
            more = {base for one in more for base in self.bases.get(one, ())} - found
        return found

    @property
    def frames(self) -> set[str]:
        """The classes of frames."""
        return self.kinds("Frame")

    @property
    def metrics(self) -> set[str]:
        """The classes of metrics."""
        return self.kinds("MetricsData")

    @property
    def event_names(self) -> set[tuple[str, str]]:
        """The events, each with the part of Pipecat that has it."""
        return {(by.part, name) for name, utterers in self.events.items() for by in utterers}


@cache
def installed() -> Vocabulary:
    """Return the names of the installed Pipecat."""
    spec = find_spec("pipecat")
    assert spec is not None
    assert spec.origin is not None
    return read(Path(spec.origin).parent)


def read(package: Path) -> Vocabulary:
    """Return the names of a Pipecat.

    Args:
        package: Its directory.
    """
    found = Vocabulary()
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).with_suffix("").parts[0]
        source = path.read_text("utf8")
        if part == "tests" or "class " not in source:
            continue
        for node, owner in _walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                bases = found.bases.setdefault(node.name, set())
                bases |= {name for base in node.bases if (name := _name_of(base)) is not None}
            elif _registers(node):
                assert isinstance(node, ast.Call)
                named, *_ = node.args
                if not isinstance(named, ast.Constant):
                    found.unknown.append(f"{path}:{node.lineno}")
                    continue
                is_sync = any(word.arg == "sync" for word in node.keywords)
                event = found.events.setdefault(str(named.value), set())
                event.add(Utterer(owner, part, is_sync))
    return found


def _walk(tree: ast.AST, owner: str = "") -> Iterator[tuple[ast.AST, str]]:
    for node in ast.iter_child_nodes(tree):
        yield node, owner
        yield from _walk(node, node.name if isinstance(node, ast.ClassDef) else owner)


def _name_of(base: ast.expr) -> str | None:
    if isinstance(base, ast.Subscript):
        base = base.value
    return base.id if isinstance(base, ast.Name) else getattr(base, "attr", None)


def _registers(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "_register_event_handler"
        and bool(node.args)
    )
