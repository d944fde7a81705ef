"""Check whether ddtrace's LLM Observability sends content that is not to be captured."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.settings.table import CAPTURE_CONTENT

_MODELS: Final = frozenset(
    {"openai", "anthropic", "google_genai", "mistralai", "botocore", "litellm", "langchain"}
)


def llm_observability(context: Context) -> Iterator[Finding]:
    """Report whether LLM Observability is on, and whether it sends content."""
    if not context.is_on("DD_LLMOBS_ENABLED", False):
        return
    capturing = context.turns_on(CAPTURE_CONTENT)
    models = sorted(_ddtrace.installed_libraries(_MODELS & _ddtrace.patched_integrations()))
    if capturing:
        says = "LLM Observability is on, and capture_content is on: prompts and answers are sent."
    elif models:
        says = (
            "LLM Observability is on, and capture_content is off: content is removed from what "
            f"{', '.join(models)} report within sessions, but not outside of sessions."
        )
    else:
        says = "LLM Observability is on. No integration that captures prompts is enabled."
    yield Finding("content.llm_observability", Level.OK, says, facts={"integrations": list(models)})


CHECKS: Final = (llm_observability,)
