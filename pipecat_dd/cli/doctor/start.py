"""How the bot is started: read from its command and its source, which are not run.

ddtrace's patches are part of a process. The doctor runs in one of its own, so what it sees of
them is what its own start brought about. Told the bot's command, it switches ddtrace on in the
same way before it looks.
"""

import ast
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_DDTRACE_RUN = "ddtrace-run"
_MOST_FILES = 200


@dataclass(frozen=True)
class Start:
    """What is known of how the bot is started.

    Attributes:
        told: Whether a command was given at all.
        variables: What the command sets, as in ``DD_SERVICE=bot python bot.py``.
        auto: Whether ``ddtrace-run`` or ``import ddtrace.auto`` switches everything on.
        patch_all: The arguments of the source's ``patch_all()``; None where there is none.
        patch: The arguments of its ``patch()``; empty where there is none.
        source: The bot's own file, where the command leads to one.
        loads_env: When the source loads a ``.env`` file: ``late`` where ddtrace has read its
            variables by then, ``early`` where not; empty where it loads none.
        names: What the source imports or calls, by its last name.
        around: The same of what the source imports from beside it.
        beside: Those files.
        metrics: Whether it, or one of them, says ``metrics=True``.
        pipecat_tracing: Whether it, or one of them, turns Pipecat's own tracing on.
    """

    told: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    auto: bool = False
    patch_all: dict[str, bool] | None = None
    patch: dict[str, bool] = field(default_factory=dict)
    source: Path | None = None
    loads_env: Literal["", "early", "late"] = ""
    names: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()
    beside: tuple[Path, ...] = ()
    metrics: bool = False
    pipecat_tracing: bool = False

    @property
    def by(self) -> str:
        """What switches ddtrace's patches on, in words; empty where nothing does."""
        if self.auto:
            return "ddtrace-run or ddtrace.auto"
        if self.patch_all is not None:
            return "patch_all()"
        return "patch()" if self.patch else ""

    @classmethod
    def read(cls, command: str) -> "Start":
        """Read a command, and the Python file it runs.

        Args:
            command: The command, as for a shell.

        Raises:
            ValueError: It is empty, or its quotes do not match.
        """
        words = shlex.split(command)
        variables = {}
        while words and (words[0] == "env" or _is_assignment(words[0])):
            name, is_set, value = words.pop(0).partition("=")
            if is_set:
                variables[name] = value
        if not words:
            raise ValueError("must be the command that starts the bot, such as 'python bot.py'")
        runs = any(Path(word).name == _DDTRACE_RUN for word in words)
        source = _source(words)
        if source is None:
            return cls(told=True, variables=variables, auto=runs)
        seen = _Seen.of(source)
        beside = dict(_beside(source, seen))
        every = (seen, *beside.values())
        return cls(
            told=True,
            variables=variables,
            auto=runs or seen.auto,
            patch_all=seen.patch_all,
            patch=seen.patch,
            source=source,
            loads_env=seen.loads_env(runs),
            names=frozenset(seen.names),
            around=frozenset(name for one in beside.values() for name in one.names),
            beside=tuple(beside),
            metrics=any(("DatadogObserver", "metrics") in one.turned_on for one in every),
            pipecat_tracing=any(
                what == "enable_tracing" for one in every for _, what in one.turned_on
            ),
        )

    def switch_on(self) -> None:
        """Do in this process what the bot's start does to ddtrace.

        Raises:
            Exception: What ddtrace raises at its import, which the bot would meet too.
        """
        if self.auto:
            import ddtrace.auto  # noqa: F401 - imported for what it does
        if self.patch_all is not None or self.patch:
            from pipecat_dd.cli.doctor import _ddtrace

            _ddtrace.patch(self.patch, self.patch_all)


def _beside(source: Path, seen: "_Seen") -> Iterator[tuple[Path, "_Seen"]]:
    """Yield the files that a source imports from beside it, and those that they import."""
    done = {source.resolve()}
    waiting = [(source, seen)]
    while waiting and len(done) <= _MOST_FILES:
        importer, importers = waiting.pop()
        for module in sorted(importers.modules):
            path = _file_of(module, importer, source)
            if path is not None and path.resolve() not in done:
                done.add(path.resolve())
                found = _Seen.of(path)
                waiting.append((path, found))
                yield path, found


def _file_of(module: str, importer: Path, source: Path) -> Path | None:
    name = module.lstrip(".")
    above = len(module) - len(name)
    if above:
        roots = [importer.parents[above - 1]] if above <= len(importer.parents) else []
    else:
        roots = [source.parent, Path()]
    parts = name.split(".") if name else []
    for root in roots:
        beside = root.joinpath(*parts)
        for path in (beside.with_suffix(".py") if parts else beside, beside / "__init__.py"):
            if path.is_file():
                return path
    return None


def _is_assignment(word: str) -> bool:
    name, is_set, _ = word.partition("=")
    return bool(is_set) and name.isidentifier()


def _source(words: list[str]) -> Path | None:
    after_m = False
    for word in words:
        if after_m:
            if (path := _module(word)) is not None:
                return path
        elif word.endswith(".py") and Path(word).is_file():
            return Path(word)
        elif ":" in word and (path := _module(word.partition(":")[0])) is not None:
            return path  # as uvicorn takes it: "server:app"
        after_m = word == "-m"
    return None


def _module(name: str) -> Path | None:
    """Return the file of a module beside us; others' (uvicorn, …) are no bot's."""
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    beside = Path(*name.split("."))
    for path in (beside.with_suffix(".py"), beside / "__main__.py", beside / "__init__.py"):
        if path.is_file():
            return path
    return None


@dataclass
class _Seen:
    """What a source says about ddtrace, wherever in it that stands."""

    auto: bool = False
    patch_all: dict[str, bool] | None = None
    patch: dict[str, bool] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    turned_on: set[tuple[str, str]] = field(default_factory=set)
    ddtrace_at: int | None = None
    loads_at: int | None = None

    @classmethod
    def of(cls, source: Path) -> "_Seen":
        seen = cls()
        try:
            tree = ast.parse(source.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return seen
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                seen.modules.update(alias.name for alias in node.names)
                seen._imports(node.lineno, [alias.name for alias in node.names])
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                seen.modules.add(module)
                # What is imported from a package may be a module of it.
                dot = "" if module.endswith(".") else "."
                seen.modules.update(f"{module}{dot}{alias.name}" for alias in node.names)
                seen._imports(
                    node.lineno, [f"{node.module or ''}.{alias.name}" for alias in node.names]
                )
            elif isinstance(node, ast.Call):
                seen._calls(node)
        return seen

    def loads_env(self, ddtrace_is_first: bool) -> Literal["", "early", "late"]:
        """Tell whether a ``.env`` file is loaded, and whether ddtrace is imported before."""
        if self.loads_at is None:
            return ""
        before = self.ddtrace_at is not None and self.ddtrace_at < self.loads_at
        return "late" if ddtrace_is_first or before else "early"

    def _imports(self, line: int, names: list[str]) -> None:
        for name in names:
            if name.partition(".")[0] in ("ddtrace", "pipecat_dd"):
                self.ddtrace_at = min(line, self.ddtrace_at or line)
            self.auto = self.auto or name == "ddtrace.auto"
            self.names.add(name.rpartition(".")[2])

    def _calls(self, call: ast.Call) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        name = call.func.id if isinstance(call.func, ast.Name) else name
        if name == "patch_all":
            self.patch_all = dict(_switches(call))
        elif name == "patch" and (switches := dict(_switches(call))):
            self.patch = switches
        if name == "load_dotenv":
            self.loads_at = min(call.lineno, self.loads_at or call.lineno)
        if name:
            self.names.add(name)
            self.turned_on.update((name, what) for what, is_on in _switches(call) if is_on)


def _switches(call: ast.Call) -> Iterator[tuple[str, bool]]:
    for keyword in call.keywords:
        if keyword.arg and isinstance(keyword.value, ast.Constant):
            value = keyword.value.value
            if isinstance(value, bool) and keyword.arg != "raise_errors":
                yield keyword.arg, value
