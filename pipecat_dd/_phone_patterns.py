"""What a telephone number looks like: in a line, in a transport's words, and as a name or an id.

One number is written in many ways, and digits are often no telephone number. What is taken for one
depends on where it stands:

* In lines (`without_phone_numbers`) times, sizes and ids are everywhere: only what is written as a
  telephone number counts.
* In what a transport says of a participant (`without_long_numbers`) any number that is long enough
  may be the caller's.
* A name or an id (`digits_of`) is a telephone number if it holds nothing else.
* Under a key that names a telephone (`PHONE_KEY`) whatever has enough digits counts.

Every pattern takes time that grows with the length of the text and no faster: runs are bounded, or
begin where the character before rules out another start in the same run.
"""

import re
from typing import Final

PHONE: Final = "[phone]"
"""What stands for a number in a line."""

MIN_DIGITS: Final = 7
MAX_DIGITS: Final = 15
"""The most digits that a number has (E.164)."""

PHONE_KEY: Final = re.compile(r"phone|msisdn|caller[-_]?(?:id|number)$|^e164$", re.IGNORECASE)

# "+" and eight to fifteen digits (E.164), with the separators people write between them. Not
# after a word or a digit: that is an offset ("16:30:45+05:30") or a sum. In the URLs that HTTP
# clients and servers log, "+" is "%2B".
_WITH_PLUS: Final = re.compile(r"(?:(?<![\w+])\+|%2[Bb])[1-9](?:[ ().-]{0,3}\d){7,14}(?!\d)")
# North American numbers without "+": the plan has no area code or exchange that begins with 0
# or 1, which keeps Unix times and most counters out. Not within a number, an id or a UUID.
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
    """Return a line's text without what is written as a telephone number."""
    if _HINT.search(text) is None:
        return text
    if "+" in text or "%2" in text:
        text = _WITH_PLUS.sub(PHONE, text)
    return _NATIONAL.sub(PHONE, text)


def without_long_numbers(text: str) -> str:
    """Return a text without the numbers in it that may be a telephone's."""
    return _LONG.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    digits = sum(char.isdigit() for char in found.group())
    return "[number]" if MIN_DIGITS <= digits <= MAX_DIGITS else found.group()


def digits_of(text: str | None) -> str | None:
    """Return the digits of the telephone number that a name or id is, or None.

    Args:
        text: The name or id, whole: ``+1 555 0100 123``, ``sip:+15550100123@example.com``.
    """
    if not text or _UUID_LIKE.match(text):
        return None
    found = _ADDRESS.fullmatch(text.strip())
    number = found.group(1) if found else text.strip()
    if not _WHOLE.fullmatch(number):
        return None
    digits = _NO_DIGIT.sub("", number)
    return digits if MIN_DIGITS <= len(digits) <= MAX_DIGITS else None
