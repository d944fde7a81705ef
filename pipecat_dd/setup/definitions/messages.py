"""What a monitor says: what happened, what to look at first, and where."""

from dataclasses import dataclass
from urllib.parse import quote

from pipecat_dd.setup.options import Options

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where to see what a monitor saw.

    Attributes:
        hours: How far back to look.
        spans: The search for the traces.
        lines: The search for the lines.
    """

    hours: int
    spans: str
    lines: str


def message(happened: str, first: str, evidence: Evidence, options: Options) -> str:
    """Return a monitor's message.

    Args:
        happened: What happened, in a sentence.
        first: What to look at first.
        evidence: Where to see it.
        options: Whom to tell, and Datadog's site.
    """
    traces = _within(options, evidence.spans)
    lines = _within(options, evidence.lines)
    parts = [
        f"{{{{#is_alert}}}}\n{happened}\n{{{{/is_alert}}}}",
        first,
        f"- [The traces]({_traces(options, traces, evidence.hours)}): "
        f"`{traces}`\n"
        f"- [The lines]({_lines(options, lines, evidence.hours)}): "
        f"`{lines}`\n"
        "- A whole conversation, in either: `@session_id:` and the id, which stands on every span "
        "and every line.",
    ]
    if options.notify:
        parts.append(" ".join(options.notify))
    return "\n\n".join(parts)


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
    # The braces are Datadog's template variables, which it fills in before the link is opened.
    return quote(query, safe="{}")


def _ago(hours: int) -> str:
    return f'{{{{eval "last_triggered_at_epoch-{hours * _HOUR_MS}"}}}}'
