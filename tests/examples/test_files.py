"""Each example has a header, a line in the table and a test, and no key in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
README = (ROOT / "examples" / "README.md").read_text("utf8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_it_shows_how_it_is_run_and_what_it_needs(path: Path) -> None:
    text = path.read_text("utf8")
    header = ast.get_docstring(ast.parse(text))
    assert header is not None
    lines = [line for line in header.splitlines() if line.strip()]
    assert 6 <= len(lines) <= 13
    assert re.search(r"^ +pip install ", header, re.M)
    assert "uv pip install" in header
    assert re.search(rf"^ +DD_SERVICE=\S+ python {path.name}", header, re.M)
    for key in set(re.findall(r'os\.environ\["(\w+)"\]', text)):
        assert key in header
    # The observer comes before all else in the function that runs a call.
    assert text.index("import ddtrace.auto") < text.index("from pipecat.")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_table_has_the_example(path: Path) -> None:
    assert f"| [{path.name}]({path.name}) |" in README
    assert (Path(__file__).parent / f"test_{path.stem}.py").exists()


def test_each_file_that_the_table_has_exists() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / "examples" / target).exists(), target
