"""Limits the number of values of each tag.

Datadog bills each combination of tags as a metric of its own. The tags here hold classes,
providers, models and functions, usually few. But a bot may use a model for every customer, and a
model may invent names of functions. So each tag has a limited number of values in a process; any
further value is sent as ``other``.
"""

import re

MAX_VALUES = 50
"""The most values that a tag has in one process."""

MAX_CHARS = 100
"""The most characters of a value. Datadog cuts a tag at 200, its name included."""

OTHER = "other"
"""The value sent for all values beyond the limit."""

WITHIN_SECS = (1, 2, 3, 5, 8)
"""The limits in seconds that a tag names, as `2s`: an answer came within that time."""

BEYOND = "later"
"""The tag's value for an answer that took longer than all of these."""

_OUTSIDE = re.compile(r"[^\w\-:/.]")
"""Characters that the client replaces by ``_``. They are replaced here before values are counted,
so that values which are sent alike count as one."""


def within(secs: float) -> str:
    """Return how soon an answer came, as one of few values: `1s`, `2s` … or `later`.

    Args:
        secs: From the end of the user's speech to the bot's voice, in seconds.
    """
    return next((f"{most}s" for most in WITHIN_SECS if secs <= most), BEYOND)


class Values:
    """The values that tags have had in this process.

    Args:
        limit: The most values of each tag.
    """

    def __init__(self, limit: int = MAX_VALUES) -> None:
        self._limit = limit
        self._seen: dict[str, set[str]] = {}

    def tag(self, name: str, value: object) -> str | None:
        """Return a tag as it is sent: ``name:value``.

        Args:
            name: The part before the colon.
            value: The part after it. For None or an empty text, None is returned.
        """
        if isinstance(value, bool):
            value = str(value).lower()
        text = _OUTSIDE.sub("_", str(value))[:MAX_CHARS] if value is not None else ""
        if not text:
            return None
        seen = self._seen.setdefault(name, set())
        if text not in seen:
            if len(seen) >= self._limit:
                return f"{name}:{OTHER}"
            seen.add(text)
        return f"{name}:{text}"
