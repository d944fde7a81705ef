"""Whether the Datadog Agent answers where ddtrace sends traces to."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor.asking import Answer, NoAnswerError, ask, without_userinfo
from pipecat_dd.cli.doctor.clock import clock
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Fact, Finding, Level

CHECK: Final = "agent.answers"
TRACE_API: Final = "agent.trace_api"
API_VERSION: Final = "DD_TRACE_API_VERSION"
KNOWN_TO_DDTRACE: Final = ("v0.4", "v0.5")
SLOW_MS: Final = 500.0

AGENTLESS: Final = "DD_AGENTLESS_ENABLED"

_NO_AGENT: Final = (
    "Start the Datadog Agent there, or set DD_TRACE_AGENT_URL to where it listens "
    "(docs/datadog.md: from a container that is not localhost). Where there can be no Agent: "
    "docs/agentless.md."
)


def answers(situation: Context) -> Iterator[Finding]:
    """Ask the Agent for what it is."""
    if situation.is_on(AGENTLESS, False):
        yield Finding(CHECK, Level.OK, f"No Agent is needed: {AGENTLESS} is on.")
        return
    url = _ddtrace.agent_url()
    if url is None:
        yield _no_agent_for(situation)
        return
    shown = without_userinfo(url)
    facts: dict[str, Fact] = {"url": shown}
    try:
        answer = ask(url, "/info", situation.timeout_secs, {}, through_proxy=False)
    except NoAnswerError as why:
        yield Finding(
            CHECK,
            Level.PROBLEM,
            f"No Agent answers at {shown}: {why}. No trace arrives.",
            _NO_AGENT,
            {**facts, "why": str(why)},
        )
        return
    finding = of_answer(answer, facts)
    yield finding
    if finding.level is not Level.PROBLEM:
        yield from of_versions(answer, shown, _ddtrace.trace_api())
    yield from clock(answer, f"the Agent at {shown}")


def _no_agent_for(situation: Context) -> Finding:
    if situation.is_on("DD_LLMOBS_ENABLED", False):
        return Finding(
            CHECK,
            Level.NOTE,
            "LLM Observability has turned ddtrace to Datadog's intake, all spans included: no "
            "Agent that takes what it sends has answered, or DD_LLMOBS_AGENTLESS_ENABLED is on.",
            "To send to an Agent, start or update it, or set DD_LLMOBS_AGENTLESS_ENABLED=false.",
        )
    return Finding(
        CHECK,
        Level.NOTE,
        "ddtrace sends traces to no Agent, but by a writer of another kind.",
        "Unset what chooses it (OTEL_TRACES_EXPORTER, AWS_LAMBDA_FUNCTION_NAME) if it is to.",
    )


def of_answer(answer: Answer, facts: dict[str, Fact]) -> Finding:
    """Judge what was answered.

    Args:
        answer: The answer to ``/info``.
        facts: What is known of the Agent, its ``url`` among it.
    """
    info = _object(answer.body)
    endpoints = info.get("endpoints")
    url = facts["url"]
    if answer.status != 200 or not isinstance(endpoints, list):
        return Finding(
            CHECK,
            Level.PROBLEM,
            f"What answers at {url} is no Datadog Agent that takes traces (HTTP {answer.status}).",
            _NO_AGENT,
            {**facts, "status": answer.status},
        )
    facts |= {
        "version": str(info.get("version") or ""),
        "took_ms": round(answer.took_ms, 1),
    }
    if not any(str(endpoint).endswith("/traces") for endpoint in endpoints):
        return Finding(
            CHECK,
            Level.PROBLEM,
            f"The Agent at {url} takes no traces.",
            "Turn APM on in it: DD_APM_ENABLED=true, or apm_config.enabled in datadog.yaml.",
            facts,
        )
    says = f"The Agent at {url} answers in {answer.took_ms:.0f} ms (version {facts['version']})."
    if answer.took_ms > SLOW_MS:
        return Finding(
            CHECK,
            Level.NOTE,
            says,
            "That is slow; ddtrace sends from a thread of its own, so the bot does not wait, but "
            "traces are dropped where its buffer fills up. Have an Agent nearer to the bot.",
            facts,
        )
    return Finding(CHECK, Level.OK, says, facts=facts)


def of_versions(answer: Answer, url: str, sent: str | None) -> Iterator[Finding]:
    """Judge whether the Agent takes the version of the trace API that ddtrace sends.

    One that does not answers each trace with a 404, and the rest of it looks well.

    Args:
        answer: The answer to ``/info``.
        url: Where the Agent is.
        sent: The version, such as ``v0.5``; None where it is not known.
    """
    endpoints = [str(one) for one in _object(answer.body)["endpoints"]]
    taken = [one.split("/")[1] for one in endpoints if one.endswith("/traces") and "/v0." in one]
    if sent is None or not taken:
        return
    facts: dict[str, Fact] = {"sent": sent, "taken": list(taken)}
    if sent in taken:
        yield Finding(
            TRACE_API, Level.OK, f"It takes the trace API that ddtrace sends, {sent}.", facts=facts
        )
        return
    known = [version for version in KNOWN_TO_DDTRACE if version in taken]
    yield Finding(
        TRACE_API,
        Level.PROBLEM,
        f"ddtrace sends {sent} of the trace API, and the Agent at {url} takes "
        f"{', '.join(taken)} only: it answers every trace with a 404, and none arrives.",
        f"Set {API_VERSION}={known[-1]}." if known else "Update the Agent, or ddtrace.",
        facts,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


CHECKS: Final = (answers,)
