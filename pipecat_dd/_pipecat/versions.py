"""Which Pipecat is installed, and what it cannot do yet that a later one can.

:data:`CAME` is the one place for that: the line at the first session, the table in
``docs/versions.md`` and the tests that are left out on an older Pipecat go by it.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind, span_name

OLDEST = (1, 0)
"""The oldest Pipecat that is supported."""


@dataclass(frozen=True)
class Came:
    """Something that Pipecat can do from a version on.

    Attributes:
        version: That version, major and minor.
        what: What it is, as the line at the first session lists it.
        before: What is seen without it.
    """

    version: tuple[int, int]
    what: str
    before: str

    @property
    def since(self) -> str:
        """The version, as it is written."""
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
        f"no `{tags.METRICS_TTFA}`; a realtime service is known by its class's name",
    ),
    Came((1, 7), "seconds of audio transcribed", f"no `{tags.METRICS_AUDIO_SECONDS}`"),
    Came((1, 7), "key presses in LiveKit rooms", "no `on_dtmf_event` from LiveKit"),
    Came(
        (1, 8),
        "startup of each processor",
        f"`{span_name(Kind.STARTUP)}` is the pipeline's alone; the session's span begins with the "
        "first frame, and a bot whose `setup()` fails leaves none",
    ),
    Came(
        (1, 8),
        "ids on lines of a processor's setup()",
        "where one task makes several observers, lines that are written in a processor's "
        "`setup()` carry no ids",
    ),
    Came(
        (1, 8),
        "categories of errors",
        f"no `{tags.ERROR_CATEGORY}` and `{tags.PROCESSOR_USABLE}`; no `{tags.METRICS_TTFAT}`",
    ),
    Came(
        (1, 8),
        "answers to tools that raise or are late",
        "Pipecat tells the model nothing of a tool that raised, whose span stays open; one past "
        "its deadline is `completed`",
    ),
    Came(
        (1, 8),
        "the user's speech at OpenAI's realtime service",
        f"no `{span_name(Kind.USER_SPEECH)}` there, and a response can stand in the turn after "
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
        "Pipecat sends an observer each push of a frame, not only the first; we leave the "
        "others aside before they are queued",
    ),
    Came(
        (1, 14),
        "speakers in LiveKit rooms",
        "no `on_active_speaker_changed` from LiveKit",
    ),
)
"""What came with which version, oldest first, as far as it shows."""


def pipecat_version() -> str:
    """Return the version of Pipecat that is installed."""
    try:
        return package_version("pipecat-ai")
    except PackageNotFoundError:
        return "unknown"


def not_yet(version: str) -> list[Came]:
    """Return what a version of Pipecat cannot do yet.

    Args:
        version: The version, as of :func:`pipecat_version`. One that cannot be read as one is
            taken to be the newest.
    """
    try:
        major, minor = version.split(".")[:2]
        numbers = int(major), int(minor)
    except ValueError:
        return []
    return [came for came in CAME if numbers < came.version]
