"""Whether content leaves by another way than the one that this package was told to keep shut."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from pipecat_dd.doctor import _ddtrace
from pipecat_dd.doctor.finding import Finding, Level
from pipecat_dd.doctor.situation import Situation

_MODELS: Final = frozenset(
    {"openai", "anthropic", "google_genai", "mistralai", "botocore", "litellm", "langchain"}
)

_TAKES_IT_OUT: Final = "pipecat_dd.telling.llmobs"
"""What takes content out of ddtrace's own spans of LLM Observability."""


def llm_observability(situation: Situation) -> Iterator[Finding]:
    """Check that ddtrace's LLM Observability does not send what is not to be captured."""
    if not situation.is_on("DD_LLMOBS_ENABLED", False):
        return
    capturing = situation.value("PIPECAT_DD_CAPTURE_CONTENT").lower() in ("true", "1", "yes", "on")
    models = sorted(_ddtrace.installed_of(_MODELS & _ddtrace.patched()))
    check = "content.llm_observability"
    if capturing or not models:
        yield Finding(
            check,
            Level.OK,
            "LLM Observability is on, and so is the capture of content."
            if capturing
            else "LLM Observability is on; no integration that captures prompts is switched on.",
            facts={"integrations": list(models)},
        )
        return
    if find_spec(_TAKES_IT_OUT) is not None:
        yield Finding(
            check,
            Level.OK,
            f"LLM Observability is on; what {', '.join(models)} report of a session goes without "
            "content, as capture_content is off. Of requests outside of sessions it stays.",
            facts={"integrations": list(models)},
        )
        return
    yield Finding(
        check,
        Level.NOTE,
        f"LLM Observability is on, with which ddtrace's own spans ({', '.join(models)}) hold "
        "prompts and replies; capture_content is off.",
        "See docs/security.md for what is sent then. Set PIPECAT_DD_CAPTURE_CONTENT=true if "
        "content may leave, or DD_LLMOBS_ENABLED=false.",
        {"integrations": list(models)},
    )


CHECKS: Final = (llm_observability,)
