"""What is sent is named in ``pipecat_dd/names`` alone: no other file spells a name out."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import pipecat_dd
from pipecat_dd.names import fields, made_metrics, metric_tags, metrics, tags
from pipecat_dd.names.spans import SPANS, span_name

ROOT = Path(pipecat_dd.__file__).parent

NAMES = (
    {tag.name for tag in tags.TAGS}
    | {metric.name for metric in metrics.METRICS}
    | {field.name for field in (*fields.FIELDS, *fields.BOUND_BY_CONVENTION)}
    | {span_name(span.kind) for span in SPANS}
    | {value for name, value in vars(made_metrics).items() if name.isupper()}
    | {value for name, value in vars(metric_tags).items() if name.isupper() and name != "UNIFIED"}
)
PATTERNS = {name for name in NAMES if "<" in name}
DOTTED = {name for name in NAMES if "." in name} - PATTERNS

EVERYDAY = {
    # Words of the language, of Loguru's records, of others' JSON and of our own code, which mean
    # something else far more often than the field or tag. After an `@` they are ours all the same.
    *("category", "cause", "env", "event", "extra", "function", "interrupted"),
    *("line", "message", "within"),
    *("model", "name", "operation", "outcome", "part", "provider", "reason", "service", "speaker"),
    *("stage", "status", "strategy", "timestamp", "tool", "transport", "type", "usable", "version"),
}
UNMISTAKABLE = NAMES - DOTTED - PATTERNS - EVERYDAY


def _any(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(names)))


FOREIGN = {
    ("_pipecat/__init__.py", "conversation_id"): "an attribute of Pipecat's workers",
    ("_pipecat/frames.py", "participant_id"): "an attribute of Pipecat's frames",
    ("_pipecat/frames.py", "user_id"): "an attribute of Pipecat's frames",
    ("instrumentation/requests.py", "session_id"): "an attribute of Daily's frames",
    ("_pipecat/tracing.py", "error."): "attributes of Pipecat's own tracing",
    ("cli/doctor/installed.py", ".import"): "the end of a finding's name",
    ("cli/report/text.py", "end_reason"): "a member of the page's summaries",
    ("cli/setup/definitions/generated_metrics.py", "operation_name"): "a field of Datadog's own",
    ("cli/setup/definitions/queries.py", "operation_name"): "a field of Datadog's own",
    ("cli/setup/definitions/queries.py", ".errors"): "a metric that Datadog makes of spans",
    ("export/llmobs/spans.py", "session_id"): "an argument of ddtrace's functions",
    ("export/logs/field_roles.py", "timestamp"): "a field of Datadog's own",
    ("export/spans/beside.py", "error."): "attributes of Pipecat's own tracing",
    ("instrumentation/events.py", "participant_id"): "a key in transports' events",
    ("instrumentation/events.py", "session_id"): "a key in transports' events",
    ("instrumentation/frame_handlers.py", "user_id"): "an attribute of Pipecat's frames",
    ("instrumentation/readers.py", "participant_id"): "an attribute of transports' participants",
    ("observer.py", "session_id"): "an attribute of the arguments of Pipecat's runner",
    ("settings/table.py", "session_id"): "an argument of the observer's",
}
"""What is spelled like a name of ours and is somebody else's: by file, with what it is."""

_MODULES = {"pipecat.", "pipecat_dd."}
"""By themselves, what modules' names begin with."""

_UNDOTTED = NAMES - DOTTED - PATTERNS
_WITHIN = re.compile(rf"(?<![\w.])({_any(DOTTED)})(?!\w|\.\w)|@({_any(_UNDOTTED)})\b")
_BEGINNINGS = {name[: dot.end()] for name in NAMES for dot in re.finditer(r"\.", name)} | {
    pattern.partition("<")[0] for pattern in PATTERNS
}
_ENDS = {name[dot.start() :] for name in DOTTED for dot in re.finditer(r"\.", name)} | {
    pattern.partition(">")[2] for pattern in PATTERNS if not pattern.endswith(">")
}


def spelled_out(source: str) -> Iterator[tuple[int, str]]:
    """Yield each name, or part of one, that a program spells out, with its line.

    Args:
        source: The program. Its docstrings may spell out what they like.
    """
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    before, after = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for one, other in pairwise(node.values):
                if isinstance(other, ast.FormattedValue):
                    before.add(id(one))
                if isinstance(one, ast.FormattedValue):
                    after.add(id(other))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in docstrings:
            continue
        text = node.value
        found = [dotted or undotted for dotted, undotted in _WITHIN.findall(text)]
        found += [text.partition(":")[0]] if text.partition(":")[0] in UNMISTAKABLE else []
        found += [text] if text in _BEGINNINGS - _MODULES else []
        if id(node) in before and (begun := re.split(r"[^\w.]", text)[-1]) in _BEGINNINGS:
            found.append(begun)
        if id(node) in after and (end := re.split(r"[^\w.]", text)[0]) in _ENDS:
            found.append(end)
        yield from ((node.lineno, name) for name in dict.fromkeys(found))


def _elsewhere() -> dict[tuple[str, str], list[int]]:
    """Return what other files spell out: the lines, by file and name."""
    found: dict[tuple[str, str], list[int]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        if not where.startswith("names/"):
            for line, name in spelled_out(path.read_text(encoding="utf-8")):
                found.setdefault((where, name), []).append(line)
    return found


def test_no_other_file_spells_a_name_out() -> None:
    found = {
        f"{where}:{lines[0]}: {name}"
        for (where, name), lines in _elsewhere().items()
        if (where, name) not in FOREIGN
    }
    assert not found, "write it as a constant of pipecat_dd.names"


def test_no_exception_is_left_over() -> None:
    assert set(FOREIGN) <= set(_elsewhere())


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ('stage.attributes["turn.number"] = 1', "turn.number"),
        ('stage.set("session_id", id_)', "session_id"),
        ('f"@turn.outcome:{outcome} status:error"', "turn.outcome"),
        ('Words("Look first at `error.type` of the turns.")', "error.type"),
        ('spans("@transport:*")', "transport"),
        ('metric("sum", where=["left_waiting:true"])', "left_waiting"),
        ('Sample("pipecat.turns", 1, {})', "pipecat.turns"),
        ('f"pipecat.{kind}"', "pipecat."),
        ('f"operation_name:pipecat.{kind}"', "pipecat."),
        ('f"turn.wait.{part}_seconds"', "turn.wait."),
        ('f"processor.{key}.frames"', "processor."),
        ('f"{family}.state"', ".state"),
        ('name.startswith("gen_ai.usage.")', "gen_ai.usage."),
        ('made_metric("sum", "pipecat_dd.spans.turns")', "pipecat_dd.spans.turns"),
    ],
)
def test_what_spells_a_name_out_is_found(program: str, name: str) -> None:
    assert name in [found for _, found in spelled_out(program)]


@pytest.mark.parametrize(
    "program",
    [
        "stage.attributes[tags.TURN_NUMBER] = 1",
        'record["name"], record["message"]',
        'name.startswith("pipecat.")',
        'Words("A fault of the processor.")',
        'def f():\n    """Note `turn.number`."""\n',
        'X = 1\n"""Goes to `error.type`."""',
        'f("errors.types", "my.error.type", "error.type.name")',
    ],
)
def test_what_only_resembles_a_name_is_not_found(program: str) -> None:
    assert list(spelled_out(program)) == []


def test_a_constant_is_called_as_its_name_is() -> None:
    for module, prefix in ((tags, ""), (metrics, metrics.PREFIX)):
        stated = {tag.name for tag in tags.TAGS} | {metric.name for metric in metrics.METRICS}
        for constant, name in vars(module).items():
            if constant.isupper() and isinstance(name, str) and name in stated:
                assert constant == name.removeprefix(prefix).replace(".", "_").upper()


def test_every_name_is_plain_text() -> None:
    # JSON and ddtrace write a str faster than what derives from it.
    assert {type(name) for name in NAMES} == {str}
