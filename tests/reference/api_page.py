"""Writes docs/reference/api.md from the public names: ``python -m tests.reference.api_page``."""

import ast
import inspect
import re
from collections.abc import Iterable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

from pipecat_dd.export.shipping import Counts, Reason
from tests.reference.docstrings import Docstring, markdown, read

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"

_HEAD = """# Python API

Every public name of `pipecat_dd` and of `pipecat_dd.testing`. Names that are not on this page are
internal and may change in any version. [Settings](../settings.md) has the arguments in tables, with
their variables, allowed values and defaults.

<!-- written by tests/reference/api_page.py -->
"""

ORDER = {
    "pipecat_dd": (
        "DatadogObserver",
        "configure_logging",
        "unconfigure_logging",
        "datadog_format",
        "Redactor",
        "current_session",
        "Session",
        "Participant",
        "Shipping",
        "flush_shipping",
        "shipping_counts",
    ),
    "pipecat_dd.testing": ("capture", "Seen", "SeenSession", "SeenSpan"),
}
"""The public names of each module, in the order of the page."""

GUIDES = {"pipecat_dd.testing": "testing.md"}
"""The page that explains how to use a module."""

RETURNED = {"shipping_counts": (Counts, Reason)}
"""Classes that have no public name, but that a public function returns."""

MEMBERS = {
    "DatadogObserver": ("session_id", "session", "context"),
    "Session": (
        *("id", "name", "tags", "capture_content", "outcome"),
        *("participants", "set_outcome", "set_tag", "bind_participant", "export_turn"),
    ),
    "Redactor": ("text",),
}
"""The public attributes and methods of classes that also have internal ones."""

NOT_CREATED = {"Session", "Participant", "Seen", "SeenSession", "SeenSpan", "Counts"}
"""Classes that users do not instantiate."""


_ALIASES = {
    "_ddtrace.Context": "ddtrace.trace.Context",
    "Line": "dict[str, Any]",
    "Record": "loguru.Record",
    "Sink": "TextIO | str | PathLike[str] | logging.Handler | Callable[[str], object]",
}
"""Names in annotations that a reader cannot import, and what they stand for."""


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for module, names in ORDER.items():
        parts.append(f"## `{module}`")
        if module in GUIDES:
            parts.append(f"How to use it: [{GUIDES[module]}](../{GUIDES[module]}).")
        for name in names:
            thing = getattr(import_module(module), name)
            parts += _section(name, thing, "###")
            for returned in RETURNED.get(name, ()):
                parts += _section(returned.__name__, returned, "###")
        if "__version__" in import_module(module).__all__:
            parts += ["### `__version__`", "`str`: The version that is installed."]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _section(name: str, thing: Any, level: str) -> list[str]:
    if not inspect.isclass(thing):
        return [f"{level} `{name}()`", *_callable(name, thing, read(thing.__doc__))]
    if issubclass(thing, StrEnum):
        return [f"{level} `{name}`", *_values(thing)]
    said = read(thing.__doc__)
    parts = [f"{level} `{name}`", *said.text]
    attributes = said.entries.get("Attributes", {})
    if name not in NOT_CREATED:
        made = said if "Args" in said.entries else read(thing.__init__.__doc__)
        if made is not said:
            parts += made.text[1:]  # the first paragraph only says that it creates one
        parts += _signature_and_arguments(name, thing, made)
    parts += _examples(said)
    public = MEMBERS.get(name)
    annotations = _annotations_of(thing)
    shown = [one for one in attributes if public is None or one in public]
    if shown:
        parts.append("**Attributes:**")
        parts.append(_list((f"`{one}: {annotations[one]}`", attributes[one]) for one in shown))
    for member, value in vars(thing).items():
        is_shown = member in public if public is not None else not member.startswith("_")
        if not is_shown or member in attributes:
            continue
        if isinstance(value, property):
            parts += _property(name, member, value, level)
        elif inspect.isfunction(value):
            parts.append(f"{level}# `{name}.{member}()`")
            parts += _callable(member, value, read(value.__doc__))
    return parts


def _property(owner: str, member: str, value: property, level: str) -> list[str]:
    node = _definition(value.fget)
    said = read(value.__doc__)
    kind = _type(node.returns)
    said.text[0] = f"`{kind}`: {said.text[0]}"
    return [f"{level}# `{owner}.{member}`", *said.text, *_raises(said), *_examples(said)]


def _examples(said: Docstring) -> list[str]:
    return ["**Example:**", *said.examples, *said.notes] if said.examples else []


def _values(thing: type[StrEnum]) -> list[str]:
    body = ast.parse(dedent(inspect.getsource(thing))).body[0].body  # type: ignore[attr-defined]
    meanings = [
        markdown(inspect.cleandoc(node.value.value)) for node in body if isinstance(node, ast.Expr)
    ]
    values = zip(thing, meanings[1:], strict=True)
    return [meanings[0], _list((f"`{one.value}`", meaning) for one, meaning in values)]


def _callable(name: str, thing: Any, said: Docstring) -> list[str]:
    return [*said.text, *_signature_and_arguments(name, thing, said), *_examples(said)]


def _signature_and_arguments(name: str, thing: Any, said: Docstring) -> list[str]:
    taken = _arguments(thing)
    words = said.entries.get("Args", {})
    if set(words) != {one for one, _, _ in taken}:
        raise ValueError(f"{name}: the docstring and the signature name different arguments")
    parts = [f"```py\n{_signature(name, thing, taken)}\n```"]
    if taken:
        parts.append("**Arguments:**")
        parts.append(_list((f"`{one}`", words[one]) for one, _, _ in taken))
    if said.result:
        parts.append(f"**Returns:** {said.result}")
    return [*parts, *_raises(said)]


def _raises(said: Docstring) -> list[str]:
    raised = said.entries.get("Raises", {})
    if not raised:
        return []
    return ["**Raises:**", _list((f"`{error}`", when) for error, when in raised.items())]


def _arguments(thing: Any) -> list[tuple[str, str, str | None]]:
    """Return name, type and default of each argument; the default is None if there is none."""
    if inspect.isclass(thing) and "__dataclass_fields__" in vars(thing):
        kinds = _annotations_of(thing)
        taken = inspect.signature(thing).parameters
        return [(one, kinds[one], _default(taken[one])) for one in taken]
    function = thing.__init__ if inspect.isclass(thing) else inspect.unwrap(thing)
    node = _definition(function)
    kinds = {
        one.arg: _type(one.annotation)
        for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    }
    return [
        (one, kinds[one], _default(parameter))
        for one, parameter in inspect.signature(function).parameters.items()
        if one != "self"
    ]


def _default(parameter: inspect.Parameter) -> str | None:
    if parameter.default is parameter.empty:
        return None
    return repr(parameter.default).replace("'", '"')


def _signature(name: str, thing: Any, taken: list[tuple[str, str, str | None]]) -> str:
    parameters = inspect.signature(thing).parameters
    written = []
    has_star = False
    for one, kind, default in taken:
        if parameters[one].kind is inspect.Parameter.KEYWORD_ONLY and not has_star:
            written.append("*")
            has_star = True
        written.append(f"{one}: {kind}" + ("" if default is None else f" = {default}"))
    result = "" if inspect.isclass(thing) else _result_type(thing)
    line = f"{name}({', '.join(written)}){result}"
    if len(line) <= 88:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in written) + f"){result}"


def _result_type(thing: Any) -> str:
    kind = _type(_definition(inspect.unwrap(thing)).returns)
    if hasattr(thing, "__wrapped__"):  # a context manager, written as a generator
        kind = re.sub(r"^Iterator\[(.*)\]$", r"AbstractContextManager[\1]", kind)
    return f" -> {kind}"


def _definition(function: Any) -> ast.FunctionDef:
    node = ast.parse(dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def _annotations_of(thing: type) -> dict[str, str]:
    node = ast.parse(dedent(inspect.getsource(thing))).body[0]
    assert isinstance(node, ast.ClassDef)
    found = {
        one.target.id: _type(one.annotation)
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
    }
    for one in ast.walk(node):  # attributes that __init__ sets: the type of what they are set to
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            given = {arg.arg: _type(arg.annotation) for arg in one.args.args if arg.annotation}
            for line in ast.walk(one):
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Attribute):
                    name = line.targets[0].attr
                    if isinstance(line.value, ast.Name) and line.value.id in given:
                        found.setdefault(name, given[line.value.id])
                    elif isinstance(line.value, ast.Call):
                        called = thing.__init__.__globals__.get(getattr(line.value.func, "id", ""))
                        if called is not None and inspect.isfunction(called):
                            found.setdefault(name, _type(_definition(called).returns))
    return found


def _type(annotation: ast.expr | None) -> str:
    if annotation is None:
        return "None"
    text = ast.unparse(annotation)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        text = annotation.value
    for alias, meant in _ALIASES.items():
        text = re.sub(rf"(?<![\w.])['\"]?{re.escape(alias)}['\"]?(?![\w\[])", meant, text)
    text = text if "Literal" in text else re.sub(r"'([\w.]+)'", r"\1", text)
    return text.replace("'", '"')


def _list(entries: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in entries)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf8")
