"""Masks the content of conversations in Pipecat's own lines.

Pipecat logs transcripts, prompts, whole chat contexts, tool arguments and digits that callers
press, mostly at DEBUG and TRACE. This is content, which is sent only if the user asks for it. The
table below has the words that precede content in the source of each minor version of Pipecat from
1.0.0 to 1.14.0. A line is masked from there to its end, since the content may contain the bracket
or quote that seems to end it.

A test reads the source of the installed Pipecat. It fails if a line prints something that is
named like content and is not masked, which shows what a new version of Pipecat has added.
"""

from typing import Any, Final

from pipecat_dd.export.logs import other_packages
from pipecat_dd.export.logs.other_packages import is_for_pipecat
from pipecat_dd.export.secrets import REDACTED

_EVERYWHERE: Final = (
    # Transcripts: STT services, observers, realtime services.
    "Transcription: [",
    "transcription: [",
    "[Transcription:",
    "Transcription (from: ",
    "end of turn: [",
    "end of turn missed",
    "TRANSCRIPTION: ",
    "final transcription: ",
    "transcription frame ",
    "transcription text added: ",
    "ranscript: ",
    "transcript with timestamps: ",
    "transcript with unknown role",
    "turn.end: ",
    "turn.update: ",
    "turn.eager_end: ",
    "EagerEndOfTurn - ",
    "Update event: ",
    "TurnResumed: ",
    "TurnInfo event",
    "Classifying response: ",
    "No classification found: ",
    # Spoken text: TTS services.
    "TTS [",
    "TTS: [",
    "not speaking [",
    "pushing fallback",
    "text received: ",
    "speculative text: ",
    "Sending text to websocket: ",
    "input for context ",
    "Word timestamps",
    "word times: ",
    "accumulated=",
    "stale word '",
    "buffered word '",
    "overflow word '",
    "Dropping word '",
    "force-complet",
    "llm_consumed ",
    "Flushing Aggregated Frame ",
    "reply(answer=",
    # Input and output of models.
    "Generating LLM response",
    "Setting up LLM conversation",
    "Generating chat from ",
    "Generating response from ",
    "Creating response: ",
    "Creating initial response: ",
    "initial messages: ",
    "context message: ",
    "_from_universal_context_message: ",
    "ystem instruction: ",
    "ystem instruction composed: ",
    "prompt: ",
    "sending session.update: ",
    "LLM CONTEXT FRAME: ",
    "LLM GENERATING: ",
    "summary to context: ",
    "history [",
    "text match: ",
    "To text: ",
    "prefix hash mismatch",
    "response output mismatch",
    "Invoking chain with ",
    "Invoking Strands agent with: ",
    "Node result: ",
    "Delegating to '",
    "Backend output (",
    "memories for query: ",
    # Tools.
    " with arguments ",
    "ool arguments: ",
    "call arguments: ",
    "LLM FUNCTION CALL ",
    "tool_result_message=",
    "without call_id or name: ",
    "Final response",
    "Tool response chunk ",
    # Keys that a caller pressed: card numbers, PINs.
    "DTMF digit",
    "DTMF event: ",
    "DTMF detected: ",
    "DTMF received: ",
    "DTMF tone",
    "DTMF value: ",
    "Sending DTMF: ",
    # Whole frames and messages. "text: " is also in the repr of every text frame, "(message: " in
    # that of transport messages, "(tone: " and "(buttons: " in those of DTMF frames.
    "text: ",
    "(message: ",
    "(tone: ",
    "(buttons: ",
    "RTVI message: ",
    "Signalling message received: ",
    "app message inside ",
    "parsing JSON message ",
    "object JSON data: ",
    "sending message ",
    "[Callback] ",
    "STT message: ",
    "RAW JSON from ",
    "Received response: ",
    "JSON message: ",
    "JSON message from Vonage: ",
    "JSON Sarvam message: ",
    "JSON Soniox message: ",
    "JSON response: ",
    "decode server message: ",
    "unknown message type: ",
    "nhandled Ultravox message: ",
    "realtime event: ",
    "Sarvam realtime acknowledgement: ",
    "no digit found: ",
    "Vonage event: ",
    "notify event: ",
    "First message: ",
    "Second message: ",
    "Parsed - Type: ",
    "Webhook data: ",
    "WhatsApp webhook: ",
    "Received request: ",
    "Raw body: ",
)

# Lines with a piece of streamed content: frames at TRACE, and code that logs each token.
_PIECES: Final = ("TextFrame#", "MessageFrame#", "MessageUrgentFrame#", "LLM GENERATING: ")

# Words that precede content in one module only, and are too common to mask elsewhere.
_BY_MODULE: Final[dict[str, tuple[str, ...]]] = {
    "pipecat.extensions.voicemail.voicemail_detector": (") for ",),
    "pipecat.observers.loggers.debug_log_observer": (": ",),
    "pipecat.services.openai.live.llm": (" context: ",),
    "pipecat.services.speechmatics.stt": (" -> ", "message to STT: "),
    "pipecat.services.aws.stt": ("Payload: ",),
    "pipecat.transports.whatsapp.client": (": ",),
    "pipecat.utils.context.aggregated_frame_sequencer": ("Word '",),
    "pipecat.workers.proxy.websocket.client": (": sent ", ": received "),
    "pipecat.workers.proxy.websocket.server": (": sent ", ": received "),
    "pipecat.services.elevenlabs.dialogue.tts": ("with no context: ",),
}


_COLONS: Final = tuple(phrase for phrase in _EVERYWHERE if phrase.endswith(": "))
_BRACKETS: Final = tuple(phrase for phrase in _EVERYWHERE if phrase.endswith("["))
_OTHERS: Final = tuple(p for p in _EVERYWHERE if p not in _COLONS and p not in _BRACKETS)


_REMEMBERED: Final = 4096
_others: dict[str, bool] = {}


def mask(name: str, message: str, file: Any = None) -> str:
    """Return a line's message without content of the conversation.

    Args:
        name: The module the line comes from. Lines of the user's own modules are not masked.
        message: The message to mask.
        file: The record's file, which distinguishes packages for Pipecat from the user's modules.
    """
    if not name.startswith("pipecat."):
        is_other = _others.get(name)
        if is_other is None:
            if len(_others) >= _REMEMBERED:  # a program may generate names without end
                _others.clear()
            is_other = _others[name] = is_for_pipecat(name, str(getattr(file, "path", "")))
        return other_packages.mask(message) if is_other else message
    first = _first(message, _OTHERS)
    # Most phrases end in ": " or "[": checking those few places is faster than a hundred searches.
    for mark, phrases in ((": ", _COLONS), ("[", _BRACKETS)):
        end = message.find(mark) + len(mark)
        while end >= len(mark) and (first < 0 or end < first):
            if message.endswith(phrases, 0, end):
                first = end
                break
            end = message.find(mark, end) + len(mark)
    if (special := _BY_MODULE.get(name)) is not None:
        ends = [end for end in (first, _first(message, special)) if end >= 0]
        first = min(ends, default=-1)
    return message if first < 0 else message[:first].rstrip("[ ") + " " + REDACTED


def mask_pieces(name: str, message: str, _: Any = None) -> str:
    """Return a line's message without pieces of streamed content.

    If a model writes a secret, its pieces cannot be recognised as a secret. So pieces are masked
    even if content is captured: other lines have the whole text.

    Args:
        name: The module the line comes from.
        message: The message to mask.
        _: Not used; `mask` has the same parameters.
    """
    if not name.startswith("pipecat.") or not any(piece in message for piece in _PIECES):
        return message
    return mask(name, message)


def _first(message: str, phrases: tuple[str, ...]) -> int:
    """Return where the earliest of the phrases ends, or -1."""
    first = -1
    for phrase in phrases:
        if phrase in message:
            end = message.find(phrase) + len(phrase)
            if first < 0 or end < first:
                first = end
    return first
