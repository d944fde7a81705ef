"""Remove secrets from findings: users paste the doctor's report into tickets and chats."""

import re
from collections.abc import Mapping
from dataclasses import replace

from pipecat_dd.cli.doctor.finding import Fact, Finding
from pipecat_dd.export.secrets import REDACTED, without_secrets

_NAMES_A_SECRET = re.compile(r"(?i)key|token|secret|passw|credential|auth(?!or)|cookie")
# A key in the wrong variable, such as DD_SITE; a version may be a commit, which looks the same.
_TAKES_NO_SECRET = re.compile(r"(?:PIPECAT_)?DD_(?!VERSION|GIT_|TAGS|.*(?:SHA|COMMIT))")
_LOOKS_LIKE_A_KEY = re.compile(r"[0-9a-fA-F]{32,}")
_SHORTEST = 6
"""Shorter values are probably settings such as ``true``, and may be part of ordinary words."""


class SecretFilter:
    """Removes the values of variables whose names suggest a secret, such as ``DD_API_KEY``.

    Also those of our and Datadog's settings that look like a key.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Collect the secrets of an environment."""
        values = {
            text
            for name, value in environ.items()
            if _NAMES_A_SECRET.search(name)
            or (_TAKES_NO_SECRET.match(name) and _LOOKS_LIKE_A_KEY.fullmatch(value.strip()))
            for text in (value, value.strip(), value.strip(" \t\"'"))
            if len(text) >= _SHORTEST
        }
        # Longest first, since one secret may be part of another.
        self._secrets = sorted(values, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return without_secrets(text)

    def finding(self, finding: Finding) -> Finding:
        """Return a finding without secrets in its texts and facts."""
        return replace(
            finding,
            says=self.text(finding.says),
            do=self.text(finding.do),
            facts={name: self._fact(fact) for name, fact in finding.facts.items()},
        )

    def _fact(self, fact: Fact) -> Fact:
        if isinstance(fact, str):
            return self.text(fact)
        if isinstance(fact, list):
            return [self.text(one) for one in fact]
        return fact
