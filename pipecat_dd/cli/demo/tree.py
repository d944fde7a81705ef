"""Draw a conversation in the terminal: a tree of spans, with their times as bars.

The bars of a turn's spans are drawn to the scale of that turn, because a call to a provider would
be a dot on the scale of the whole conversation. The turn's own bar shows that scale. The session's
bar shows when in the conversation each turn took place.
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
_MAX_WIDTH_WITHOUT_BARS = 80
"""Up to this width, in columns, facts take the place of the bars."""
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
    """The period that the full width of a bar represents, in nanoseconds since the epoch."""

    start_ns: int
    end_ns: int

    def cells(self, span: Span, width: int) -> range:
        """Return the cells of a bar that a span fills; at least one."""
        whole = max(1, self.end_ns - self.start_ns)
        first = int((span.start_ns - self.start_ns) / whole * width)
        last = int((span.end_ns - self.start_ns) / whole * width + 0.5)
        first = min(max(first, 0), width - 1)
        return range(first, min(max(last, first + 1), width))


@dataclass(frozen=True, slots=True)
class Row:
    """The row of a span: its name on the left, its duration and bar on the right.

    Attributes:
        span: The span to show.
        scale: The period that the bar's width represents.
    """

    span: Span
    scale: Scale

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out the row in the width that the tree's guides leave.

        Where it is narrow, the bar goes first, then the duration; the facts come before both.
        """
        bar_width = max(_MIN_BAR_WIDTH, int(console.width * _BAR_SHARE))
        rest = options.max_width - _DURATION_WIDTH
        has_bar = (
            console.width > _MAX_WIDTH_WITHOUT_BARS and rest - bar_width - 2 >= _MIN_LABEL_WIDTH
        )
        label_width = rest - bar_width - 2 if has_bar else rest
        if label_width < _MIN_LABEL_WIDTH:
            yield _label(self.span, options.max_width - _lost(options))
            return
        label = _label(self.span, label_width - _lost(options))
        is_cut = "…" in label.plain
        label.pad_right(label_width - label.cell_len - (_lost(options) if is_cut else 0))
        duration = _seconds(self.span.duration_ns).rjust(_DURATION_WIDTH)
        label.append(duration, style="bold" if self.span.name == TURN else "")
        if has_bar:
            label.append("  ")
            label.append_text(self._bar(bar_width, ascii_only=options.ascii_only))
        yield label

    def _bar(self, width: int, *, ascii_only: bool) -> Text:
        full, faint = ("=", ".") if ascii_only else ("━", "┈")
        if self.span.name == SESSION:
            return self._turns_bar(width, full)
        cells = self.scale.cells(self.span, width)
        bar = Text(faint * cells.start, style="dim")
        bar.append(full * len(cells), style="red" if self.span.error else _style(self.span))
        bar.append(faint * (width - cells.stop), style="dim")
        return bar

    def _turns_bar(self, width: int, full: str) -> Text:
        cells: list[tuple[str, str]] = [(" ", "")] * width
        turns = (child for child in self.span.children if child.name == TURN)
        for number, turn in enumerate(turns):
            for cell in self.scale.cells(turn, width):
                cells[cell] = (full, "bold cyan" if number % 2 == 0 else "bold blue")
        return Text.assemble(*cells)


@dataclass(frozen=True, slots=True)
class LogRow:
    """The row of a log line.

    Attributes:
        line: The line to show.
        began_ns: The session's start, in nanoseconds since the epoch. The row shows the line's
            time relative to it.
    """

    line: Line
    began_ns: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out the row in a single line, truncated to the width."""
        at = (self.line.at_ns - self.began_ns) / _NS_PER_SEC
        style = _LEVEL_STYLES.get(self.line.level, "")
        message_style = style if self.line.level in ("WARNING", "ERROR", "CRITICAL") else ""
        text = Text.assemble(
            (f"{at:.2f}s ", "dim"),
            (f"{self.line.level} ", style),
            (" ".join(self.line.message.split()), message_style),
            (f"  {self.line.function}", "dim italic"),
        )
        text.truncate(options.max_width - _lost(options), overflow="ellipsis")
        yield text


def _lost(options: ConsoleOptions) -> int:
    """Return how many columns an ellipsis takes beyond the one that Rich reckons with."""
    return 2 if options.ascii_only else 0


def draw(received: Received, *, all_lines: bool = False) -> Tree:
    """Draw a conversation.

    Args:
        received: The spans and log lines of the conversation.
        all_lines: Whether to also draw lines of level DEBUG and below, and short frame spans that
            contain nothing else.

    Returns:
        A tree as wide as the console, to be printed with rich.
    """
    session = received.session
    roots = received.roots if session is None else [session]
    began_ns = min((span.start_ns for span in roots), default=0)
    scale = Scale(began_ns, max((span.end_ns for span in roots), default=0))
    tree = Tree("", hide_root=True, guide_style="bright_black")
    for root in roots:
        _add_span(tree, root, scale, began_ns, all_lines=all_lines)
    return tree


def _add_span(tree: Tree, span: Span, scale: Scale, began_ns: int, *, all_lines: bool) -> None:
    if span.name == TURN:
        scale = Scale(span.start_ns, max(each.end_ns for each in span.walk()))
    branch = tree.add(Row(span, scale))
    for item in _in_order(span):
        if not (all_lines or _is_notable(item)):
            continue
        if isinstance(item, Span):
            _add_span(branch, item, scale, began_ns, all_lines=all_lines)
        else:
            branch.add(LogRow(item, began_ns))


def _is_notable(item: Span | Line) -> bool:
    """Return whether to draw a span or line if the user has not asked for all of them.

    A short frame span with nothing to draw below it exists only because of a DEBUG line.
    """
    if isinstance(item, Line):
        return item.level not in _HIDDEN_LEVELS
    if item.name != FRAME or item.error or item.duration_ns >= _SLOW_FRAME_NS:
        return True
    return any(map(_is_notable, item.lines)) or any(map(_is_notable, item.children))


def _in_order(span: Span) -> Iterator[Span | Line]:
    """Yield the lines and children of a span together, ordered by time."""

    def when(item: Span | Line) -> tuple[int, int]:
        return (item.start_ns, item.end_ns) if isinstance(item, Span) else (item.at_ns, 0)

    items: list[Span | Line] = [*span.lines, *span.children]
    yield from sorted(items, key=when)


def _label(span: Span, width: int) -> Text:
    """Return a span's name and resource, its errors and interruptions, and some of its numbers.

    If it does not fit, the numbers are left out first, then the resource is truncated. Errors and
    interruptions are always shown.
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
