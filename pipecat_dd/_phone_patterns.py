"""Recognizes telephone numbers in log lines, in transports' texts, and as names or ids.

The same number can be written in many ways, and a row of digits is often something else. What
counts as a telephone number depends on where it is:

* Log lines are full of times, sizes and ids; only what is written like a telephone number counts
  (`without_phone_numbers`).
* In a transport's text about a participant, any number that is long enough may be the caller's
  (`without_long_numbers`).
* A name or an id is a telephone number if it holds nothing else (`digits_of`).
* Under a key that names a telephone (`PHONE_KEY`), anything with enough digits counts.

Each pattern takes time linear in the length of the text: runs of digits are bounded in length, or
a match can begin only at the start of a run.
"""

import re
from typing import Final

PHONE: Final = "[phone]"
"""Replaces a number in a log line."""

MIN_DIGITS: Final = 7
MAX_DIGITS: Final = 15
"""The greatest number of digits (E.164)."""

PHONE_KEY: Final = re.compile(r"phone|msisdn|caller[-_]?(?:id|number)$|^e164$", re.IGNORECASE)

# "+" and eight to fifteen digits (E.164), with the usual separators between them. Not after a
# letter or a digit: that is a time offset ("16:30:45+05:30") or a sum. In the URLs that HTTP
# clients and servers log, "+" is "%2B".
_WITH_PLUS: Final = re.compile(r"(?:(?<![\w+])\+|%2[Bb])[1-9](?:[ ().-]{0,3}\d){7,14}(?!\d)")
# North American numbers without "+". No area code or exchange begins with 0 or 1, which excludes
# Unix times and most counters. Not within a number, an id or a UUID.
_NATIONAL: Final = re.compile(
    r"(?<![\w.+-])(?:1[ .-]?)?(?:\([2-9]\d\d\)[ .-]?|[2-9]\d\d[ .-]?)[2-9]\d\d[ .-]?\d{4}"
    r"(?![\w-]|\.\d)"
)
_HINT: Final = re.compile(r"[0-9][0-9 ().-]{5,}[0-9]")

_LONG: Final = re.compile(r"(?<![\w.-])\+?\d[\d\s().\-]{5,18}\d(?![\w-])")

_WHOLE: Final = re.compile(r"\+?[\d\s().\-/]{7,24}")
_ADDRESS: Final = re.compile(
    r"(?:(?:sips?|tel|whatsapp|phone)[:_\-])?(\+?[^@\s;]{7,24})(?:[@;]\S*)?", re.I
)
_UUID_LIKE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-", re.I)
_NO_DIGIT: Final = re.compile(r"\D")


def without_phone_numbers(text: str) -> str:
    """Replace, in the text of a log line, whatever is written like a telephone number."""
    if _HINT.search(text) is None:
        return text
    if "+" in text or "%2" in text:
        text = _WITH_PLUS.sub(PHONE, text)
    return _NATIONAL.sub(PHONE, text)


def without_long_numbers(text: str) -> str:
    """Replace, in a transport's text, all numbers that may be a telephone number."""
    return _LONG.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    digits = sum(char.isdigit() for char in found.group())
    return "[number]" if MIN_DIGITS <= digits <= MAX_DIGITS else found.group()


def digits_of(text: str | None) -> str | None:
    """Return the digits of a name or id if it is a telephone number, else None.

    Args:
        text: The whole name or id: ``+1 555 0100 123``, ``sip:+15550100123@example.com``.
    """
    if not text or _UUID_LIKE.match(text):
        return None
    found = _ADDRESS.fullmatch(text.strip())
    number = found.group(1) if found else text.strip()
    if not _WHOLE.fullmatch(number):
        return None
    digits = _NO_DIGIT.sub("", number)
    return digits if MIN_DIGITS <= len(digits) <= MAX_DIGITS else None
