"""The patterns of secrets and e-mail addresses in text.

Every rule is built so that its time grows with the length of the text and no faster, whatever
the text: a run of any length either follows a fixed prefix and then always matches (so it is
consumed, and no later position scans it again), or is bounded, or begins where the character
before it rules out another start in the same run. A rule also names words that a text must
hold for the rule to apply; looking for a word costs tens of nanoseconds, so a line with
nothing to hide costs about a microsecond.
"""

import re
from dataclasses import dataclass
from typing import Final

REDACTED: Final = "[redacted]"
EMAIL: Final = "[email]"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of thing to take out of a text.

    Attributes:
        words: The rule applies to texts that hold one of these.
        pattern: What to take out.
        replacement: What to put there, as in `re.sub`.
    """

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


# The value after "password=", '"api_key": ' and the like: quoted (the closing quote may be
# missing where a text was cut), a list or the like of any such, or up to what ends a value.
_VALUE: Final = (
    r"""(?:[bru]?\\*"[^"\\\n]{1,2000}|[bru]?\\*'[^'\\\n]{1,2000}"""
    r"""|\[[^\[\]\n]{0,2000}\]?|\{[^{}\n]{0,2000}\}?|\([^()\n]{0,2000}\)?"""
    r"""|[^\s"'\\,;&)}\]]+)"""
)
_SCHEME: Final = r"(?:(?:basic|bearer|token|digest|apikey|negotiate)[ \t]{1,8})?"
# From the name to the value: a closing quote, what is left of a name ("_value"), "=" or ":".
_TO_VALUE: Final = r"""[\w-]{0,40}\\{0,4}["']?[ \t]{0,8}[=:][ \t]{0,8}"""

# Rules for texts with "=" or ":" in them.
_AFTER_A_NAME: Final = (
    # user:password@ of a URL; up to the last "@" of the authority, since passwords hold "@".
    Rule(("://",), re.compile(r"""://[^\s/?#"'<>]*@"""), f"://{REDACTED}@"),
    Rule(
        ("cookie",),
        re.compile(r"""(?i)(cookie["']?[ \t]{0,8}[:=][ \t]{0,8})[^\r\n]+"""),
        rf"\g<1>{REDACTED}",
    ),
    Rule(
        ("pass", "secret", "credential", "authorization", "key"),
        re.compile(
            r"(?i)((?:passw(?:or)?d|passphrase|secret(?!ar)|credentials?|authorization"
            r"|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key)" + _TO_VALUE + ")"
            r"(?!\\*[\"']?\[redacted\])" + _SCHEME + _VALUE
        ),
        rf"\g<1>{REDACTED}",
    ),
    # "token=…", but not "first token: 0.35s" or "tokens: 12": those are measures.
    Rule(
        ("token",),
        re.compile(
            r"""(?i)(token\\{0,4}["']?[ \t]{0,8}[=:][ \t]{0,8})"""
            r"(?!\\*[\"']?\[redacted\]|None\b|null\b|-?[\d.]{1,30}(?:[a-zµ%]{0,3})(?![\w-]))"
            + _SCHEME
            + _VALUE
        ),
        rf"\g<1>{REDACTED}",
    ),
)

# Pairs, as HTTP headers are written out: (b'x-api-key', b'…').
_PAIR: Final = Rule(
    ("pass", "secret", "credential", "authorization", "key", "token", "cookie"),
    re.compile(
        r"""(?i)(\(b?["'][\w-]{0,40}?(?:passw(?:or)?d|passphrase|secret(?!ar)|credential"""
        r"""|authorization|api[-_]?key|private[-_]?key|access[-_]?key|token|cookie)[\w-]{0,40}["'],"""
        r"""[ ]{0,4}b?["'])[^"'\n]{1,2000}"""
    ),
    rf"\g<1>{REDACTED}",
)

_BEARER: Final = Rule(
    ("bearer",),
    re.compile(
        r"(?i)(\bbearer[ \t]{1,8})"
        r"(?!(?:tokens?|auth\w*|scheme|header|is|was|of|in|and|or|for|the|not|must|required)\b)"
        r"[\w.~+/=-]{3,}"
    ),
    rf"\g<1>{REDACTED}",
)

# Rules for texts with "-" or "_" in them, by words in their own case.
_WITH_A_DASH: Final = (
    # PEM blocks, up to the end of the text where it was cut.
    Rule(
        ("PRIVATE KEY-----",),
        re.compile(
            r"(?s)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)"
        ),
        REDACTED,
    ),
    # Keys that say whose they are: OpenAI, Anthropic, Cartesia … (sk-, sk_), Groq, Stripe.
    Rule(
        ("sk-", "sk_", "rk_"),
        re.compile(r"(?<![A-Za-z0-9])(?:g?sk|rk)[-_][\w-]{8,}"),
        REDACTED,
    ),
    # GitHub, GitLab, Slack, Hugging Face.
    Rule(
        ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xox", "hf_"),
        re.compile(r"(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|(?<![A-Za-z0-9_])hf_)[\w-]{10,}"),
        REDACTED,
    ),
)

# Rules for any text, by words in their own case.
_ANYWHERE: Final = (
    # JWTs, whole or cut: base64 of '{"'. Every run of nine or more is taken.
    Rule(("eyJ",), re.compile(r"eyJ[\w-]{6,}={0,2}(?:\.[\w-]{2,}={0,2}){0,4}\.?"), REDACTED),
    # AWS access key ids (and the session kind).
    Rule(
        ("AKIA", "ASIA"),
        re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{12,}"),
        REDACTED,
    ),
    # Google.
    Rule(("AIza",), re.compile(r"AIza[\w-]{10,}"), REDACTED),
)

# At most 64 characters before the "@" (RFC 5321), so a long word is not scanned once more
# from each of its letters.
EMAIL_ADDRESS: Final = re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


def without_secrets(text: str) -> str:
    """Return a text without what looks like a secret."""
    text = _apply(_ANYWHERE, text, text)
    if "-" in text or "_" in text:
        text = _apply(_WITH_A_DASH, text, text)
    low = text.lower()
    if ":" in low or "=" in low:
        text = _apply(_AFTER_A_NAME, text, low)
    if "(" in low:
        text = _apply((_PAIR,), text, low)
    if "bearer" in low:
        text = _BEARER.pattern.sub(_BEARER.replacement, text)
    return text


def _apply(rules: tuple[Rule, ...], text: str, searched: str) -> str:
    for rule in rules:
        for word in rule.words:
            if word in searched:
                text = rule.pattern.sub(rule.replacement, text)
                break
    return text
