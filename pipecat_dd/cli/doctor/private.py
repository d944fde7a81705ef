"""What the doctor says goes into tickets and chats: nothing that is secret stands in it."""

import re
from collections.abc import Mapping
from dataclasses import replace

from pipecat_dd.cli.doctor.finding import Fact, Finding
from pipecat_dd.export.secrets import REDACTED, without_secrets

_NAMES_A_SECRET = re.compile(r"(?i)key|token|secret|passw|credential|auth(?!or)|cookie")
_SHORTEST = 6
"""Shorter values are taken to be settings (``true``, ``off``), which stand in other words too."""


class SecretFilter:
    """Takes out of findings what the environment holds under a name that names a secret."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Learn what is secret.

        Args:
            environ: The environment.
        """
        values = {
            text
            for name, value in environ.items()
            if _NAMES_A_SECRET.search(name)
            for text in (value, value.strip(), value.strip(" \t\"'"))
            if len(text) >= _SHORTEST
        }
        # The longest first: one secret may be part of another.
        self._secrets = sorted(values, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets.

        Args:
            text: The text.
        """
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return without_secrets(text)

    def finding(self, finding: Finding) -> Finding:
        """Return a finding without secrets.

        Args:
            finding: The finding.
        """
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
