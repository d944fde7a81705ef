"""Redacts secrets and telephone numbers in log lines and on spans.

A secret is recognized by its name (``api_key=…``) or by its form (``sk-…``), at any depth. The ids
that identify a conversation (of session, participant and user) are kept: they are needed to search.
"""

import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from pipecat_dd._phone_patterns import MIN_DIGITS, PHONE, PHONE_KEY, without_phone_numbers
from pipecat_dd.export.secrets import (
    EMAIL,
    EMAIL_ADDRESS,
    REDACTED,
    without_secrets,
)
from pipecat_dd.settings.checks import Switch, shown

_SECRET_NAME: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret(?!ar)|credential|authori[sz]ation|cookie"
    r"|api[-_. ]?key|private[-_. ]?key|access[-_. ]?key|signing[-_. ]?key",
    re.IGNORECASE,
)
# "token" counts as a word of its own (access_token, authToken, TOKENS), or bare at the end of
# an all-lower-case run (authtoken).
_TOKEN_NAME: Final = re.compile(r"(?:^|[-_. ]|(?<=[a-z])(?=T))[Tt]okens?(?![a-z])|TOKEN|token$")
_ID_NAME: Final = re.compile(r"(?:^|[-_. ])(?:s|uu|gu)?id$|ID$|[a-z0-9](?:Id|Sid|Uuid)$")
_SWITCH: Final = Switch()
_DIGIT: Final = re.compile(r"\d")
_CACHED_NAMES: Final = 4096
_CACHED_IDS: Final = 1024
_CACHED_TEXTS: Final = 1024
_SHORT_CHARS: Final = 32

Value = str | int | float | bool


class Secrecy(Enum):
    """What the name of a value says about the value."""

    NONE = "none"
    SECRET = "secret"
    """The value is hidden whatever it is."""
    TOKEN = "token"
    """Text is hidden, numbers are not: ``access_token`` is a secret, ``total_tokens`` none."""
    PHONE = "phone"
    """Anything with the digits of a telephone number is masked."""
    ID = "id"
    """An id: kept, even where it looks like a telephone number; a secret in it is not."""


class Redactor:
    r"""Removes secrets and telephone numbers from text and values.

    ``docs/security.md`` has the built-in rules. The arguments add to them; only the masking of
    telephone numbers can be turned off.

    Its time grows linearly with the length of a text, whatever the text holds. Whether that is
    also true of your own ``patterns`` and ``keys`` depends on them.

    Args:
        keys: Regular expressions for further names whose values are hidden. They are searched for
            in the name, ignoring case: ``["ssn", "^dob$"]``.
        patterns: Regular expressions for further secrets; each match becomes ``[redacted]``.
        phone_numbers: Whether to mask telephone numbers: international ones that begin with ``+``,
            and North American ones.
        email_addresses: Whether to mask e-mail addresses.
        callback: A function that is called last for each text, with the name of the value (None
            for the message and other text without one) and the text after the rules above. It
            returns the text to write. If it raises, the text becomes ``[redacted]``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A regular expression does not compile.

    Example::

        configure_logging(redact=Redactor(keys=["ssn"], patterns=[r"ORD-\d{6}"]))
    """

    __slots__ = (
        "_callback",
        "_clean",
        "_emails",
        "_ids",
        "_keys",
        "_names",
        "_patterns",
        "_phones",
    )

    def __init__(
        self,
        *,
        keys: Iterable[str | re.Pattern[str]] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        phone_numbers: bool = True,
        email_addresses: bool = False,
        callback: Callable[[str | None, str], str] | None = None,
    ) -> None:
        self._keys = _compiled(keys, "keys", re.IGNORECASE)
        self._patterns = _compiled(patterns, "patterns", 0)
        self._phones = _SWITCH("phone_numbers", phone_numbers, False)
        self._emails = _SWITCH("email_addresses", email_addresses, False)
        if callback is not None and not callable(callback):
            raise TypeError(
                f"callback={shown(callback)}: must be a function of (name, text), or None"
            )
        self._callback = callback
        self._names: dict[str, tuple[str, Secrecy]] = {}
        # Short texts found to be clean: names of models, operations, states come again and
        # again. Never one that was not: a secret is not kept here either.
        self._clean: set[str] = set()
        self._ids: set[str] = set()

    def judge(self, name: str) -> tuple[str, Secrecy]:
        """Return a value's name as it is written, and what it says about the value.

        A name is redacted like any text: a dict may be keyed by telephone number.
        """
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= _CACHED_NAMES:  # names made up at run time must not pile up
                self._names.clear()
            known = self._by_rules(name, Secrecy.NONE), self.secrecy(name)
            self._names[name] = known
        return known

    def secrecy(self, name: str) -> Secrecy:
        """Return what a value's name says about the value."""
        if _SECRET_NAME.search(name) or any(key.search(name) for key in self._keys):
            return Secrecy.SECRET
        if _TOKEN_NAME.search(name):
            return Secrecy.TOKEN
        if self._phones and PHONE_KEY.search(name):
            return Secrecy.PHONE
        if _ID_NAME.search(name):
            return Secrecy.ID
        return Secrecy.NONE

    def text(self, text: str, name: str | None = None) -> str:
        """Return a text without what must not leave the process.

        Args:
            text: Any text.
            name: The name of the value; None if it has none.
        """
        secrecy = Secrecy.NONE if name is None else self.judge(name)[1]
        if secrecy is Secrecy.SECRET or secrecy is Secrecy.TOKEN:
            return REDACTED
        if self._callback is not None:
            try:
                return str(self._callback(name, self._by_rules(text, secrecy)))
            except Exception:  # a user's rule that fails must fail closed
                return REDACTED
        if secrecy is not Secrecy.NONE or len(text) > _SHORT_CHARS:
            return self._by_rules(text, secrecy)
        if text in self._clean:
            return text
        redacted = self._by_rules(text, secrecy)
        if redacted == text:
            if len(self._clean) >= _CACHED_TEXTS:
                self._clean.clear()
            self._clean.add(text)
        return redacted

    def _by_rules(self, text: str, secrecy: Secrecy) -> str:
        text = without_secrets(text)
        for pattern in self._patterns:
            text = pattern.sub(REDACTED, text)
        if secrecy is Secrecy.ID:
            return text
        if self._phones:
            if secrecy is Secrecy.PHONE and len(_DIGIT.findall(text[:64])) >= MIN_DIGITS:
                return PHONE
            text = without_phone_numbers(text)
        if self._emails and "@" in text:
            text = EMAIL_ADDRESS.sub(EMAIL, text)
        return text

    def id(self, text: str) -> str:
        """Return an id: kept, unless it is itself a secret.

        The ids of a conversation stand on each of its lines, so the answer is remembered.
        """
        if text in self._ids:
            return text
        redacted = self.text(text, "id")
        if redacted == text:
            if len(self._ids) >= _CACHED_IDS:
                self._ids.clear()
            self._ids.add(text)
        return redacted


class NoRedaction(Redactor):
    """Lets everything pass: what ``configure_logging(redact=False)`` uses."""

    __slots__ = ()

    def secrecy(self, name: str) -> Secrecy:
        """Every name is harmless."""
        return Secrecy.NONE

    def text(self, text: str, name: str | None = None) -> str:
        """Return the text as it is."""
        return text

    def _by_rules(self, text: str, secrecy: Secrecy) -> str:
        return text


def _compiled(
    given: Iterable[str | re.Pattern[str]], argument: str, flags: int
) -> tuple[re.Pattern[str], ...]:
    if isinstance(given, (str, bytes, re.Pattern)) or not isinstance(given, Iterable):
        raise TypeError(f"{argument}={shown(given)}: must be a list of regular expressions")
    compiled = []
    for one in given:
        if isinstance(one, re.Pattern) and isinstance(one.pattern, str):
            compiled.append(one)
            continue
        if not isinstance(one, str):
            raise TypeError(
                f"{argument}: {shown(one)} must be a regular expression for text: a string or a "
                "compiled pattern"
            )
        if not one:
            raise ValueError(f"{argument}: '' must be a regular expression that is not empty")
        try:
            compiled.append(re.compile(one, flags))
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"{argument}: {shown(one)} must be a valid regular expression: {error}"
            ) from None
    return tuple(compiled)


class InForce:
    """The rules that `configure_logging` was given, else the built-in ones.

    What is no line (an error on a span, captured content) is redacted by the same rules as
    lines. That lines are not to be redacted (``redact=False``) is said of lines alone.
    """

    __slots__ = ()

    def text(self, text: str) -> str:
        """Return the text without what must not leave."""
        return _in_force.text(text)

    def name(self, name: str) -> str:
        """Return a value's name without what must not leave."""
        return _in_force.judge(name)[0]

    def value(self, name: str, value: Value) -> Value:
        """Return a value without what must not leave.

        Args:
            name: The name it stands under.
            value: The value. A number is text only where its name says that it must be hidden.
        """
        if isinstance(value, str):
            return _in_force.text(value, name)
        if isinstance(value, bool):
            return value
        hidden = _in_force.judge(name)[1] in (Secrecy.SECRET, Secrecy.PHONE)
        return _in_force.text(str(value), name) if hidden else value


_BUILT_IN: Final = Redactor()
_in_force: Redactor = _BUILT_IN


def put_in_force(redactor: Redactor | None) -> Redactor:
    """Have all that is no line redacted by these rules.

    Args:
        redactor: The rules; None, or those that let everything pass, for the built-in ones.

    Returns:
        Those that were in force before.
    """
    global _in_force
    before = _in_force
    if redactor is None or isinstance(redactor, NoRedaction):
        redactor = _BUILT_IN
    _in_force = redactor
    return before


def in_force() -> Redactor:
    """Return the rules that are in force."""
    return _in_force
