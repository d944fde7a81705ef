"""Telephone numbers and what is keyed in on a telephone: what may be told of them.

A caller's number turns up where a name or an id is expected: Daily gives it as the name of
somebody who dialled in, LiveKit puts it into the identity. Numbers never leave the process; with
a key of the user's they leave as keyed hashes, by which the same caller is found again in
another session, and nobody without the key can tell who it is.
"""

import hashlib
import hmac
import secrets
from collections import deque

from pipecat_dd._phone_patterns import digits_of, without_long_numbers

HASH_CHARS = 32
"""How much of a hash is shown: 128 bits, as hexadecimal digits."""

RUN_NS = 5_000_000_000
"""How soon after another a key is part of what is being keyed in."""

SAME_PRESS_NS = 1_000_000_000
"""How soon after the event a key's frame comes: Pipecat pushes it once handlers are called."""


class PhoneNumbers:
    """Says of a text whether it is a telephone number, and what may be told instead."""

    def __init__(self, key: bytes | None = None) -> None:
        """Keep numbers back.

        Args:
            key: The user's key for hashes of numbers; without one there are none.
        """
        self._key = key
        # An id must stand for somebody even where no hash may: one that is good for this
        # session alone, and leads nobody back to the number.
        self._id_key = key or secrets.token_bytes(32)

    def found_in(self, text: str | None) -> str | None:
        """Return the digits of the telephone number that a name or id is, or None.

        Args:
            text: The name or id, whole: ``+1 555 0100 123``, ``sip:+15550100123@example.com``.
        """
        return digits_of(text)

    def hash_of(self, text: str | None) -> str | None:
        """Return the keyed hash of the number that a text is; None without key or number."""
        digits = self.found_in(text)
        return None if digits is None or self._key is None else _hash(self._key, digits)

    def id_of(self, raw: str) -> str:
        """Return an id as it may be shown: itself, or a stand-in where it is a number."""
        digits = self.found_in(raw)
        return raw if digits is None else f"caller-{_hash(self._id_key, digits)}"

    def masked(self, text: str) -> str:
        """Return a text with the numbers in it left out."""
        return without_long_numbers(text)


def _hash(key: bytes, digits: str) -> str:
    return hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:HASH_CHARS]


class DtmfPrivacy:
    """What is keyed in: a choice from a menu may be told, a number that is entered may not.

    One key by itself says where a caller went. Several in a row are a card's number or a PIN:
    from the second on they are left out.

    Some transports report a key twice, as an event and as a frame: it is pressed once.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._announced: deque[tuple[str, int]] = deque(maxlen=32)

    def announce(self, tone: str, at_ns: int) -> None:
        """An event reports a key, and a frame may follow that reports it again.

        Args:
            tone: The key.
            at_ns: When it was pressed.
        """
        self._announced.append((tone, at_ns))

    def is_repeated(self, tone: str, at_ns: int) -> bool:
        """Whether a frame reports what an event has reported; each event stands for one frame.

        Args:
            tone: The key.
            at_ns: When the frame came.
        """
        for known in self._announced:
            if known[0] == tone and at_ns - known[1] < SAME_PRESS_NS:
                self._announced.remove(known)
                return True
        return False

    def permitted(self, tone: str, at_ns: int) -> str | None:
        """Return the tone if it may be told.

        Args:
            tone: The key.
            at_ns: When it was pressed.
        """
        before, self._last_ns = self._last_ns, at_ns
        in_a_row = before is not None and at_ns - before < RUN_NS
        return None if in_a_row and tone.isdigit() else tone
