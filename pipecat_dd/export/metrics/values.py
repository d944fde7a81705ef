"""Tags of few values, whatever is put into them.

Each combination of tags is a metric of its own to Datadog, and is billed as one. What stands in
a tag here is a class, a provider, a model, a function: few by nature. But a bot may have a model
for every customer, and a model may make a function's name up. So each tag has room for so many
values in a process; what comes after those is ``other``.
"""

import re

MAX_VALUES = 50
"""How many values a tag may have in one process."""

MAX_CHARS = 100
"""How long a value may be; Datadog cuts a tag at 200 characters, its name included."""

OTHER = "other"
"""What stands for every value that there was no room for."""

WITHIN_SECS = (1, 2, 3, 5, 8)
"""The seconds within which an answer may have come, as a tag says it: `2s`."""

BEYOND = "later"
"""What the tag says of an answer that took longer than all of these."""

_OUTSIDE = re.compile(r"[^\w\-:/.]")
"""What the client writes as ``_``. Done before values are counted, so that those are alike."""


def within(secs: float) -> str:
    """Return how soon an answer came, as one of few values: `1s`, `2s` … or `later`.

    Args:
        secs: From the end of the user's speech to the bot's voice, in seconds.
    """
    return next((f"{most}s" for most in WITHIN_SECS if secs <= most), BEYOND)


class Values:
    """The values that tags have had in this process."""

    def __init__(self, limit: int = MAX_VALUES) -> None:
        """Keep values.

        Args:
            limit: How many a tag may have.
        """
        self._limit = limit
        self._seen: dict[str, set[str]] = {}

    def tag(self, name: str, value: object) -> str | None:
        """Return a tag as it is sent; None where there is nothing to say.

        Args:
            name: The tag's name.
            value: Its value. None and the empty text are none.
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
