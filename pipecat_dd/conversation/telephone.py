"""Decides what may be reported of telephone numbers and pressed keys.

A caller's number turns up where a name or an id is expected: Daily uses it as the name of a
participant who dialled in, LiveKit puts it into the identity. Numbers never leave the process. If
the user sets a key, keyed hashes of them do: these identify the same caller in another session, but
without the key they reveal nothing about who it is.
"""

import hashlib
import hmac
import secrets
from collections import deque

from pipecat_dd._phone_patterns import digits_of, without_long_numbers

HASH_CHARS = 32
"""How much of a hash is reported: 128 bits, as hexadecimal digits."""

RUN_NS = 5_000_000_000
"""How soon after another a key counts as part of the same input."""

SAME_PRESS_NS = 1_000_000_000
"""How soon after the event a key's frame comes: Pipecat pushes it after calling the handlers."""


class PhoneNumbers:
    """Detects telephone numbers in texts, and replaces them by what may be reported."""

    def __init__(self, key: bytes | None = None) -> None:
        """Hide numbers.

        Args:
            key: The user's key for hashes of numbers; None for no hashes.
        """
        self._key = key
        # An id must identify its participant even where no hash may be reported. This one is
        # valid only in this session and does not lead back to the number.
        self._id_key = key or secrets.token_bytes(32)

    def found_in(self, text: str | None) -> str | None:
        """Return the digits of the telephone number that a name or id consists of, or None.

        Args:
            text: The whole name or id: ``+1 555 0100 123``, ``sip:+15550100123@example.com``.
        """
        return digits_of(text)

    def hash_of(self, text: str | None) -> str | None:
        """Return the keyed hash of the number that a text is; None if there is no key or number."""
        digits = self.found_in(text)
        return None if digits is None or self._key is None else _hash(self._key, digits)

    def id_of(self, raw: str) -> str:
        """Return an id as it may be reported: unchanged, or a stand-in if it is a number."""
        digits = self.found_in(raw)
        return raw if digits is None else f"caller-{_hash(self._id_key, digits)}"

    def masked(self, text: str) -> str:
        """Return a text without the numbers in it."""
        return without_long_numbers(text)


def _hash(key: bytes, digits: str) -> str:
    return hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:HASH_CHARS]


class DtmfPrivacy:
    """Decides which keys may be reported: choices from a menu, but not numbers that are entered.

    A single key shows which option of a menu the caller chose. Several in a row may be a card's
    number or a PIN: from the second one on they are left out.

    Some transports report a key twice, as an event and as a frame; it is counted once.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._announced: deque[tuple[str, int]] = deque(maxlen=32)

    def announce(self, tone: str, at_ns: int) -> None:
        """Record that an event reports a key; a frame that reports it again may follow."""
        self._announced.append((tone, at_ns))

    def is_repeated(self, tone: str, at_ns: int) -> bool:
        """Whether a frame repeats what an event has reported; each event matches one frame."""
        for known in self._announced:
            if known[0] == tone and at_ns - known[1] < SAME_PRESS_NS:
                self._announced.remove(known)
                return True
        return False

    def permitted(self, tone: str, at_ns: int) -> str | None:
        """Return the tone if it may be reported, else None."""
        before, self._last_ns = self._last_ns, at_ns
        in_a_row = before is not None and at_ns - before < RUN_NS
        return None if in_a_row and tone.isdigit() else tone
