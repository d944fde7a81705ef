"""The tags of metrics. They have few values, and never the id of a session, participant or call.

The meaning of each metric names the values of its tags.
"""

from typing import Final

SERVICE: Final = "service"
ENV: Final = "env"
VERSION: Final = "version"

UNIFIED: Final = (SERVICE, ENV, VERSION)
"""Tags on every metric, from ``DD_SERVICE``, ``DD_ENV`` and ``DD_VERSION``."""

TRANSPORT: Final = "transport"
"""The transport's class."""

PART: Final = "part"
"""What a turn waited for; for an observer's failures, the part of this package that failed."""

OUTCOME: Final = "outcome"
"""How a turn, a tool call, the wait for the end of a turn, or a service's event ended."""

END_REASON: Final = "end_reason"
"""How a session ended."""

STAGE: Final = "stage"
"""The kind of the stage: ``stt``, ``llm``."""

PROVIDER: Final = "provider"
"""A service's provider, by OpenTelemetry's names."""

MODEL: Final = "model"
"""A service's model."""

STRATEGY: Final = "strategy"
"""The class of the strategy that ruled that the user's turn was over."""

TOOL: Final = "tool"
"""A function's name."""

BOT_SPOKE: Final = "bot_spoke"
"""Whether the bot was heard in a session."""

BEGAN_BY: Final = "began_by"
"""Who began a turn."""

ANSWERED_WITHIN: Final = "answered_within"
"""How soon a turn was answered, as one of a few values."""

WITHIN: Final = "within"
"""How long it took, as one of a few values."""

LEFT_WAITING: Final = "left_waiting"
"""Whether the user of a turn waited for an answer that did not come."""

CATEGORY: Final = "category"
"""Why an error happened, if Pipecat knows."""

USABLE: Final = "usable"
"""Whether the processor can still do its job after an error."""

TYPE: Final = "type"
"""What tokens were used for."""

REASON: Final = "reason"
"""Why lines could not be shipped."""

SESSION_OUTCOME: Final = "session_outcome"
"""What came of a session, as the bot reported it."""

SILENCE_OF: Final = "silence_of"
"""Whose turn it was to speak in a silence."""

SPEAKER: Final = "speaker"
"""Who spoke: the user or the bot."""

CAUSE: Final = "cause"
"""What blocked the event loop: code, an import, garbage collection, or the process did not run."""

EVENT: Final = "event"
"""The name of an event of a service."""

# Of the metrics that Datadog generates

RESOURCE_NAME: Final = "resource_name"
"""The resource of the span."""

OPERATION_NAME: Final = "operation_name"
"""The span's name."""

OPERATION: Final = "operation"
"""What was done, as the bot's own code names it on a line."""

LEVELNAME: Final = "levelname"
"""The level of a line."""

ERROR_KIND: Final = "error_kind"
"""The class of the exception on a line."""
