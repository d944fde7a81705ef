"""What a user copies from the README: its commands, and the lines for their bot."""

import ast
import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_OURS = ("DatadogObserver", "configure_logging")


def _text() -> str:
    return README.read_text("utf8")


def commands(words: str) -> list[str]:
    """Return the README's commands that begin with these words, in its order.

    Args:
        words: How the command begins, as ``pip install``.
    """
    found = []
    for match in re.finditer(rf"{_BLOCK.pattern}|{_INLINE.pattern}", _text(), _BLOCK.flags):
        language, block, inline = match.groups()
        if inline is not None:
            lines = [inline]
        elif language in ("sh", "bash", "console", "shell"):
            lines = [part.strip() for line in block.splitlines() for part in line.split("&&")]
        else:
            continue
        # A comment after a command, and the prompt before it, are not part of it.
        lines = [re.sub(r"\s+#.*$", "", line).removeprefix("$ ") for line in lines]
        found += [(match.start(), line) for line in lines if _begins(line, words)]
    return [line for _, line in found]


def _begins(line: str, words: str) -> bool:
    return line == words or line.startswith(f"{words} ")


def position(words: str) -> int:
    """Return where in the README a command first stands."""
    found = _text().find(words)
    assert found >= 0, f"README.md has no {words}"
    return found


def bots_lines() -> list[str]:
    """Return the lines that the README has a user add to a bot: import, logging, observer, worker.

    They come from the first block of Python that imports this package. Lines that stand for the
    bot's own code are left out.
    """
    blocks = [block for language, block in _BLOCK.findall(_text()) if language == "python"]
    block = next(block for block in blocks if "from pipecat_dd import" in block)
    names = set(_OURS)
    lines = []
    for node in _in_order(ast.parse(block)):
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        is_import = isinstance(node, ast.ImportFrom) and (node.module or "") == "pipecat_dd"
        if is_import or used & names:
            lines.append(ast.unparse(node))
        if isinstance(node, ast.Assign) and used & names and "PipelineWorker" not in used:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return lines


def _in_order(tree: ast.AST) -> list[ast.stmt]:
    """Return the statements that hold no others, in the order of the text."""
    simple = (ast.Assign, ast.AnnAssign, ast.Expr, ast.Import, ast.ImportFrom)
    found = [node for node in ast.walk(tree) if isinstance(node, simple)]
    return sorted(found, key=lambda node: node.lineno)
