"""Datadog's query languages, as far as a dashboard or a monitor needs them.

Written after Datadog's documentation of the search syntax of logs and of spans, of metric queries
(with boolean filters) and of the queries of metric, log and trace-analytics monitors. What does
not parse here, Datadog would refuse, or would take for something else than it looks like.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from lark import Lark, Token, Tree, UnexpectedInput
from lark.exceptions import VisitError

_SEARCH = r"""
?start: or_
?or_: and_ ("OR" and_)*
?and_: unary ("AND"? unary)*
?unary: (MINUS | "NOT") unary -> not_
      | atom
?atom: "(" or_ ")"
     | VARIABLE          -> variable
     | FIELD value       -> field
     | word              -> text
?value: word | TEMPLATE | VARIABLE_VALUE
      | COMPARISON NUMBER               -> compare
      | "[" bound "TO" bound "]"        -> between
      | "(" words ")"
words: word ("OR" word)+ | word
?bound: NUMBER | "*"
word: WORD | STRING | NUMBER

MINUS: /-(?=\S)/
VARIABLE: /\$[a-z_]+(?![.\w])/
VARIABLE_VALUE: /\$[a-z_]+\.value/
TEMPLATE.3: /\{\{[a-z_@.]+\}\}/
FIELD.2: /(@|\*:)?[A-Za-z_][\w.\/-]*:(?=\S)/
COMPARISON: ">=" | "<=" | ">" | "<"
NUMBER.1: /-?\d+(\.\d+)?(?=[\s)\]]|$)/
STRING: /"(\\.|[^"\\])*"/
WORD: /(?!(AND|OR|NOT|TO)\b)(\\.|[^\s()\[\]{}":<>=!&|@$\\-])(\\.|[^\s()\[\]{}":<>=!&|@$\\])*/
%ignore /\s+/
"""

_METRIC = r"""
?expression: product (SIGN product)*
?product: operand (FACTOR operand)*
?operand: NUMBER | "(" expression ")" | function | query
function: NAME "(" expression ("," argument)* ")" method*
?argument: NUMBER | QUOTED | BARE
query: AGGREGATION ":" METRIC "{" filter "}" by? method*
by: "by" "{" TAG ("," TAG)* "}"
method: "." NAME "(" (argument ("," argument)*)? ")"

?filter: "*" | list | either
list: term ("," term)*
?either: both ("OR" both)+ | both
?both: negated ("AND" negated)+ | negated
?negated: "NOT" boolean | boolean
?boolean: "(" either ")" | term | member
?term: "!" named | named
?named: TAG ":" VALUE -> tagged
      | TEMPLATE      -> variable
member: TAG (IN | NOT_IN) "(" VALUE ("," VALUE)* ")"

IN.3: "IN"
NOT_IN.4: /NOT\s+IN/
AGGREGATION.2: /(avg|sum|min|max|count|p\d{2}(\.\d+)?)(?=:)/
METRIC: /[a-z][a-z0-9_.]{0,199}(?=\{)/
NAME: /[a-z_]+(?=\()/
TAG.1: /[a-z][a-z0-9_.\/-]*(?=:|,|\}|\s+(NOT\s+)?IN\b)/
VALUE: /(?!(AND|OR|NOT|IN)\b)[A-Za-z0-9_.*\/-]+/
TEMPLATE: /\$[a-z_]+/
SIGN: /[+-]/
FACTOR: /[*\/]/
BARE: /[a-z_]+(?=\s*[,)])/
QUOTED: /'[^']*'|"[^"]*"/
NUMBER: /\d+(\.\d+)?/
%ignore /\s+/
"""

_MONITOR = (
    r"""
start: time_aggregation "(" WINDOW "):" expression COMPARISON THRESHOLD -> metric_alert
     | SOURCE "(" TEXT ")" events COMPARISON THRESHOLD                  -> event_alert
     | "formula(" TEXT ")" last COMPARISON THRESHOLD                    -> formula_alert
time_aggregation: TIME_AGGREGATION
events: index? rollup group? last
index: ".index(" TEXT ")"
rollup: ".rollup(" TEXT ("," TEXT)? ")"
group: ".by(" TEXT ")"
last: ".last(" TEXT ")"

TIME_AGGREGATION.3: /(avg|sum|min|max|percentile)(?=\(last_)/
WINDOW.3: /last_(1m|5m|10m|15m|30m|1h|2h|4h|1d|2d|1w)/
SOURCE.3: "logs" | "trace-analytics"
TEXT: /"(\\.|[^"\\])*"/
COMPARISON: ">=" | "<=" | ">" | "<"
THRESHOLD.1: /-?\d+(\.\d+)?$/
"""
    + _METRIC
)

_LASTS = ("1m", "5m", "10m", "15m", "30m", "1h", "2h", "4h", "1d", "2d")


class BadQueryError(ValueError):
    """A query that Datadog would not take."""


@dataclass(frozen=True)
class Use:
    """A field that a search names.

    Attributes:
        name: The field, with ``@`` where it is an attribute.
        values: The values it is held against; empty where any will do.
        is_number: Whether it is compared as a number.
    """

    name: str
    values: tuple[str, ...] = ()
    is_number: bool = False


@dataclass(frozen=True)
class MetricUse:
    """A metric that a query asks for."""

    aggregation: str
    name: str
    tags: dict[str, tuple[str, ...]] = field(hash=False)
    by: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class MonitorQuery:
    """What a monitor's query asks for.

    Attributes:
        kind: ``metric``, ``logs``, ``trace-analytics`` or ``formula``.
        metrics: The metrics, of a metric alert.
        search: The search, of lines or spans.
        by: What it alerts on apart.
        threshold: What it is compared with.
        time_aggregation: How points are put together over the window, of a metric alert.
        window: Over which time: ``30m``.
        comparison: How it is compared with the threshold.
        formula: What is computed of the counts that stand in the monitor's options.
    """

    kind: str
    metrics: tuple[MetricUse, ...]
    search: str
    by: tuple[str, ...]
    threshold: float
    time_aggregation: str = ""
    window: str = ""
    comparison: str = ">"
    formula: str = ""


def search(query: str) -> list[Use]:
    """Return the fields that a search of lines or spans names.

    Raises:
        BadQueryError: It does not parse.
    """
    if not query.strip() or query.strip() == "*":
        return []
    tree = parsed("search", query)
    return list(_uses(tree))


def metric(query: str) -> list[MetricUse]:
    """Return the metrics that a metric query, or what is computed of several, asks for.

    Raises:
        BadQueryError: It does not parse.
    """
    return list(_metric_uses(parsed("metric", query)))


def formula(text: str) -> set[str]:
    """Return the queries that a widget's formula names.

    Raises:
        BadQueryError: It does not parse.
    """
    tree = parsed("formula", text)
    return {str(token) for token in tree.scan_values(lambda one: one.type == "QUERY")}


def monitor(query: str) -> MonitorQuery:
    """Return what a monitor's query asks for.

    Raises:
        BadQueryError: It does not parse.
    """
    tree = parsed("monitor", query)
    threshold = float(next(tree.scan_values(lambda one: one.type == "THRESHOLD")))
    comparison = str(next(tree.scan_values(lambda one: one.type == "COMPARISON")))
    if tree.data == "metric_alert":
        uses = tuple(_metric_uses(tree))
        if len({use.by for use in uses}) > 1:
            raise BadQueryError(f"{query}: what is put together is split by other tags")
        aggregation = str(next(tree.scan_values(lambda one: one.type == "TIME_AGGREGATION")))
        window = str(next(tree.scan_values(lambda one: one.type == "WINDOW")))
        return MonitorQuery(
            "metric",
            uses,
            "",
            uses[0].by,
            threshold,
            aggregation,
            window.removeprefix("last_"),
            comparison,
        )
    texts = {
        one.data: [str(token)[1:-1] for token in one.children]
        for one in tree.iter_subtrees()
        if one.data in ("index", "rollup", "group", "last")
    }
    if texts["last"][0] not in _LASTS:
        raise BadQueryError(f"{query}: there is no window of {texts['last'][0]}")
    if tree.data == "formula_alert":
        text = str(tree.children[0])[1:-1]
        formula(text)
        return MonitorQuery(
            "formula", (), "", (), threshold, "", texts["last"][0], comparison, text
        )
    if texts["rollup"][0] not in ("count", "cardinality", "avg", "max", "min", "sum", "pc95"):
        raise BadQueryError(f"{query}: there is no {texts['rollup'][0]}")
    source, text = tree.children[0], str(tree.children[1])[1:-1].replace('\\"', '"')
    search(text)
    by = tuple(texts.get("group", [""])[0].split(",")) if "group" in texts else ()
    return MonitorQuery(str(source), (), text, by, threshold, "", texts["last"][0], comparison)


_FORMULA = r"""
?expression: product (SIGN product)*
?product: operand (FACTOR operand)*
?operand: NUMBER | QUERY | "(" expression ")"
QUERY: /[a-z][a-z0-9_]*/
SIGN: /[+-]/
FACTOR: /[*\/]/
NUMBER: /\d+(\.\d+)?/
%ignore /\s+/
"""


@cache
def _parser(language: str) -> Lark:
    grammar, start = {
        "search": (_SEARCH, "start"),
        "metric": (_METRIC, "expression"),
        "monitor": (_MONITOR, "start"),
        "formula": (_FORMULA, "expression"),
    }[language]
    return Lark(grammar, start=start, parser="earley", lexer="dynamic")


@cache
def parsed(language: str, query: str) -> Tree[Token]:
    try:
        parsed = _parser(language).parse(query)
    except (UnexpectedInput, VisitError) as error:
        raise BadQueryError(f"{query!r} is no {language} query: {error}") from error
    return parsed if isinstance(parsed, Tree) else Tree("alone", [parsed])


def _uses(tree: Tree[Token]) -> Iterator[Use]:
    for one in tree.iter_subtrees():
        if one.data != "field":
            continue
        name, value = str(one.children[0])[:-1], one.children[1]
        if isinstance(value, Token):
            yield Use(name)
        elif value.data in ("compare", "between"):
            yield Use(name, is_number=True)
        else:
            words = [str(token) for token in value.scan_values(lambda _: True)]
            yield Use(name, tuple(word for word in words if "*" not in word))


def _metric_uses(tree: Tree[Token]) -> Iterator[MetricUse]:
    for query in tree.iter_subtrees_topdown():
        if query.data != "query":
            continue
        tags: dict[str, tuple[str, ...]] = {}
        for one in query.iter_subtrees():
            if one.data in ("tagged", "member"):
                tag, *values = [str(token) for token in one.children if token.type != "IN"]
                tags[tag] = tuple(values)
        by = next((one for one in query.children if _is(one, "by")), None)
        yield MetricUse(
            str(query.children[0]),
            str(query.children[1]),
            tags,
            tuple(str(tag) for tag in by.children) if by else (),
            tuple(str(one.children[0]) for one in query.children if _is(one, "method")),
            tuple(str(token) for token in query.scan_values(lambda one: one.type == "TEMPLATE")),
        )


def _is(node: Tree[Token] | Token, rule: str) -> bool:
    return isinstance(node, Tree) and node.data == rule
