"""Writes docs/settings.md from the table of settings: ``python -m tests.support.settings_page``."""

import inspect
import re
from pathlib import Path
from typing import Any

from pipecat_dd import configure_logging
from pipecat_dd.settings import table
from pipecat_dd.settings.setting import Setting, Taker
from tests.reference.docstrings import read

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

_HEAD = """# Settings

Each setting is an argument, and most can also be set by an environment variable. An argument takes
precedence over its variable. The settings of a bot without our code, and of commands, are below.

- **An invalid argument raises** at once. The message names the argument, its value and what is
  allowed.
- **An invalid variable** never keeps a bot from answering. One WARNING, at `configure_logging()` or
  at the first session, names the variable and what is allowed, and the default is used. But lines
  are not shipped if `DD_SITE`, `DD_API_KEY` or `PIPECAT_DD_SHIP_URL` is invalid.
- **An unknown variable** that begins with `PIPECAT_DD_` is reported in the same way, with the name
  that is probably meant.

Each warning appears once in a process. `pipecat-dd doctor` reports the same before the bot starts.

In a variable, true is `true`, `1`, `yes` or `on`, and false is `false`, `0`, `no` or `off`, in
upper or lower case; tags are `key:value,key:value`. A variable that is empty counts as not set.
"""

_SECTIONS = {
    Taker.OBSERVER: ("`DatadogObserver(…)`", ""),
    Taker.LOGGING: (
        "`configure_logging(…)`",
        "How they work: [logs.md](logs.md#settings). The rules of a `Redactor`: "
        "[API](reference/api.md#redactor).\n\n",
    ),
    Taker.SHIPPING: (
        "`Shipping(…)`",
        "For `configure_logging(ship=Shipping(…))`: "
        "[deploy/agentless.md](deploy/agentless.md).\n\n",
    ),
    Taker.SETUP_FILE: (
        "`PIPECAT_SETUP_FILES`",
        "For bots that have none of our code: [view.md](view.md#without-code).\n\n",
    ),
    Taker.COMMAND_LINE: (
        "`pipecat-dd`",
        "All options of its commands: [command line](reference/cli.md).\n\n",
    ),
}


_FIRST_COLUMN = {Taker.SETUP_FILE: "setting", Taker.COMMAND_LINE: "option"}
"""What the names in a table's first column are, if they are no arguments."""

LOGGING_ALLOWED = {
    "sink": "a stream, a path, a function, a coroutine function, or a `logging.Handler`",
    "level": "`TRACE`, `DEBUG`, `INFO`, `SUCCESS`, `WARNING`, `ERROR`, `CRITICAL`, the name of a "
    "level of yours, or a number, 0 or more",
    "levels": "a mapping of names to what `level` may be",
    "sample": "a mapping of what `level` may be to a number, 0 to 1",
    "redact": "true, false, or a `Redactor`",
    "rotation": "what Loguru allows; the sink must be a path",
    "retention": "what Loguru allows; the sink must be a path",
    "compression": "what Loguru allows; the sink must be a path",
}
"""What arguments of `configure_logging` may be that the table of settings does not have."""

LOGGING_DEFAULTS = {"sink": "standard output", "sample": "all lines", "redact": "true"}

_OTHERS = """
## Variables of Datadog and others

These variables are not ours, but we read them, or ddtrace reads them and we use the result.
"""

OTHER_VARIABLES = {
    "A bot": {
        "DD_SERVICE DD_ENV DD_VERSION": "service, env and version of spans, lines and metrics. "
        "`DD_SERVICE` is also the default of `name`, and of the application's name in LLM "
        "Observability",
        "DD_SERVICE_MAPPING": "renames the service, on lines and metrics as on spans",
        "DD_TAGS": "tags on spans, metrics and shipped lines",
        "DD_TRACE_ENABLED": "`false` turns tracing off; lines then carry no ids of trace and span",
        "DD_LOGS_INJECTION": "`false` leaves the ids of trace and span off lines",
        "DD_LLMOBS_ENABLED DD_LLMOBS_ML_APP": "turn LLM Observability on, and name the "
        "application: [llm-observability.md](llm-observability.md)",
        "DD_DOGSTATSD_URL DD_DOGSTATSD_SOCKET DD_DOGSTATSD_HOST DD_DOGSTATSD_PORT DD_AGENT_HOST "
        "DD_TRACE_AGENT_URL": "where metrics go: [metrics.md](metrics.md#where-they-go)",
        "DD_DOGSTATSD_DISABLE": "`true` turns metrics off; Datadog's client reads it",
        "DATADOG_TAGS": "tags on metrics, in addition to `DD_TAGS`",
        "DD_PROXY_HTTPS DD_PROXY_HTTP DD_PROXY_NO_PROXY HTTPS_PROXY HTTP_PROXY NO_PROXY": "the "
        "proxy for shipped lines, also for `doctor` and `setup`; Datadog's names take precedence",
        "DD_TRACE_SAMPLE_RATE DD_TRACE_ANALYTICS_ENABLED": "have no effect any more; one line says "
        "what to set instead",
        "KUBERNETES_SERVICE_HOST ECS_CONTAINER_METADATA_URI ECS_CONTAINER_METADATA_URI_V4 "
        "container": "show that the bot runs in a container: the default of `max_line_bytes`",
        "LOGURU_AUTOINIT": "`false`: Loguru has no handler of its own that `configure_logging` "
        "would remove",
        "PIPECAT_SETUP_FILES": "files that Pipecat loads: [view.md](view.md#without-code)",
    },
    "`pipecat-dd view` and `report`": {
        "DD_TRACE_AGENT_URL DD_TRACE_AGENT_HOSTNAME DD_AGENT_HOST DD_TRACE_AGENT_PORT "
        "DD_AGENT_PORT": "the Agent for `view --forward`",
        "DISPLAY WAYLAND_DISPLAY BROWSER": "show that there is a browser to open",
        "XDG_RUNTIME_DIR USERNAME": "where `report` finds the view that runs",
    },
    "`pipecat-dd setup`": {
        "DD_API_KEY DD_APP_KEY DD_SITE": "keys and site: [setup.md](setup.md)",
    },
    "`pipecat-dd doctor`": {
        "DD_API_KEY DD_APP_KEY DD_APPLICATION_KEY DD_SITE DD_URL DD_HOSTNAME": "keys are checked, "
        "and never printed",
        "DD_AGENTLESS_ENABLED DD_APM_TRACING_ENABLED DD_TRACE_OTEL_ENABLED "
        "DD_TRACE_API_VERSION DD_TRACE_DEBUG DD_TRACE_RATE_LIMIT DD_TRACE_SAMPLING_RULES "
        "DD_TRACE_PARTIAL_FLUSH_ENABLED DD_TRACE_PARTIAL_FLUSH_MIN_SPANS "
        "DD_TRACE_LOG_STREAM_HANDLER DD_TRACE_WEBSOCKET_MESSAGES_ENABLED "
        "DD_ASGI_TRACE_WEBSOCKET": "ddtrace's own, whose values are checked: "
        "[doctor.md](doctor.md)",
    },
    "All commands": {
        "NO_COLOR COLUMNS": "print without colours; the width of the output",
    },
}
"""Variables that are not in the table of settings: by who reads them, what they are for."""

WRITTEN_ONLY = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
    "DD_REMOTE_CONFIGURATION_ENABLED",
    "DD_TRACE_STARTUP_LOGS",
    "DD_TRACE_WRITER_INTERVAL_SECONDS",
}
"""Variables that commands set for ddtrace, and that nothing of ours reads."""


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for taker, (title, text) in _SECTIONS.items():
        rows = _rows_of_logging() if taker is Taker.LOGGING else map(_row, table.taken_by(taker))
        first = _FIRST_COLUMN.get(taker, "argument")
        parts.append(
            f"\n## {title}\n\n{text}| {first} | variable | what it sets | allowed | default |\n"
            f"| --- | --- | --- | --- | --- |\n" + "".join(f"{row}\n" for row in rows)
        )
    parts.append(_OTHERS)
    for title, variables in OTHER_VARIABLES.items():
        rows = (f"| {_listed(names)} | {meaning} |\n" for names, meaning in variables.items())
        parts.append(f"\n### {title}\n\n| variable | purpose |\n| --- | --- |\n{''.join(rows)}")
    return "".join(parts)


def _listed(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split())


def _rows_of_logging() -> list[str]:
    """Return the rows of `configure_logging`, in the order of its signature.

    Arguments that are Loguru's, or objects, are not in the table of settings: their docstring says
    what they may be.
    """
    in_table = {setting.argument: setting for setting in table.taken_by(Taker.LOGGING)}
    words = read(configure_logging.__doc__).entries["Args"]
    rows = []
    for name, parameter in inspect.signature(configure_logging).parameters.items():
        if name in in_table:
            rows.append(_row(in_table[name]))
            continue
        default = parameter.default
        shown = LOGGING_DEFAULTS.get(name) or (f"`{default}`" if default is not None else "none")
        first = re.split(r"\.(?: |$)", words[name])[0]
        meaning = first[:1].lower() + first[1:].replace("; False ", "; false ")
        rows.append(f"| `{name}` |  | {meaning} | {LOGGING_ALLOWED[name]} | {shown} |")
    return rows


def _row(setting: Setting[Any]) -> str:
    variable = f"`{setting.variable}`" if setting.variable else ""
    cells = (f"`{setting.argument}`", variable, setting.meaning, setting.check.allowed)
    return f"| {' | '.join(cells)} | {_default(setting)} |"


def _default(setting: Setting[Any]) -> str:
    if setting.otherwise:
        return setting.otherwise
    value = setting.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value % 2**20 == 0:
        return f"{value >> 20} MiB"
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return f"`{value}`" if value else "none"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf8")
