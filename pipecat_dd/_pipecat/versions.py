"""Determines the installed version of Pipecat, and which later features it lacks.

:data:`CAME` is the only list of these features. The log line at the first session, the table in
``docs/versions.md`` and the tests skipped on an older Pipecat are based on it.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind, span_name

OLDEST = (1, 0)
"""The oldest supported version of Pipecat."""


@dataclass(frozen=True)
class Came:
    """A feature that Pipecat has from a certain version on.

    Attributes:
        version: That version, major and minor.
        what: The feature, as named in the log line at the first session.
        before: What is different without it.
    """

    version: tuple[int, int]
    what: str
    before: str

    @property
    def since(self) -> str:
        """The version as text."""
        return ".".join(map(str, self.version))


CAME = (
    Came(
        (1, 3),
        "several workers in one conversation",
        f"a bot has one worker; there is no `{tags.CONVERSATION_ID}` on "
        f"`{span_name(Kind.SESSION)}`",
    ),
    Came(
        (1, 5),
        "time to first audio",
        f"no `{tags.METRICS_TTFA}`; realtime services are recognized by their classes' names",
    ),
    Came((1, 7), "seconds of audio transcribed", f"no `{tags.METRICS_AUDIO_SECONDS}`"),
    Came((1, 7), "key presses in LiveKit rooms", "no `on_dtmf_event` from LiveKit"),
    Came(
        (1, 8),
        "startup of each processor",
        f"`{span_name(Kind.STARTUP)}` covers the pipeline only; the session's span begins with "
        "the first frame, and a bot whose `setup()` fails has no session's span",
    ),
    Came(
        (1, 8),
        "ids on lines of a processor's setup()",
        "if one task creates several observers, lines written in a processor's `setup()` carry no "
        "ids",
    ),
    Came(
        (1, 8),
        "categories of errors",
        f"no `{tags.ERROR_CATEGORY}` and `{tags.PROCESSOR_USABLE}`; no `{tags.METRICS_TTFAT}`",
    ),
    Came(
        (1, 8),
        "answers to tools that raise or are late",
        "Pipecat does not report to the model that a tool raised, and the tool's span stays open; "
        "a tool past its deadline is `completed`",
    ),
    Came(
        (1, 8),
        "the user's speech at OpenAI's realtime service",
        f"no `{span_name(Kind.USER_SPEECH)}` there, and a response can appear in the turn after "
        "its own",
    ),
    Came(
        (1, 9),
        "inference before the user has finished",
        f"no `{tags.LLM_SPECULATIVE}`",
    ),
    Came(
        (1, 12),
        "first pushes only",
        "Pipecat sends an observer each push of a frame, not only the first; we drop the others "
        "before they are queued",
    ),
    Came(
        (1, 14),
        "speakers in LiveKit rooms",
        "no `on_active_speaker_changed` from LiveKit",
    ),
)
"""The features of later versions that make a visible difference, oldest first."""


@cache
def pipecat_version() -> str:
    """Return the installed version of Pipecat; reading it takes a millisecond the first time."""
    try:
        return package_version("pipecat-ai")
    except PackageNotFoundError:
        return "unknown"


def not_yet(version: str) -> list[Came]:
    """Return the features that a version of Pipecat lacks.

    Args:
        version: As returned by :func:`pipecat_version`. If it cannot be parsed, it counts as the
            newest.
    """
    try:
        major, minor = version.split(".")[:2]
        numbers = int(major), int(minor)
    except ValueError:
        return []
    return [came for came in CAME if numbers < came.version]
