"""Check whether Datadog would accept what a bot sends without an Agent."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.agent import AGENTLESS
from pipecat_dd.cli.doctor.clock import clock
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.http_client import NoAnswerError, ask, without_userinfo
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

_PAGE: Final = "Organization Settings > API Keys, on your Datadog site"


def site(context: Context) -> Iterator[Finding]:
    """Check that ``DD_SITE`` is a Datadog site, and not the address of its web page."""
    named = context.value("DD_SITE")
    if not named or named in SITES:
        return
    meant = _likely_site(named)
    yield Finding(
        "intake.site",
        Level.PROBLEM if meant else Level.NOTE,
        f"DD_SITE={named} is not a Datadog site.",
        f"Set DD_SITE={meant}." if meant else f"The sites are {', '.join(SITES)}.",
        {"site": named},
    )


def key(context: Context) -> Iterator[Finding]:
    """Ask Datadog whether the API key is valid, if one is set."""
    secret = context.value("DD_API_KEY")
    agentless = context.is_on(AGENTLESS, False)
    needed = agentless or context.turns_on(SHIP)
    if not secret:
        if agentless:
            yield Finding(
                "intake.key",
                Level.PROBLEM,
                f"{AGENTLESS} is on, but DD_API_KEY is not set: importing ddtrace fails.",
                f"Set DD_API_KEY ({_PAGE}), or unset {AGENTLESS} to send to an Agent.",
            )
        return
    named = context.value("DD_SITE") or DEFAULT_SITE
    url = context.api_url or f"https://api.{named}"
    shown = without_userinfo(url)
    facts = {"url": shown}
    try:
        answer = ask(url, "/api/v1/validate", context.timeout_secs, {"DD-API-KEY": secret})
    except NoAnswerError as why:
        yield Finding(
            "intake.key",
            Level.PROBLEM if needed else Level.NOTE,
            f"Datadog does not answer at {shown}: {why}.",
            "To send without an Agent, the bot's machine must be able to reach Datadog: check "
            "DD_SITE, the firewall and any proxy.",
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
            f"{shown} rejects DD_API_KEY (HTTP {answer.status}).",
            "A key is valid only on its own site: set DD_SITE to your site, or DD_API_KEY to a key "
            f"from {_PAGE}.",
            {**facts, "status": answer.status},
        )
    else:
        yield Finding(
            "intake.key",
            Level.NOTE,
            f"Datadog did not say whether DD_API_KEY is valid (HTTP {answer.status} from {shown}).",
            "Try again in a minute. status.datadoghq.com reports outages.",
            {**facts, "status": answer.status},
        )


def _likely_site(named: str) -> str | None:
    """Return the site to which the address of a web page or API belongs; None if unknown."""
    host = named.partition("://")[2] or named
    host = host.partition("/")[0].lower()
    for prefix in ("", "app.", "api.", "www."):
        if host.removeprefix(prefix) in SITES:
            return host.removeprefix(prefix)
    return None


CHECKS: Final = (site, key)
