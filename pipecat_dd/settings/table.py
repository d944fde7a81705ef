"""The table of all settings: argument, variable, check, default and meaning of each.

`Setting.read` returns the argument, else the environment variable, else the default. To add a
setting, add it here, and read it in the function that takes it as an argument.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd.names.tags import MAX_TAG_NAME_CHARS, RESERVED_TAGS
from pipecat_dd.settings.checks import (
    AnyText,
    Choice,
    Count,
    Directory,
    Key,
    Number,
    Switch,
    Text,
)
from pipecat_dd.settings.choices import FrameSpans, LineFormat, SampledBy, Severity, TraceScope
from pipecat_dd.settings.setting import Setting, Taker
from pipecat_dd.settings.special_checks import (
    ApiKey,
    IntakeUrl,
    LineTags,
    LLMObsSwitch,
    MetricsSwitch,
    Parent,
    Site,
    SpanTags,
    Transports,
)

if TYPE_CHECKING:
    from pipecat_dd._ddtrace import Context

ENV_PREFIX: Final = "PIPECAT_DD_"
"""The prefix of this package's own environment variables."""

LINES_ARE_NOT_SHIPPED: Final = "Lines are not shipped"
"""What happens if a variable for the lines' destination is invalid."""

MAX_SESSION_ID_CHARS: Final = 200
INTAKE_PATH: Final = "/api/v2/logs"
"""The path of Datadog's log intake."""

MAX_LINE_BYTES: Final = 25_000
"""The greatest size of a line, including its end: Datadog recommends at most 25 kB
(https://docs.datadoghq.com/logs/log_collection/#custom-log-forwarding)."""
LEAST_LINE_BYTES: Final = 2_048
"""The smallest limit that can be set: a line's ids fit into it."""

# DatadogObserver()

SESSION_ID: Final[Setting[str | None]] = Setting(
    argument="session_id",
    variable="PIPECAT_DD_SESSION_ID",
    taker=Taker.OBSERVER,
    check=Text(MAX_SESSION_ID_CHARS),
    default=None,
    otherwise="the id set in Loguru or by Pipecat's runner, else a new UUID",
    meaning="the session's id",
)
NAME: Final[Setting[str]] = Setting(
    argument="name",
    variable="PIPECAT_DD_NAME",
    taker=Taker.OBSERVER,
    check=Text(100),
    default="pipecat-bot",
    otherwise="`DD_SERVICE`, else `pipecat-bot`",
    meaning="the bot's name, the resource of the session's span",
)
TAGS: Final[Setting[Mapping[str, str]]] = Setting(
    argument="tags",
    variable="PIPECAT_DD_TAGS",
    taker=Taker.OBSERVER,
    check=SpanTags(RESERVED_TAGS, MAX_TAG_NAME_CHARS),
    default=MappingProxyType({}),
    meaning="tags on every span of the session",
)
PARENT: Final[Setting["Context | None"]] = Setting(
    argument="parent",
    variable=None,
    taker=Taker.OBSERVER,
    check=Parent(),
    default=None,
    meaning="a remote parent whose trace the session continues",
)
CAPTURE_CONTENT: Final[Setting[bool]] = Setting(
    argument="capture_content",
    variable="PIPECAT_DD_CAPTURE_CONTENT",
    taker=Taker.OBSERVER,
    check=Switch(),
    default=False,
    meaning="whether transcripts, prompts, replies, tool arguments and results are sent",
)
TURN_END_TIMEOUT_SECS: Final[Setting[float]] = Setting(
    argument="turn_end_timeout_secs",
    variable="PIPECAT_DD_TURN_END_TIMEOUT_SECS",
    taker=Taker.OBSERVER,
    check=Number(unit="seconds", above=0, most=3600),
    default=2.5,
    meaning="how long the bot must be silent before a turn ends",
)
FRAME_SPANS: Final[Setting[FrameSpans]] = Setting(
    argument="frame_spans",
    variable="PIPECAT_DD_FRAME_SPANS",
    taker=Taker.OBSERVER,
    check=Choice(FrameSpans),
    default=FrameSpans.NOTABLE,
    meaning="which frame processing gets a span",
)
SLOW_FRAME_MS: Final[Setting[float]] = Setting(
    argument="slow_frame_ms",
    variable="PIPECAT_DD_SLOW_FRAME_MS",
    taker=Taker.OBSERVER,
    check=Number(unit="milliseconds", most=60_000),
    default=10.0,
    meaning="how long the processing of a frame must take to count as slow",
)
TRACE_SCOPE: Final[Setting[TraceScope]] = Setting(
    argument="trace_scope",
    variable="PIPECAT_DD_TRACE_SCOPE",
    taker=Taker.OBSERVER,
    check=Choice(TraceScope),
    default=TraceScope.SESSION,
    meaning="whether the session or each turn is one trace",
)
TRANSPORT: Final[Setting[tuple[Any, ...]]] = Setting(
    argument="transport",
    variable=None,
    taker=Taker.OBSERVER,
    check=Transports(),
    default=(),
    meaning="transports that cannot be found from the pipeline",
)
PARTICIPANT_NAMES: Final[Setting[bool]] = Setting(
    argument="participant_names",
    variable="PIPECAT_DD_PARTICIPANT_NAMES",
    taker=Taker.OBSERVER,
    check=Switch(),
    default=True,
    meaning="whether participants' names are sent; their ids always are",
)
PHONE_HASH_KEY: Final[Setting[bytes | None]] = Setting(
    argument="phone_hash_key",
    variable="PIPECAT_DD_PHONE_HASH_KEY",
    taker=Taker.OBSERVER,
    check=Key(16),
    default=None,
    otherwise="no hashes",
    meaning="the key for hashes of telephone numbers, which are never sent themselves",
)
LLMOBS: Final[Setting[bool | None]] = Setting(
    argument="llmobs",
    variable="PIPECAT_DD_LLMOBS",
    taker=Taker.OBSERVER,
    check=LLMObsSwitch(),
    default=None,
    otherwise="on if `DD_LLMOBS_ENABLED` or your code has turned LLM Observability on",
    meaning="whether the session also appears in LLM Observability",
)
METRICS: Final[Setting[bool]] = Setting(
    argument="metrics",
    variable="PIPECAT_DD_METRICS",
    taker=Taker.OBSERVER,
    check=MetricsSwitch(),
    default=False,
    meaning="whether metrics are sent to DogStatsD",
)
BLOCKED_MS: Final[Setting[float]] = Setting(
    argument="blocked_ms",
    variable="PIPECAT_DD_BLOCKED_MS",
    taker=Taker.OBSERVER,
    check=Number(unit="milliseconds", least=20, most=60_000, has_zero=True),
    default=100.0,
    meaning="how long the event loop must stand still for that to be reported; 0 turns it off",
)

# configure_logging(). Its levels, rules and sinks are Loguru's, or classes of the user's, which
# check them: `pipecat_dd.export.logs.arguments`.

FORMAT: Final[Setting[LineFormat]] = Setting(
    argument="format",
    variable=None,
    taker=Taker.LOGGING,
    check=Choice(LineFormat),
    default=LineFormat.JSON,
    meaning="whether lines are written for Datadog or for people",
)
SAMPLE_BY: Final[Setting[SampledBy]] = Setting(
    argument="sample_by",
    variable=None,
    taker=Taker.LOGGING,
    check=Choice(SampledBy),
    default=SampledBy.SESSION,
    meaning="whether `sample` keeps all of a session's lines or none, or decides for each line",
)
LINE_CONTENT: Final[Setting[bool | None]] = Setting(
    argument="capture_content",
    variable=None,
    taker=Taker.LOGGING,
    check=Switch(),
    default=None,
    otherwise="as set for the session's observer",
    meaning="whether Pipecat's own lines keep transcripts, prompts and tool arguments",
)
INTERCEPT_STDLIB: Final[Setting[bool]] = Setting(
    argument="intercept_stdlib",
    variable=None,
    taker=Taker.LOGGING,
    check=Switch(),
    default=True,
    meaning="whether the standard library's `logging` and `warnings` are included",
)
MAX_MESSAGE_CHARS: Final[Setting[int | None]] = Setting(
    argument="max_message_chars",
    variable=None,
    taker=Taker.LOGGING,
    check=Count(unit="characters", least=1, is_whole=True),
    default=None,
    otherwise="as many as fit into a line",
    meaning="how many characters of a message are kept",
)
ENQUEUE: Final[Setting[bool]] = Setting(
    argument="enqueue",
    variable=None,
    taker=Taker.LOGGING,
    check=Switch(),
    default=False,
    meaning="whether a thread of Loguru's writes the lines",
)

LINE_BYTES: Final[Setting[int]] = Setting(
    argument="max_line_bytes",
    variable="PIPECAT_DD_MAX_LINE_BYTES",
    taker=Taker.LOGGING,
    check=Count(unit="bytes", least=LEAST_LINE_BYTES, most=MAX_LINE_BYTES, is_whole=True),
    default=MAX_LINE_BYTES,
    otherwise=f"{MAX_LINE_BYTES}; 16384 where a container runtime splits lines",
    meaning="the greatest size of a line, including its end",
)
SHIP: Final[Setting[bool]] = Setting(
    argument="ship",
    variable="PIPECAT_DD_SHIP",
    taker=Taker.LOGGING,
    check=Switch(),
    default=False,
    meaning="whether lines are also sent to Datadog, without an Agent",
)

# Shipping()

API_KEY: Final[Setting[str | None]] = Setting(
    argument="api_key",
    variable="DD_API_KEY",
    taker=Taker.SHIPPING,
    check=ApiKey(),
    default=None,
    otherwise="none: lines are not shipped without one",
    meaning="the API key",
)
SITE: Final[Setting[str]] = Setting(
    argument="site",
    variable="DD_SITE",
    taker=Taker.SHIPPING,
    check=Site(),
    default="datadoghq.com",
    meaning="the Datadog site",
    effect=LINES_ARE_NOT_SHIPPED,
    has_stand_in=False,
)
URL: Final[Setting[str]] = Setting(
    argument="url",
    variable="PIPECAT_DD_SHIP_URL",
    taker=Taker.SHIPPING,
    check=IntakeUrl(INTAKE_PATH),
    default="",
    otherwise="the site's intake",
    meaning="where lines are sent instead of the site's intake",
    effect=LINES_ARE_NOT_SHIPPED,
    has_stand_in=False,
)
SOURCE: Final[Setting[str]] = Setting(
    argument="source",
    variable="PIPECAT_DD_SHIP_SOURCE",
    taker=Taker.SHIPPING,
    check=Text(200),
    default="python",
    meaning="the lines' source (`ddsource`), by which Datadog chooses a pipeline",
)
LINE_TAGS: Final[Setting[Mapping[str, str]]] = Setting(
    argument="tags",
    variable="PIPECAT_DD_SHIP_TAGS",
    taker=Taker.SHIPPING,
    check=LineTags(),
    default=MappingProxyType({}),
    meaning="tags on every line, in addition to `env`, `version` and those of `DD_TAGS`",
)
HOSTNAME: Final[Setting[str]] = Setting(
    argument="hostname",
    variable="DD_HOSTNAME",
    taker=Taker.SHIPPING,
    check=Text(200),
    default="",
    otherwise="the machine's name",
    meaning="the lines' host",
)
FLUSH_INTERVAL_SECS: Final[Setting[float]] = Setting(
    argument="flush_interval_secs",
    variable="PIPECAT_DD_SHIP_FLUSH_INTERVAL_SECS",
    taker=Taker.SHIPPING,
    check=Number(unit="seconds", above=0, most=60),
    default=2.0,
    meaning="how long a line may wait so that several are sent together",
)
TIMEOUT_SECS: Final[Setting[float]] = Setting(
    argument="timeout_secs",
    variable="PIPECAT_DD_SHIP_TIMEOUT_SECS",
    taker=Taker.SHIPPING,
    check=Number(unit="seconds", above=0, most=60),
    default=10.0,
    meaning="how long the intake may take to accept a connection, and to answer",
)
MAX_MEMORY_BYTES: Final[Setting[int]] = Setting(
    argument="max_memory_bytes",
    variable="PIPECAT_DD_SHIP_MAX_MEMORY_BYTES",
    taker=Taker.SHIPPING,
    check=Count(unit="bytes", least=2**20),
    default=32 * 2**20,
    meaning="how much memory waiting lines may take",
)
SPOOL_DIR: Final[Setting[Path | None]] = Setting(
    argument="spool_dir",
    variable="PIPECAT_DD_SHIP_SPOOL_DIR",
    taker=Taker.SHIPPING,
    check=Directory(),
    default=None,
    otherwise="none: they wait in memory",
    meaning="a directory for lines that cannot be sent now",
)
MAX_SPOOL_BYTES: Final[Setting[int]] = Setting(
    argument="max_spool_bytes",
    variable="PIPECAT_DD_SHIP_MAX_SPOOL_BYTES",
    taker=Taker.SHIPPING,
    check=Count(unit="bytes", least=2**22),
    default=256 * 2**20,
    meaning="how much disk space the lines in that directory may take, compressed",
)

# The setup file, which observes a bot that has no code of ours

LOG_TO: Final[Setting[str]] = Setting(
    argument="log_to",
    variable="PIPECAT_DD_LOG_TO",
    taker=Taker.SETUP_FILE,
    check=AnyText("`stdout`, `stderr`, `off` or the path of a file"),
    default="",
    otherwise="`stdout` if the bot has not set up Loguru itself, else `off`",
    meaning="where lines go, beside the bot's own sinks",
)
LOG_LEVEL: Final[Setting[Severity]] = Setting(
    argument="log_level",
    variable="PIPECAT_DD_LOG_LEVEL",
    taker=Taker.SETUP_FILE,
    check=Choice(Severity),
    default=Severity.INFO,
    meaning="the lowest severity of lines that go there",
)

# The command line

API_URL: Final[Setting[str]] = Setting(
    argument="--api-url",
    variable="PIPECAT_DD_API_URL",
    taker=Taker.COMMAND_LINE,
    check=AnyText("a URL"),
    default="",
    otherwise="the site's API",
    meaning="the URL of Datadog's API, for a proxy or PrivateLink",
)

SETTINGS: Final[tuple[Setting[Any], ...]] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Setting)
)
"""All settings."""

VARIABLES: Final[Mapping[str, Setting[Any]]] = {
    setting.variable: setting for setting in SETTINGS if setting.variable is not None
}
"""All settings that a variable can set, by the variable's name."""


def taken_by(taker: Taker) -> tuple[Setting[Any], ...]:
    """Return the settings of one taker, in the table's order."""
    return tuple(setting for setting in SETTINGS if setting.taker is taker)
