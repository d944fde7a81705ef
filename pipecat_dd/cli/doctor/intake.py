"""Whether Datadog itself would take what is sent without an Agent."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.agent import AGENTLESS
from pipecat_dd.cli.doctor.asking import NoAnswerError, ask, without_userinfo
from pipecat_dd.cli.doctor.clock import clock
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.settings.table import SHIP

SITES: Final = (
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "datadoghq.eu",
    "uk1.datadoghq.com",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "ddog-gov.com",
    "us2.ddog-gov.com",
)
DEFAULT_SITE: Final = SITES[0]

_PAGE: Final = "Organization Settings, API Keys, on your own site"


def site(situation: Context) -> Iterator[Finding]:
    """Check that ``DD_SITE`` is a site, and not its page's address."""
    named = situation.value("DD_SITE")
    if not named or named in SITES:
        return
    meant = _meant(named)
    yield Finding(
        "intake.site",
        Level.PROBLEM if meant else Level.NOTE,
        f"DD_SITE={named} is none of Datadog's sites.",
        f"Set DD_SITE={meant}." if meant else f"Sites are {', '.join(SITES)}.",
        {"site": named},
    )


def key(situation: Context) -> Iterator[Finding]:
    """Ask Datadog whether the API key is one of theirs, where one is set."""
    secret = situation.value("DD_API_KEY")
    agentless = situation.is_on(AGENTLESS, False)
    needed = agentless or situation.turns_on(SHIP)
    if not secret:
        if agentless:
            yield Finding(
                "intake.key",
                Level.PROBLEM,
                f"{AGENTLESS} is on and DD_API_KEY is not set: ddtrace cannot be imported.",
                f"Set DD_API_KEY ({_PAGE}), or unset {AGENTLESS} to send to an Agent.",
            )
        return
    named = situation.value("DD_SITE") or DEFAULT_SITE
    url = situation.api_url or f"https://api.{named}"
    shown = without_userinfo(url)
    facts = {"url": shown}
    try:
        answer = ask(url, "/api/v1/validate", situation.timeout_secs, {"DD-API-KEY": secret})
    except NoAnswerError as why:
        yield Finding(
            "intake.key",
            Level.PROBLEM if needed else Level.NOTE,
            f"Datadog does not answer at {shown}: {why}.",
            "Without an Agent the bot's machine must reach it: check DD_SITE, the firewall and "
            "any proxy.",
            {**facts, "why": str(why)},
        )
        return
    yield from clock(answer, shown)
    if answer.status == 200:
        yield Finding(
            "intake.key",
            Level.OK,
            f"DD_API_KEY is valid at {shown} ({answer.took_ms:.0f} ms).",
            facts={**facts, "status": 200, "took_ms": round(answer.took_ms, 1)},
        )
    elif answer.status in (401, 403):
        yield Finding(
            "intake.key",
            Level.PROBLEM,
            f"DD_API_KEY is refused at {shown} (HTTP {answer.status}).",
            f"A key is valid at one site only: set DD_SITE to yours, or a key from {_PAGE}.",
            {**facts, "status": answer.status},
        )
    else:
        yield Finding(
            "intake.key",
            Level.NOTE,
            f"Datadog did not say whether DD_API_KEY is valid (HTTP {answer.status} at {shown}).",
            "Look again in a minute; status.datadoghq.com tells of outages.",
            {**facts, "status": answer.status},
        )


def _meant(named: str) -> str | None:
    """Return the site whose page's or API's address this is."""
    host = named.partition("://")[2] or named
    host = host.partition("/")[0].lower()
    for prefix in ("", "app.", "api.", "www."):
        if host.removeprefix(prefix) in SITES:
            return host.removeprefix(prefix)
    return None


CHECKS: Final = (site, key)
