"""Check which environment variables are set, and which of them do not have the intended effect."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from pipecat_dd._network import VARIABLES as PROXY_VARIABLES
from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor.agent import API_VERSION, KNOWN_TO_DDTRACE
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.export.notices import REPLACED

UNIFIED: Final = ("DD_SERVICE", "DD_ENV", "DD_VERSION")

_SHOWN: Final = ("DD_TRACE_AGENT_URL", "DD_AGENT_HOST", "DD_TRACE_AGENT_PORT", "DD_SITE")

_OTHERS: Final = frozenset(
    {"DD_APP_KEY", "DD_APPLICATION_KEY", "DD_HOSTNAME", "DD_URL", *PROXY_VARIABLES}
)
"""Variables that ddtrace does not read, but Datadog's Agent and clients do: never reported."""

_ALIKE: Final = 0.9
"""How similar an unknown name must be to a known one to count as misspelt, 0 to 1."""

_SPAN_LIMIT: Final = 300

_API_KEY_CHARS: Final = 32
_APP_KEY_CHARS: Final = 40


def unified(context: Context) -> Iterator[Finding]:
    """Check that service, environment and version are set."""
    values = {name: context.value(name) for name in UNIFIED}
    missing = [name for name, value in values.items() if not value]
    facts: dict[str, str | None] = {
        name.removeprefix("DD_").lower(): value or None for name, value in values.items()
    }
    if missing:
        yield Finding(
            "variables.unified",
            Level.NOTE,
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: spans and "
            f"lines cannot be filtered by {'it' if len(missing) == 1 else 'them'}"
            + (
                ", and ddtrace names the service after the program"
                if not values[UNIFIED[0]]
                else ""
            )
            + ".",
            f"Set {', '.join(missing)} where the bot is started, the same as on its Agent or pod.",
            facts,
        )
        return
    yield Finding(
        "variables.unified",
        Level.OK,
        ", ".join(f"{name}={value}" for name, value in values.items()) + ".",
        facts=facts,
    )


def destination(context: Context) -> Iterator[Finding]:
    """Report the variables that set the destination. The key itself is never shown."""
    shown = [f"{name}={value}" for name in _SHOWN if (value := context.value(name))]
    key = context.environ.get("DD_API_KEY", "")
    if key:
        shown.append("DD_API_KEY (not shown)")
    if shown:
        yield Finding(
            "variables.destination",
            Level.OK,
            f"Set: {', '.join(shown)}.",
            facts={"set": [one.partition("=")[0].split()[0] for one in shown]},
        )
    if key and key != key.strip(" \t\r\n\"'"):
        yield Finding(
            "variables.api_key",
            Level.PROBLEM,
            "DD_API_KEY begins or ends with a space, a line break or a quotation mark.",
            "Remove it. Files of variables (docker --env-file) keep quotation marks as part of "
            "the value.",
        )
    elif len(key) == _APP_KEY_CHARS:
        yield Finding(
            "variables.api_key",
            Level.PROBLEM,
            f"DD_API_KEY is {_APP_KEY_CHARS} characters long, like application keys; API keys "
            f"are {_API_KEY_CHARS}.",
            "Set it to an API key: Organization Settings, API Keys.",
        )


def replaced(context: Context) -> Iterator[Finding]:
    """Report variables that no longer have an effect."""
    for name, instead in REPLACED.items():
        if value := context.value(name):
            yield Finding(
                "variables.replaced",
                Level.PROBLEM,
                f"{name}={value} no longer has an effect.",
                _sentence(instead.format(value=value)),
                {"variable": name},
            )


def misspelt(context: Context) -> Iterator[Finding]:
    """Report variables whose names are similar to those of ddtrace's variables."""
    known = _ddtrace.variables()
    if not known:
        return
    known = known | _OTHERS | REPLACED.keys()
    for name in sorted(context.environ):
        if name.startswith("DD_") and name not in known:
            likely = get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if likely and not likely[0].startswith("_"):
                yield Finding(
                    "variables.misspelt",
                    Level.NOTE,
                    f"ddtrace has no variable {name}.",
                    f"If you mean {likely[0]}, set that instead.",
                    {"variable": name, "likely": likely[0]},
                )


def tracing(context: Context) -> Iterator[Finding]:
    """Check for variables that turn off or delay traces, or remove the ids from lines."""
    if not context.is_on("DD_TRACE_ENABLED", True):
        yield Finding(
            "variables.tracing",
            Level.PROBLEM,
            "DD_TRACE_ENABLED turns tracing off: no spans are sent, and lines carry no span ids.",
            "Unset it.",
        )
    if not context.is_on("DD_APM_TRACING_ENABLED", True):
        yield Finding(
            "variables.tracing",
            Level.PROBLEM,
            "DD_APM_TRACING_ENABLED turns APM off: traces do not continue in other services, and "
            "with one of Datadog's security products ddtrace keeps only one trace per minute.",
            "Unset it.",
        )
    if context.value("DD_LOGS_INJECTION").lower() in ("false", "0"):
        yield Finding(
            "variables.log_ids",
            Level.NOTE,
            "DD_LOGS_INJECTION removes the ids of trace and span from lines: Datadog cannot link "
            "lines and traces.",
            "Unset it, unless you want that.",
        )
    yield from _flushing(context)
    rules = context.value("DD_TRACE_SAMPLING_RULES")
    if rules and not _is_list_of_rules(rules):
        yield Finding(
            "variables.sampling_rules",
            Level.PROBLEM,
            "DD_TRACE_SAMPLING_RULES is not a JSON list of rules, so ddtrace ignores it.",
            'Write it as [{"sample_rate": 0.5}], and make sure that your shell keeps the '
            "quotation marks.",
        )


def _flushing(context: Context) -> Iterator[Finding]:
    name, least = "DD_TRACE_PARTIAL_FLUSH_ENABLED", "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS"
    effect = "finished spans are not sent while other spans of the session's trace are open"
    if not context.is_on(name, True):
        yield Finding(
            "variables.partial_flush",
            Level.NOTE,
            f"{name} turns partial flushing off: {effect}, however many there are.",
            "Unset it; for long calls, PIPECAT_DD_TRACE_SCOPE=turn gives each turn its own trace.",
        )
        return
    spans = context.value(least)
    if spans.isdigit() and int(spans) > _SPAN_LIMIT:
        yield Finding(
            "variables.partial_flush",
            Level.NOTE,
            f"{least}={spans}: {effect}, up to {spans} spans.",
            f"Unset it: the default is {_SPAN_LIMIT}.",
        )


def own_lines(context: Context) -> Iterator[Finding]:
    """Check that ddtrace does not write its own lines as text between JSON lines."""
    name = "DD_TRACE_LOG_STREAM_HANDLER"
    if context.is_on(name, True):
        yield Finding(
            "variables.ddtrace_lines",
            Level.NOTE,
            "ddtrace writes its own lines to standard error as plain text, until "
            "configure_logging() writes to the console, and always if that writes to a file.",
            f"Set {name}=false: configure_logging() writes them as JSON like all other lines.",
        )


def _is_list_of_rules(text: str) -> bool:
    try:
        rules = json.loads(text)
    except ValueError:
        return False
    return isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def values(context: Context) -> Iterator[Finding]:
    """Report values that are not read as intended, or not at all."""
    known = _ddtrace.variables()
    for name, value in sorted(context.environ.items()):
        value = value.strip()
        if not value or not name.startswith("DD_"):
            continue
        wrong = _wrong(name, value, known)
        if wrong:
            says, do = wrong
            yield Finding("variables.value", Level.PROBLEM, says, do, {"variable": name})
    for name in UNIFIED:
        value = context.value(name)
        if value and (normal := _normalised(value)) != value:
            yield Finding(
                "variables.tag_value",
                Level.NOTE,
                f"{name}={value} is {normal} in Datadog: tags there are in lower case, and contain "
                "only letters, digits and _ - : . /",
                f"Set {name}={normal}, and search for that.",
                {"variable": name, "shown_as": normal},
            )


def _wrong(name: str, value: str, known: frozenset[str]) -> tuple[str, str] | None:
    """Return what is wrong with a variable's value, and what to do; None if nothing is wrong."""
    if name in _NUMBERS:
        least, most = _NUMBERS[name]
        if value.isascii() and value.isdigit() and least <= int(value) <= most:
            return None
        return f"{name}={value} is not a number from {least} to {most}.", f"Correct {name}."
    if name in _URLS:
        schemes = _URLS[name]
        scheme, is_url, rest = value.partition("://")
        if is_url and scheme in schemes and rest:
            return None
        allowed = " or ".join(f"{one}://…" for one in schemes)
        return f"{name} is not a supported URL.", f"Write it as {allowed}."
    if name == API_VERSION and value not in KNOWN_TO_DDTRACE:
        allowed = " or ".join(KNOWN_TO_DDTRACE)
        return f"{name}={value} is not a version that ddtrace supports.", f"Set it to {allowed}."
    if name == "DD_TAGS":
        bare = [tag for tag in re.split(r"[,\s]+", value) if tag and ":" not in tag.strip(":")]
        if bare:
            return (
                f"DD_TAGS contains {', '.join(bare)}, which is not a tag.",
                "Write tags as name:value, separated by commas and without spaces.",
            )
    is_switch = name.endswith("_ENABLED") or name in _SWITCHES
    if is_switch and (name in known or name in _SWITCHES) and value.lower() not in _BOOLEANS:
        return (
            f"{name}={value} is neither true nor false, so ddtrace reads it as false.",
            f"Set {name} to true or false.",
        )
    return None


def _normalised(value: str) -> str:
    return re.sub(r"[^a-z0-9_\-:./]", "_", value.lower())


_BOOLEANS: Final = frozenset({"true", "false", "1", "0"})
_SWITCHES: Final = frozenset({"DD_TRACE_LOG_STREAM_HANDLER", "DD_TRACE_DEBUG"})
_NUMBERS: Final = {
    "DD_TRACE_AGENT_PORT": (1, 65_535),
    "DD_DOGSTATSD_PORT": (1, 65_535),
    "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS": (1, 1_000_000),
    "DD_TRACE_RATE_LIMIT": (0, 1_000_000),
}
_URLS: Final = {
    "DD_TRACE_AGENT_URL": ("http", "https", "unix"),
    "DD_DOGSTATSD_URL": ("udp", "unix", "unixgram", "unixstream"),
}


CHECKS: Final = (unified, destination, replaced, misspelt, values, tracing, own_lines)
