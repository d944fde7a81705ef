"""The grammars: what Datadog's documentation shows parses, what it would refuse does not."""

import pytest

from tests.support import queries
from tests.support.queries import BadQueryError, Use

SEARCHES = [
    "*",
    "service:pipecat-chatbot @dd.trace_id:*",
    "-@dd.trace_id:* @session_id:*",
    "@levelname:ERROR @function:process_frame",
    "@duration_ms:>2000",
    "@http.status_code:[200 TO 299]",
    "status:(warn OR error) OR (@a.b:1 AND NOT @c:x)",
    '@message:"hello \\"dolly\\"" authentication',
    "$service $env operation_name:pipecat.turn @turn.outcome:unanswered",
    "service:{{service.name}} @session.end_reason:(failed OR exited)",
    "@transport:$transport.value",
]

BAD_SEARCHES = [
    "@levelname: ERROR",
    "@levelname:",
    "@duration_ms:>",
    "@duration_ms:>fast",
    "status:(warn OR error",
    "status:warn)",
    "@a:[1 TO 2",
    'service:"bot',
    "AND service:bot",
    "service:bot OR",
    "- @session_id:*",
    "a & b",
    "",
]

METRICS = [
    "sum:pipecat.turns{*}.as_count()",
    "avg:system.cpu.user{service:a,!env:b} by {host}",
    "p95:pipecat.turn.user_bot_latency_seconds{$service,$env} by {provider,model}",
    "sum:x.y{env:prod AND NOT (a:b OR c IN (d,e))} by {env}.rollup(sum, 60).fill(zero)",
    "sum:x.y{$service AND outcome NOT IN (failed,timed_out)}",
    "default_zero(sum:a.b{*}.as_count()) / (avg:c.d{*} + 2) * 100",
]

BAD_METRICS = [
    "pipecat.turns{*}",
    "median:pipecat.turns{*}",
    "sum:pipecat.turns",
    "sum:pipecat.turns{}",
    "sum:pipecat.turns{service}",
    "sum:pipecat.turns{*} by {}",
    "sum:pipecat.turns{*} by service",
    "sum:pipecat.turns{*}.as_count",
    "sum:Pipecat.Turns{*}",
    "sum:pipecat.turns{service:a,outcome IN (b,c)}",
    "sum:pipecat.turns{*} /",
    "sum:pipecat turns{*}",
]

MONITORS = [
    'logs("service:a @levelname:ERROR").index("*").rollup("count").by("service").last("1h") > 10',
    'logs("@a:\\"b c\\"").index("*").rollup("cardinality", "@usr.id").last("5m") >= 1',
    'trace-analytics("operation_name:pipecat.turn").rollup("pc95", "@duration").last("5m") > 2',
    "sum(last_1h):sum:pipecat.turns{*} by {service}.as_count() > 5",
    "percentile(last_15m):p95:a.b{env:prod} > 2.5",
    "sum(last_4h):default_zero(sum:a.b{*}.as_count()) - default_zero(sum:c.d{*}.as_count()) > 0",
]

BAD_MONITORS = [
    'logs("service:a").index("*").rollup("count").last("1h")',
    'logs("service:a").index("*").rollup("count").last("3h") > 1',
    'logs("service:a").index("*").rollup("median").last("1h") > 1',
    'logs("service: a").index("*").rollup("count").last("1h") > 1',
    'logs(service:a).index("*").rollup("count").last("1h") > 1',
    'logs("service:a").last("1h").rollup("count") > 1',
    "sum(last_1h):sum:pipecat.turns{*}.as_count()",
    "sum(last_3h):sum:pipecat.turns{*}.as_count() > 5",
    "median(last_1h):sum:pipecat.turns{*}.as_count() > 5",
    "sum:pipecat.turns{*}.as_count() > 5",
    "sum(last_1h):sum:pipecat.turns{*} > many",
    "sum(last_1h):sum:a.b{*} by {service} - sum:c.d{*} by {env} > 1",
]


@pytest.mark.parametrize(
    ("read", "query"),
    [
        *((queries.search, query) for query in SEARCHES),
        *((queries.metric, query) for query in METRICS),
        *((queries.monitor, query) for query in MONITORS),
    ],
)
def test_a_query_as_datadog_documents_it_parses(read, query):
    read(query)


@pytest.mark.parametrize(
    ("read", "query"),
    [
        *((queries.search, query) for query in BAD_SEARCHES if query),
        *((queries.metric, query) for query in BAD_METRICS),
        *((queries.monitor, query) for query in BAD_MONITORS),
        (queries.formula, "failed / all *"),
        (queries.formula, "failed all"),
    ],
)
def test_a_query_that_datadog_would_refuse_does_not_parse(read, query):
    with pytest.raises(BadQueryError):
        read(query)


def test_what_a_search_names_is_read():
    assert set(queries.search("-@a.b:* status:(warn OR error) @n:>2 $env text")) == {
        Use("@a.b"),
        Use("status", ("warn", "error")),
        Use("@n", is_number=True),
    }


def test_what_a_metric_query_names_is_read():
    (use,) = queries.metric("p95:a.b{$env AND c:d AND e IN (f,g)} by {h,i}.rollup(max, 60)")
    assert (use.aggregation, use.name, use.by) == ("p95", "a.b", ("h", "i"))
    assert use.tags == {"c": ("d",), "e": ("f", "g")}
    assert use.variables == ("$env",)
    assert use.methods == ("rollup",)
