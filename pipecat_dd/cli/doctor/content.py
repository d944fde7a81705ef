"""Whether content leaves by another way than the one that this package was told to keep shut."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.settings.table import CAPTURE_CONTENT

_MODELS: Final = frozenset(
    {"openai", "anthropic", "google_genai", "mistralai", "botocore", "litellm", "langchain"}
)


def llm_observability(situation: Context) -> Iterator[Finding]:
    """Check that ddtrace's LLM Observability does not send what is not to be captured."""
    if not situation.is_on("DD_LLMOBS_ENABLED", False):
        return
    capturing = situation.turns_on(CAPTURE_CONTENT)
    models = sorted(_ddtrace.installed_of(_MODELS & _ddtrace.patched()))
    if capturing:
        says = "LLM Observability is on, and so is the capture of content."
    elif models:
        says = (
            f"LLM Observability is on; what {', '.join(models)} report of a session goes without "
            "content, as capture_content is off. Of requests outside of sessions it stays."
        )
    else:
        says = "LLM Observability is on; no integration that captures prompts is switched on."
    yield Finding("content.llm_observability", Level.OK, says, facts={"integrations": list(models)})


CHECKS: Final = (llm_observability,)
