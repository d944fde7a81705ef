"""The message of a monitor: what happened, what to check first, with links, and the recovery."""

from dataclasses import dataclass
from urllib.parse import quote

from pipecat_dd.cli import PAGES
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.names import tags

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """The traces and log lines that a monitor's message links to.

    Attributes:
        hours: The period before the alert, in hours.
        spans: The search for traces.
        lines: The search for log lines.
    """

    hours: int
    spans: str
    lines: str


@dataclass(frozen=True, slots=True)
class AlertText:
    """The text of a monitor's notifications.

    Attributes:
        happened: What happened, in one sentence.
        first: What to check first.
        recovered: The recovery, in one sentence.
        alerts_on_no_data: Whether the monitor alerts if there is no data.
        walk: The heading of the walk in ``docs/on-call.md`` that goes on from here; empty if there
            is none.
    """

    happened: str
    first: str
    recovered: str
    alerts_on_no_data: bool = False
    walk: str = ""


def message(text: AlertText, evidence: Evidence, options: Options) -> str:
    """Return a monitor's message, in Datadog's template language."""
    alert = "is_no_data" if text.alerts_on_no_data else "is_alert"
    where = _where(evidence, options)
    if text.walk:
        page = f"docs/on-call.md#{_anchor(text.walk)}"
        link = f"[{page}]({PAGES}{page})"
        where = f"{where}\n- The walk on call: *{text.walk}* in pipecat_dd's {link}"
    parts = [_if(alert, f"{text.happened}\n\n{text.first}\n\n{where}")]
    if not text.alerts_on_no_data:
        parts.append(_if("is_warning", f"Warning: {text.happened}\n\n{where}"))
    parts.append(_if("is_recovery", text.recovered))
    if options.notify:
        parts.append(" ".join(options.notify))
    return "\n\n".join(parts)


def _anchor(heading: str) -> str:
    """Return the anchor that a site or a repository's host makes of a heading."""
    return "".join(one for one in heading.lower() if one.isalnum() or one in " -_").replace(
        " ", "-"
    )


def _if(state: str, text: str) -> str:
    return f"{{{{#{state}}}}}\n{text}\n{{{{/{state}}}}}"


def _where(evidence: Evidence, options: Options) -> str:
    traces = _within(options, evidence.spans)
    lines = _within(options, evidence.lines)
    return (
        f"- [Traces]({_traces(options, traces, evidence.hours)}): `{traces}`\n"
        f"- [Log lines]({_lines(options, lines, evidence.hours)}): `{lines}`\n"
        f"- A whole conversation: search traces or log lines for `@{tags.SESSION_ID}:` followed by "
        "the id, which is on every span and every line."
    )


def _within(options: Options, query: str) -> str:
    env = f"env:{options.env} " if options.env else ""
    return f"service:{{{{service.name}}}} {env}{query}"


def _traces(options: Options, query: str, hours: int) -> str:
    return (
        f"{options.app}/apm/traces?query={_quoted(query)}"
        f"&start={_ago(hours)}&end={{{{last_triggered_at_epoch}}}}"
    )


def _lines(options: Options, query: str, hours: int) -> str:
    return (
        f"{options.app}/logs?query={_quoted(query)}"
        f"&from_ts={_ago(hours)}&to_ts={{{{last_triggered_at_epoch}}}}&live=false"
    )


def _quoted(query: str) -> str:
    # Keep braces: Datadog replaces its template variables before a user opens the link.
    return quote(query, safe="{}")


def _ago(hours: int) -> str:
    return f'{{{{eval "last_triggered_at_epoch-{hours * _HOUR_MS}"}}}}'
