"""Read how the bot is started from its command and its source, without running them.

ddtrace patches the process that it runs in, and the doctor runs in a process of its own. If the
user gives the bot's command, the doctor enables ddtrace in the same way before it runs its checks.
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
    """How the bot is started.

    Attributes:
        is_given: Whether the user gave a command. If not, all else is empty.
        variables: The variables that the command sets, as in ``DD_SERVICE=bot python bot.py``.
        auto: Whether ``ddtrace-run`` or ``import ddtrace.auto`` enables the integrations.
        patch_all: The arguments of ``patch_all()`` in the source; None if it is not called.
        patch: The arguments of ``patch()`` in the source; empty if it is not called.
        source: The bot's source file; None if the command names none.
        loads_env: Whether the source loads a ``.env`` file after ddtrace is imported (``late``)
            or before (``early``); empty if it loads none.
        names: The names that the source imports or calls, without their modules.
        names_beside: The same for the local files that the source imports.
        files_beside: The local files that the source imports, directly or indirectly.
        metrics: Whether the source or a local file contains ``metrics=True``.
        pipecat_tracing: Whether the source or a local file enables Pipecat's own tracing.
    """

    is_given: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    auto: bool = False
    patch_all: dict[str, bool] | None = None
    patch: dict[str, bool] = field(default_factory=dict)
    source: Path | None = None
    loads_env: Literal["", "early", "late"] = ""
    names: frozenset[str] = frozenset()
    names_beside: frozenset[str] = frozenset()
    files_beside: tuple[Path, ...] = ()
    metrics: bool = False
    pipecat_tracing: bool = False

    @property
    def by(self) -> str:
        """What enables ddtrace's patches, for people to read; empty if nothing does."""
        if self.auto:
            return "ddtrace-run or ddtrace.auto"
        if self.patch_all is not None:
            return "patch_all()"
        return "patch()" if self.patch else ""

    @classmethod
    def read(cls, command: str) -> "Start":
        """Read a command and the Python file that it runs.

        Args:
            command: The command, as typed in a shell.

        Raises:
            ValueError: The command is empty, or its quotes do not match.
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
            return cls(is_given=True, variables=variables, auto=runs)
        scan = _Scan.of(source)
        beside = dict(_beside(source, scan))
        every = (scan, *beside.values())
        return cls(
            is_given=True,
            variables=variables,
            auto=runs or scan.auto,
            patch_all=scan.patch_all,
            patch=scan.patch,
            source=source,
            loads_env=scan.loads_env(runs),
            names=frozenset(scan.names),
            names_beside=frozenset(name for one in beside.values() for name in one.names),
            files_beside=tuple(beside),
            metrics=any(("DatadogObserver", "metrics") in one.turned_on for one in every),
            pipecat_tracing=any(
                what == "enable_tracing" for one in every for _, what in one.turned_on
            ),
        )

    def switch_on(self) -> None:
        """Enable ddtrace in this process as the bot's start does.

        Raises:
            Exception: Importing ddtrace failed, as it would in the bot.
        """
        if self.auto:
            import ddtrace.auto  # noqa: F401 - imported for what it does
        if self.patch_all is not None or self.patch:
            from pipecat_dd.cli.doctor import _ddtrace

            _ddtrace.patch(self.patch, self.patch_all)


def _beside(source: Path, scan: "_Scan") -> Iterator[tuple[Path, "_Scan"]]:
    """Yield the local files that a source imports, directly or indirectly."""
    done = {source.resolve()}
    waiting = [(source, scan)]
    while waiting and len(done) <= _MOST_FILES:
        importer, importers = waiting.pop()
        for module in sorted(importers.modules):
            path = _file_of(module, importer, source)
            if path is not None and path.resolve() not in done:
                done.add(path.resolve())
                found = _Scan.of(path)
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
            return path  # an argument of uvicorn, "server:app"
        after_m = word == "-m"
    return None


def _module(name: str) -> Path | None:
    """Return the file of a module in the working directory; None for installed modules."""
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    beside = Path(*name.split("."))
    for path in (beside.with_suffix(".py"), beside / "__main__.py", beside / "__init__.py"):
        if path.is_file():
            return path
    return None


@dataclass
class _Scan:
    """The imports and calls in a source file, at any depth."""

    auto: bool = False
    patch_all: dict[str, bool] | None = None
    patch: dict[str, bool] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    turned_on: set[tuple[str, str]] = field(default_factory=set)
    ddtrace_at: int | None = None
    loads_at: int | None = None

    @classmethod
    def of(cls, source: Path) -> "_Scan":
        scan = cls()
        try:
            tree = ast.parse(source.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return scan
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                scan.modules.update(alias.name for alias in node.names)
                scan._imports(node.lineno, [alias.name for alias in node.names])
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                scan.modules.add(module)
                # A name that is imported from a package may be a module.
                dot = "" if module.endswith(".") else "."
                scan.modules.update(f"{module}{dot}{alias.name}" for alias in node.names)
                scan._imports(
                    node.lineno, [f"{node.module or ''}.{alias.name}" for alias in node.names]
                )
            elif isinstance(node, ast.Call):
                scan._calls(node)
        return scan

    def loads_env(self, ddtrace_is_first: bool) -> Literal["", "early", "late"]:
        """Return when a ``.env`` file is loaded, compared with the import of ddtrace."""
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
