"""Which environment variables are set, and which of them do not do what they seem to."""

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
"""Read by Datadog's Agent and clients, if not by ddtrace; not worth a word."""

_ALIKE: Final = 0.9
"""How like a known name an unknown one is to be taken for a slip, 0 to 1."""

_SPAN_LIMIT: Final = 300

_API_KEY_CHARS: Final = 32
_APP_KEY_CHARS: Final = 40


def unified(situation: Context) -> Iterator[Finding]:
    """Check that it is said whose spans and lines these are."""
    values = {name: situation.value(name) for name in UNIFIED}
    missing = [name for name, value in values.items() if not value]
    facts: dict[str, str | None] = {
        name.removeprefix("DD_").lower(): value or None for name, value in values.items()
    }
    if missing:
        yield Finding(
            "variables.unified",
            Level.NOTE,
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: spans and "
            "lines cannot be told apart by it"
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


def destination(situation: Context) -> Iterator[Finding]:
    """Tell which variables say where to send to; of the key, only that it is there."""
    shown = [f"{name}={value}" for name in _SHOWN if (value := situation.value(name))]
    key = situation.environ.get("DD_API_KEY", "")
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
            "DD_API_KEY begins or ends with a space, a line's end or a quotation mark.",
            "Take it off: files of variables (docker --env-file) keep quotation marks as they are.",
        )
    elif len(key) == _APP_KEY_CHARS:
        yield Finding(
            "variables.api_key",
            Level.PROBLEM,
            f"DD_API_KEY is {_APP_KEY_CHARS} characters long, as application keys are; API keys "
            f"are {_API_KEY_CHARS}.",
            "Set it to an API key: Organization Settings, API Keys.",
        )


def replaced(situation: Context) -> Iterator[Finding]:
    """Name what is set and does nothing any more."""
    for name, instead in REPLACED.items():
        if value := situation.value(name):
            yield Finding(
                "variables.replaced",
                Level.PROBLEM,
                f"{name}={value} has no effect any more.",
                _sentence(instead.format(value=value)),
                {"variable": name},
            )


def misspelt(situation: Context) -> Iterator[Finding]:
    """Name what begins as ddtrace's variables do and is nearly one of them."""
    known = _ddtrace.variables()
    if not known:
        return
    known = known | _OTHERS | REPLACED.keys()
    for name in sorted(situation.environ):
        if name.startswith("DD_") and name not in known:
            likely = get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if likely and not likely[0].startswith("_"):
                yield Finding(
                    "variables.misspelt",
                    Level.NOTE,
                    f"ddtrace knows no {name}.",
                    f"If it is meant to be {likely[0]}, set that.",
                    {"variable": name, "likely": likely[0]},
                )


def tracing(situation: Context) -> Iterator[Finding]:
    """Check what turns off, or holds back, traces and the ids on lines."""
    if not situation.is_on("DD_TRACE_ENABLED", True):
        yield Finding(
            "variables.tracing",
            Level.PROBLEM,
            "DD_TRACE_ENABLED turns tracing off: no span is sent, and lines carry no span's id.",
            "Unset it.",
        )
    if not situation.is_on("DD_APM_TRACING_ENABLED", True):
        yield Finding(
            "variables.tracing",
            Level.PROBLEM,
            "DD_APM_TRACING_ENABLED turns APM off: traces do not go on into other services, and "
            "beside one of Datadog's security products ddtrace keeps one trace a minute.",
            "Unset it.",
        )
    if situation.value("DD_LOGS_INJECTION").lower() in ("false", "0"):
        yield Finding(
            "variables.log_ids",
            Level.NOTE,
            "DD_LOGS_INJECTION leaves the ids of trace and span out of lines: no way leads from a "
            "line to its trace, nor back.",
            "Unset it, if that is not what you want.",
        )
    yield from _flushing(situation)
    rules = situation.value("DD_TRACE_SAMPLING_RULES")
    if rules and not _is_list_of_rules(rules):
        yield Finding(
            "variables.sampling_rules",
            Level.PROBLEM,
            "DD_TRACE_SAMPLING_RULES is no list of rules in JSON, so ddtrace leaves it aside.",
            'Write it as [{"sample_rate": 0.5}], with quotation marks that survive your shell.',
        )


def _flushing(situation: Context) -> Iterator[Finding]:
    name, least = "DD_TRACE_PARTIAL_FLUSH_ENABLED", "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS"
    effect = "whatever stays open in a session's trace holds back what has finished in it"
    if not situation.is_on(name, True):
        yield Finding(
            "variables.partial_flush",
            Level.NOTE,
            f"{name} turns sending in parts off: {effect}, however much that is.",
            "Unset it; for long calls, PIPECAT_DD_TRACE_SCOPE=turn makes each turn a trace.",
        )
        return
    spans = situation.value(least)
    if spans.isdigit() and int(spans) > _SPAN_LIMIT:
        yield Finding(
            "variables.partial_flush",
            Level.NOTE,
            f"{least}={spans}: {effect}, up to {spans} spans.",
            f"Unset it: by default that is {_SPAN_LIMIT}.",
        )


def own_lines(situation: Context) -> Iterator[Finding]:
    """Check that ddtrace's own lines do not stand as text between those of JSON."""
    name = "DD_TRACE_LOG_STREAM_HANDLER"
    if situation.is_on(name, True):
        yield Finding(
            "variables.ddtrace_lines",
            Level.NOTE,
            "ddtrace writes its own lines to standard error as plain text, until "
            "configure_logging() writes to the console, and always where that writes to a file.",
            f"Set {name}=false: configure_logging() writes them as JSON among all others.",
        )


def _is_list_of_rules(text: str) -> bool:
    try:
        rules = json.loads(text)
    except ValueError:
        return False
    return isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def values(situation: Context) -> Iterator[Finding]:
    """Name values that are read otherwise than they are meant, or not at all."""
    known = _ddtrace.variables()
    for name, value in sorted(situation.environ.items()):
        value = value.strip()
        if not value or not name.startswith("DD_"):
            continue
        wrong = _wrong(name, value, known)
        if wrong:
            says, do = wrong
            yield Finding("variables.value", Level.PROBLEM, says, do, {"variable": name})
    for name in UNIFIED:
        value = situation.value(name)
        if value and (normal := _normalised(value)) != value:
            yield Finding(
                "variables.tag_value",
                Level.NOTE,
                f"{name}={value} is {normal} in Datadog: tags are in small letters there, and of "
                "letters, digits and _ - : . / only.",
                f"Set {name}={normal}, and search for that.",
                {"variable": name, "shown_as": normal},
            )


def _wrong(name: str, value: str, known: frozenset[str]) -> tuple[str, str] | None:
    """Return what is wrong with a variable's value, and what to do; None where nothing is."""
    if name in _NUMBERS:
        least, most = _NUMBERS[name]
        if value.isascii() and value.isdigit() and least <= int(value) <= most:
            return None
        return f"{name}={value} is no number from {least} to {most}.", f"Put {name} right."
    if name in _URLS:
        schemes = _URLS[name]
        scheme, is_url, rest = value.partition("://")
        if is_url and scheme in schemes and rest:
            return None
        allowed = " or ".join(f"{one}://…" for one in schemes)
        return f"{name} is no URL that is taken.", f"Write it as {allowed}."
    if name == API_VERSION and value not in KNOWN_TO_DDTRACE:
        allowed = " or ".join(KNOWN_TO_DDTRACE)
        return f"{name}={value} is no version that ddtrace sends.", f"Set it to {allowed}."
    if name == "DD_TAGS":
        bare = [tag for tag in re.split(r"[,\s]+", value) if tag and ":" not in tag.strip(":")]
        if bare:
            return (
                f"DD_TAGS holds {', '.join(bare)}, which is no tag.",
                "Write tags as name:value, with commas between them and no spaces in them.",
            )
    is_switch = name.endswith("_ENABLED") or name in _SWITCHES
    if is_switch and (name in known or name in _SWITCHES) and value.lower() not in _BOOLEANS:
        return (
            f"{name}={value} is neither true nor false to ddtrace, which takes it for false.",
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
