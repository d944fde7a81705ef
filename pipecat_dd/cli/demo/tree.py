"""A conversation drawn in the terminal: its spans as a tree, with time as bars.

The bars of a turn's spans are drawn to the scale of that turn, since a call to a provider would
be a dot on the scale of the whole conversation; the turn's own row is the ruler for them. The
session's row shows where in the conversation each turn lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from pipecat_dd.cli.demo.received import FRAME, SESSION, TURN, Line, Received, Span
from pipecat_dd.names import tags
from pipecat_dd.names.spans import PREFIX, Kind, span_name

_NS_PER_SEC = 1e9
_MIN_BAR_WIDTH = 16
_MIN_LABEL_WIDTH = 24
_BAR_SHARE = 0.36
_DURATION_WIDTH = 9

_STYLES = {
    SESSION: "bold",
    TURN: "bold",
    span_name(Kind.USER_SPEECH): "cyan",
    span_name(Kind.STT): "blue",
    span_name(Kind.END_OF_TURN): "bright_black",
    span_name(Kind.LLM): "magenta",
    span_name(Kind.TOOL): "yellow",
    span_name(Kind.TTS): "green",
    span_name(Kind.BOT_SPEECH): "bright_green",
}
_OTHER_STYLE = "bright_black"
_LEVEL_STYLES = {
    "TRACE": "bright_black",
    "DEBUG": "bright_black",
    "INFO": "blue",
    "SUCCESS": "green",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold red",
}
_HIDDEN_LEVELS = frozenset({"TRACE", "DEBUG"})
_SLOW_FRAME_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class Scale:
    """The time that the whole width of a bar stands for, in nanoseconds since the epoch."""

    start_ns: int
    end_ns: int

    def cells(self, span: Span, width: int) -> range:
        """Return the cells of a bar that a span covers; at least one."""
        whole = max(1, self.end_ns - self.start_ns)
        first = int((span.start_ns - self.start_ns) / whole * width)
        last = int((span.end_ns - self.start_ns) / whole * width + 0.5)
        first = min(max(first, 0), width - 1)
        return range(first, min(max(last, first + 1), width))


@dataclass(frozen=True, slots=True)
class Row:
    """A span's row: what it is on the left, its duration and its bar at the right edge.

    Attributes:
        span: The span.
        scale: The time that the bar's width stands for.
    """

    span: Span
    scale: Scale

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the row out in the width that is left beside the tree's guides."""
        bar_width = max(_MIN_BAR_WIDTH, int(console.width * _BAR_SHARE))
        label_width = options.max_width - bar_width - _DURATION_WIDTH - 2
        if label_width < _MIN_LABEL_WIDTH:
            # A narrow terminal: what the span is comes before how long it took.
            yield _label(self.span, options.max_width)
            return
        label = _label(self.span, label_width)
        label.pad_right(label_width - label.cell_len)
        duration = _seconds(self.span.duration_ns).rjust(_DURATION_WIDTH)
        label.append(duration, style="bold" if self.span.name == TURN else "")
        label.append("  ")
        label.append_text(self._bar(bar_width, ascii_only=options.ascii_only))
        yield label

    def _bar(self, width: int, *, ascii_only: bool) -> Text:
        full, faint = ("=", ".") if ascii_only else ("━", "┈")
        if self.span.name == SESSION:
            return self._map_of_turns(width, full)
        cells = self.scale.cells(self.span, width)
        bar = Text(faint * cells.start, style="dim")
        bar.append(full * len(cells), style="red" if self.span.error else _style(self.span))
        bar.append(faint * (width - cells.stop), style="dim")
        return bar

    def _map_of_turns(self, width: int, full: str) -> Text:
        cells: list[tuple[str, str]] = [(" ", "")] * width
        turns = (child for child in self.span.children if child.name == TURN)
        for number, turn in enumerate(turns):
            for cell in self.scale.cells(turn, width):
                cells[cell] = (full, "bold cyan" if number % 2 == 0 else "bold blue")
        return Text.assemble(*cells)


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log line's row.

    Attributes:
        line: The line.
        began_ns: The session's start, from which its time is counted.
    """

    line: Line
    began_ns: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the row out in one line, cut where the width ends."""
        at = (self.line.at_ns - self.began_ns) / _NS_PER_SEC
        style = _LEVEL_STYLES.get(self.line.level, "")
        message_style = style if self.line.level in ("WARNING", "ERROR", "CRITICAL") else ""
        text = Text.assemble(
            (f"{at:.2f}s ", "dim"),
            (f"{self.line.level} ", style),
            (" ".join(self.line.message.split()), message_style),
            (f"  {self.line.function}", "dim italic"),
        )
        text.truncate(options.max_width, overflow="ellipsis")
        yield text


def draw(received: Received, *, all_lines: bool = False) -> Tree:
    """Draw a conversation.

    Args:
        received: What arrived.
        all_lines: Whether lines of level DEBUG and below are drawn too, and the spans of frames
            in which nothing else happened.

    Returns:
        A tree for rich to print, as wide as the console.
    """
    session = received.session
    roots = received.roots if session is None else [session]
    began_ns = min((span.start_ns for span in roots), default=0)
    scale = Scale(began_ns, max((span.end_ns for span in roots), default=0))
    tree = Tree("", hide_root=True, guide_style="bright_black")
    for root in roots:
        _grow(tree, root, scale, began_ns, all_lines=all_lines)
    return tree


def _grow(tree: Tree, span: Span, scale: Scale, began_ns: int, *, all_lines: bool) -> None:
    if span.name == TURN:
        scale = Scale(span.start_ns, max(each.end_ns for each in span.walk()))
    branch = tree.add(Row(span, scale))
    for item in _in_order(span):
        if not (all_lines or _is_notable(item)):
            continue
        if isinstance(item, Span):
            _grow(branch, item, scale, began_ns, all_lines=all_lines)
        else:
            branch.add(LogRow(item, began_ns))


def _is_notable(item: Span | Line) -> bool:
    """Whether to draw something without being asked for everything.

    A frame span that was short and has nothing to show under it is there for a DEBUG line.
    """
    if isinstance(item, Line):
        return item.level not in _HIDDEN_LEVELS
    if item.name != FRAME or item.error or item.duration_ns >= _SLOW_FRAME_NS:
        return True
    return any(map(_is_notable, item.lines)) or any(map(_is_notable, item.children))


def _in_order(span: Span) -> Iterator[Span | Line]:
    """Yield what is under a span, lines and spans together, in the order of time."""

    def when(item: Span | Line) -> tuple[int, int]:
        return (item.start_ns, item.end_ns) if isinstance(item, Span) else (item.at_ns, 0)

    items: list[Span | Line] = [*span.lines, *span.children]
    yield from sorted(items, key=when)


def _label(span: Span, width: int) -> Text:
    """Say what a span is and what is special about it.

    Where room is short, numbers go first, then the resource; that a span failed or was
    interrupted is said as long as there is room for anything.
    """
    style = _style(span)
    label = Text()
    if span.name.startswith(PREFIX):
        label.append(PREFIX, style="dim")
        label.append(span.name.removeprefix(PREFIX), style=style)
    else:
        label.append(span.name, style=style)
    if span.name == TURN and (number := span.metrics.get(tags.TURN_NUMBER)):
        label.append(f" {number:.0f}", style=style)
    if span.resource != span.name:
        label.append(f" {span.resource}", style="dim")
    marks = Text.assemble(*((f"  {mark}", mark_style) for mark, mark_style in _marks(span)))
    numbers = Text("".join(f"  {number}" for number in _numbers(span)), style="dim")
    if label.cell_len + marks.cell_len + numbers.cell_len > width:
        label.truncate(max(0, width - marks.cell_len), overflow="ellipsis")
        numbers = Text()
    label.append_text(marks)
    label.append_text(numbers)
    label.truncate(width, overflow="ellipsis")
    return label


def _marks(span: Span) -> Iterator[tuple[str, str]]:
    if status := span.meta.get("http.status_code"):
        yield status, "red" if span.error else "dim"
    if span.error:
        yield f"✗ {span.meta.get(tags.ERROR_TYPE) or 'error'}", "bold red"
    if "true" in (span.meta.get(tags.INTERRUPTED), span.meta.get(tags.TURN_WAS_INTERRUPTED)):
        yield "✂ interrupted", "bold yellow"


def _numbers(span: Span) -> Iterator[str]:
    if (latency := span.metrics.get(tags.TURN_USER_BOT_LATENCY_SECONDS)) is not None:
        yield f"answered after {latency:.2f} s"
    if (ttfb := span.metrics.get(tags.METRICS_TTFB)) is not None:
        yield f"ttfb {ttfb * 1000:.0f} ms"


def _style(span: Span) -> str:
    return _STYLES.get(span.name, _OTHER_STYLE)


def _seconds(duration_ns: int) -> str:
    milliseconds = duration_ns / 1e6
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"
