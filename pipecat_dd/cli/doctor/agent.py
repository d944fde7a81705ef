"""Check whether a Datadog Agent answers at the address that ddtrace sends traces to."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor.clock import clock
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Fact, Finding, Level
from pipecat_dd.cli.doctor.http_client import Answer, NoAnswerError, ask, without_userinfo

CHECK: Final = "agent.answers"
TRACE_API: Final = "agent.trace_api"
API_VERSION: Final = "DD_TRACE_API_VERSION"
KNOWN_TO_DDTRACE: Final = ("v0.4", "v0.5")
SLOW_MS: Final = 500.0

AGENTLESS: Final = "DD_AGENTLESS_ENABLED"

_NO_AGENT: Final = (
    "Start the Datadog Agent there, or set DD_TRACE_AGENT_URL to the Agent's address (from within "
    "a container, that is not localhost: see docs/deploy/docker.md). If you cannot run an Agent, "
    "see docs/deploy/agentless.md."
)


def answers(context: Context) -> Iterator[Finding]:
    """Request the Agent's description of itself."""
    if context.is_on(AGENTLESS, False):
        yield Finding(CHECK, Level.OK, f"No Agent is needed: {AGENTLESS} is on.")
        return
    url = _ddtrace.agent_url()
    if url is None:
        yield _no_agent_for(context)
        return
    shown = without_userinfo(url)
    facts: dict[str, Fact] = {"url": shown}
    try:
        answer = ask(url, "/info", context.timeout_secs, {}, through_proxy=False)
    except NoAnswerError as why:
        yield Finding(
            CHECK,
            Level.PROBLEM,
            f"No Agent answers at {shown}: {why}. Traces are lost.",
            _NO_AGENT,
            {**facts, "why": str(why)},
        )
        return
    finding = judge_answer(answer, facts)
    yield finding
    if finding.level is not Level.PROBLEM:
        yield from judge_trace_api(answer, shown, _ddtrace.trace_api())
    yield from clock(answer, f"the Agent at {shown}")


def _no_agent_for(context: Context) -> Finding:
    if context.is_on("DD_LLMOBS_ENABLED", False):
        return Finding(
            CHECK,
            Level.NOTE,
            "LLM Observability makes ddtrace send all spans directly to Datadog, without an Agent: "
            "either DD_LLMOBS_AGENTLESS_ENABLED is on, or no Agent answered that accepts its data.",
            "To send to an Agent, start or update it, or set DD_LLMOBS_AGENTLESS_ENABLED=false.",
        )
    return Finding(
        CHECK,
        Level.NOTE,
        "ddtrace does not send traces to an Agent: another exporter is configured.",
        "To send to an Agent, unset OTEL_TRACES_EXPORTER and AWS_LAMBDA_FUNCTION_NAME.",
    )


def judge_answer(answer: Answer, facts: dict[str, Fact]) -> Finding:
    """Return whether an answer shows an Agent that accepts traces.

    Args:
        answer: The answer to ``/info``.
        facts: The facts to include in the finding; must contain ``url``.
    """
    info = _object(answer.body)
    endpoints = info.get("endpoints")
    url = facts["url"]
    if answer.status != 200 or not isinstance(endpoints, list):
        return Finding(
            CHECK,
            Level.PROBLEM,
            f"The server at {url} is not a Datadog Agent that accepts traces "
            f"(HTTP {answer.status}).",
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
            f"The Agent at {url} does not accept traces.",
            "Enable APM in the Agent: DD_APM_ENABLED=true, or apm_config.enabled in datadog.yaml.",
            facts,
        )
    says = f"The Agent at {url} answers in {answer.took_ms:.0f} ms (version {facts['version']})."
    if answer.took_ms > SLOW_MS:
        return Finding(
            CHECK,
            Level.NOTE,
            says,
            "That is slow. The bot does not wait, because ddtrace sends in the background, but it "
            "drops traces when its buffer is full. Run an Agent closer to the bot.",
            facts,
        )
    return Finding(CHECK, Level.OK, says, facts=facts)


def judge_trace_api(answer: Answer, url: str, sent: str | None) -> Iterator[Finding]:
    """Check whether the Agent supports the version of the trace API that ddtrace uses.

    An Agent that does not support it answers each trace with a 404 and looks healthy otherwise.

    Args:
        answer: The answer to ``/info``.
        url: The Agent's address, to be shown.
        sent: The version that ddtrace uses, such as ``v0.5``; None if it is unknown.
    """
    endpoints = [str(one) for one in _object(answer.body)["endpoints"]]
    taken = [one.split("/")[1] for one in endpoints if one.endswith("/traces") and "/v0." in one]
    if sent is None or not taken:
        return
    facts: dict[str, Fact] = {"sent": sent, "taken": list(taken)}
    if sent in taken:
        yield Finding(
            TRACE_API, Level.OK, f"It supports ddtrace's trace API version {sent}.", facts=facts
        )
        return
    known = [version for version in KNOWN_TO_DDTRACE if version in taken]
    yield Finding(
        TRACE_API,
        Level.PROBLEM,
        f"ddtrace uses version {sent} of the trace API, but the Agent at {url} supports only "
        f"{', '.join(taken)}: it answers every trace with HTTP 404, so all traces are lost.",
        f"Set {API_VERSION}={known[-1]}." if known else "Update the Agent or ddtrace.",
        facts,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


CHECKS: Final = (answers,)
