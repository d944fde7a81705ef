"""Metrics as Datadog keeps them, and what a monitor's query makes of them.

Of the two ways in which a monitor computes, both are here. A query with ``.as_count()`` sums each
of its counts over the window before anything is computed of them; a percentile is that of all
values in the window. Where nothing was sent there is no value, not 0, until ``default_zero``.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from lark import Token, Tree

from tests.support import queries

BUCKET_SECS = 60.0
KNOWN_FOR_SECS = 24 * 3600.0
"""For how long a group that sends nothing is still one."""

WINDOWS = {"5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400}

Group = tuple[str, ...]
Scalars = dict[Group, float]
Series = dict[Group, list[float]]


@dataclass(frozen=True)
class Point:
    """A value that was sent."""

    at: float
    value: float
    tags: Mapping[str, str]
    source: str = ""
    """Who sent it: of a gauge, each one's last value counts."""


@dataclass
class Metrics:
    """All that was sent, by name."""

    points: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, at: float, value: float, tags: Mapping[str, str], source: str) -> None:
        self.points[name].append(Point(at, value, tags, source))

    def sort(self) -> None:
        """Put all in order; to be called before anything is asked."""
        for points in self.points.values():
            points.sort(key=lambda one: one.at)


class Window:
    """What a monitor's query sees at one moment.

    Args:
        metrics: All that was sent.
        until: The moment.
        secs: How far back it looks.
    """

    def __init__(self, metrics: Metrics, until: float, secs: float) -> None:
        self._metrics = metrics
        self._until = until
        self._from = until - secs
        self._buckets = int(secs / BUCKET_SECS)

    def value(self, query: queries.MonitorQuery, text: str) -> Scalars:
        """Return the value of each group; none for a group of which there is nothing to say."""
        tree = queries.parsed("monitor", text)
        expression = next(
            one
            for one in tree.children
            if isinstance(one, Tree) and one.data not in ("time_aggregation",)
        )
        if query.time_aggregation in ("percentile", "max"):
            return self._alone(expression, query.time_aggregation)
        found = self._scalar(expression)
        assert isinstance(found, dict)
        return found

    def is_known(self, text: str, group: Group) -> bool:
        """Return whether a group was ever seen: only those can be missed."""
        tree = queries.parsed("monitor", text)
        query = next(one for one in tree.iter_subtrees() if one.data == "query")
        points, by, _ = self._points(query, since=self._until - 48 * 3600)
        return any(tuple(point.tags[tag] for tag in by) == group for point in points)

    def _alone(self, query: Tree[Token], aggregation: str) -> Scalars:
        values: dict[Group, list[float]] = defaultdict(list)
        points, by, how = self._points(query, since=self._from)
        for point in points:
            values[tuple(point.tags[tag] for tag in by)].append(point.value)
        if aggregation == "max":
            return {group: max(found) for group, found in values.items()}
        share = float(how.removeprefix("p")) / 100
        return {
            group: sorted(found)[min(len(found) - 1, math.ceil(share * len(found)) - 1)]
            for group, found in values.items()
        }

    def _scalar(self, node: Tree[Token] | Token) -> Scalars | float:
        if isinstance(node, Token):
            return float(node)
        if node.data in ("expression", "product"):
            result = self._scalar(node.children[0])
            for sign, operand in zip(node.children[1::2], node.children[2::2], strict=True):
                result = _computed(str(sign), result, self._scalar(operand))
            return result
        series = self._series(node)
        return {
            group: sum(value for value in values if not math.isnan(value))
            for group, values in series.items()
            if not all(math.isnan(value) for value in values)
        }

    def _series(self, node: Tree[Token]) -> Series:
        if node.data == "query":
            return self._queried(node)
        assert node.data == "function", node.data
        below = self._series(node.children[1])
        match str(node.children[0]):
            case "default_zero":
                return {
                    group: [0.0 if math.isnan(value) else value for value in values]
                    for group, values in below.items()
                }
            case "diff":
                return {
                    group: [
                        math.nan,
                        *(after - before for before, after in pairwise(values)),
                    ]
                    for group, values in below.items()
                }
        raise AssertionError(f"{node.children[0]} is not known to the simulator")

    def _queried(self, node: Tree[Token]) -> Series:
        known, by, how = self._points(node, since=self._until - KNOWN_FOR_SECS)
        assert how in ("sum", "count"), how
        is_count = any(
            str(one.children[0]) == "as_count"
            for one in node.children
            if isinstance(one, Tree) and one.data == "method"
        )
        series: Series = {}
        gauges: dict[tuple[Group, int], dict[str, float]] = defaultdict(dict)
        for point in known:
            group = tuple(point.tags[tag] for tag in by)
            values = series.setdefault(group, [math.nan] * self._buckets)
            if point.at <= self._from:
                continue
            bucket = min(self._buckets - 1, int((point.at - self._from) / BUCKET_SECS))
            if is_count:
                values[bucket] = (1.0 if how == "count" else point.value) + (
                    0.0 if math.isnan(values[bucket]) else values[bucket]
                )
            else:
                gauges[group, bucket][point.source] = point.value
        for (group, bucket), last in gauges.items():
            series[group][bucket] = sum(last.values())
        return series

    def _points(self, query: Tree[Token], since: float) -> tuple[list[Point], Group, str]:
        """Return the points that a query sees, what it is split by, and how it aggregates."""
        by = next(
            (
                tuple(map(str, one.children))
                for one in query.children
                if isinstance(one, Tree) and one.data == "by"
            ),
            (),
        )
        matches = _filter(query.children[2])
        points = [
            point
            for point in self._metrics.points[str(query.children[1])]
            if since < point.at <= self._until
            and matches(point.tags)
            and all(tag in point.tags for tag in by)
        ]
        return points, by, str(query.children[0])


def _filter(tree: Tree[Token] | Token) -> Callable[[Mapping[str, str]], bool]:
    if not isinstance(tree, Tree) or not tree.children:
        return lambda tags: True
    children = tree.children
    match tree.data:
        case "tagged":
            tag, value = map(str, children)
            return lambda tags: tag in tags and value in ("*", tags[tag])
        case "member":
            tag, word, *values = map(str, children)
            assert word == "IN", word
            return lambda tags: tags.get(tag) in values
        case "list" | "both":
            all_of = [_filter(one) for one in children]
            return lambda tags: all(one(tags) for one in all_of)
        case "either":
            any_of = [_filter(one) for one in children]
            return lambda tags: any(one(tags) for one in any_of)
    raise AssertionError(f"{tree.data} is not known to the simulator")


def _computed(sign: str, one: Scalars | float, other: Scalars | float) -> Scalars | float:
    if isinstance(one, dict) and isinstance(other, dict):
        groups: Iterable[Group] = one.keys() & other.keys()
    elif isinstance(one, dict):
        groups = one
    elif isinstance(other, dict):
        groups = other
    else:
        return _of_numbers(sign, one, other)
    result = {
        group: _of_numbers(
            sign,
            one[group] if isinstance(one, dict) else one,
            other[group] if isinstance(other, dict) else other,
        )
        for group in groups
    }
    return {group: value for group, value in result.items() if not math.isnan(value)}


def _of_numbers(sign: str, one: float, other: float) -> float:
    match sign:
        case "+":
            return one + other
        case "-":
            return one - other
        case "*":
            return one * other
    return one / other if other else math.nan


def computed(formula: str, values: Mapping[str, Scalars]) -> Scalars:
    """Return what a formula makes of counts, by group.

    Args:
        formula: The formula of a monitor of lines.
        values: The counts by their names. A group that is in one of them counts 0 in the others.
    """
    groups = {group for one in values.values() for group in one}
    filled = {
        name: {group: one.get(group, 0.0) for group in groups} for name, one in values.items()
    }

    def of(node: Tree[Token] | Token) -> Scalars | float:
        if isinstance(node, Token):
            return filled[str(node)] if node.type == "QUERY" else float(node)
        result = of(node.children[0])
        for sign, operand in zip(node.children[1::2], node.children[2::2], strict=True):
            result = _computed(str(sign), result, of(operand))
        return result

    result = of(queries.parsed("formula", formula))
    assert isinstance(result, dict)
    return result
