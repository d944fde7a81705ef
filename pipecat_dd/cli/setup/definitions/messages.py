"""What a monitor says: what happened, what to look at first, and where; then, what recovered."""

from dataclasses import dataclass
from urllib.parse import quote

from pipecat_dd.cli.setup.options import Options
from pipecat_dd.names import tags

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


@dataclass(frozen=True, slots=True)
class Words:
    """What a monitor says.

    Attributes:
        happened: What happened, in a sentence.
        first: What to look at first.
        recovered: What is well again, in a sentence.
        is_of_silence: Whether it alerts because nothing came.
    """

    happened: str
    first: str
    recovered: str
    is_of_silence: bool = False


def message(words: Words, evidence: Evidence, options: Options) -> str:
    """Return a monitor's message.

    Args:
        words: What it says.
        evidence: Where to see it.
        options: Whom to tell, and Datadog's site.
    """
    alert = "is_no_data" if words.is_of_silence else "is_alert"
    where = _where(evidence, options)
    parts = [_if(alert, f"{words.happened}\n\n{words.first}\n\n{where}")]
    if not words.is_of_silence:
        parts.append(_if("is_warning", f"Not an alert yet: {words.happened}\n\n{where}"))
    parts.append(_if("is_recovery", words.recovered))
    if options.notify:
        parts.append(" ".join(options.notify))
    return "\n\n".join(parts)


def _if(state: str, text: str) -> str:
    return f"{{{{#{state}}}}}\n{text}\n{{{{/{state}}}}}"


def _where(evidence: Evidence, options: Options) -> str:
    traces = _within(options, evidence.spans)
    lines = _within(options, evidence.lines)
    return (
        f"- [The traces]({_traces(options, traces, evidence.hours)}): `{traces}`\n"
        f"- [The lines]({_lines(options, lines, evidence.hours)}): `{lines}`\n"
        f"- A whole conversation, in either: `@{tags.SESSION_ID}:` and the id, which stands on "
        "every span and every line."
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
    # The braces are Datadog's template variables, which it fills in before the link is opened.
    return quote(query, safe="{}")


def _ago(hours: int) -> str:
    return f'{{{{eval "last_triggered_at_epoch-{hours * _HOUR_MS}"}}}}'
