"""Write the list of modules in docs/architecture.md: ``python -m tests.support.module_map``.

The description of each module is the first sentence of its docstring.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "## Modules\n"

PARTS = {
    "instrumentation": "Instrumentation",
    "conversation": "Conversation",
    "export": "Export",
    "_pipecat": "The door to Pipecat",
    "_ddtrace": "The door to ddtrace",
    "_llmobs": "The door to LLM Observability",
}


def tables() -> str:
    """Return the end of the page, below the heading."""
    note = (
        "The first sentence of each module's docstring; `tests/support/module_map.py` writes this."
    )
    return "\n\n".join([note, *(_table(part, title) for part, title in PARTS.items())]) + "\n"


def _table(part: str, title: str) -> str:
    folder = ROOT / "pipecat_dd" / part
    rows = [f"### {title}: `{part}/`", "", "| module | what it does |", "| --- | --- |"]
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if name == "__init__.py":
            continue
        text = (ast.get_docstring(ast.parse(path.read_text("utf8"))) or "").splitlines()[0]
        rows.append(f"| `{part}/{name}` | {text.replace('``', '`').rstrip('.')} |")
    return "\n".join(rows)


def write() -> None:
    """Write the end of the page."""
    head = PAGE.read_text("utf8").partition(HEADING)[0]
    PAGE.write_text(f"{head}{HEADING}\n{tables()}", "utf8")


if __name__ == "__main__":
    write()
