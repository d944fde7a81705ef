"""The lines in which Pipecat itself writes what was said.

Pipecat logs transcripts, prompts, whole chat contexts, tool arguments and digits that callers
press, mostly at DEBUG and TRACE. They are content, and content leaves only if it was asked
for. The table below holds the words after which content follows, as they stand in the source
of Pipecat 1.0.0 to 1.14.0, of each minor version; from there to its end a line is masked, since
what was said may itself hold any bracket or quote that seems to close it.

A test reads the source of the Pipecat that is installed and fails when a line that prints
something named like content is not covered: that is the place to see what a new Pipecat
brought.
"""

from typing import Any, Final

from pipecat_dd.export.logs import other_packages
from pipecat_dd.export.logs.other_packages import is_for_pipecat
from pipecat_dd.export.secrets import REDACTED

_EVERYWHERE: Final = (
    # What was heard: stt services, observers, realtime services.
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
    # What was spoken: tts services.
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
    # What went into and out of a model.
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
    # Frames and messages written out whole; "text: " also stands in the repr of every text
    # frame, "(message: " in that of transport messages, the last two in those of DTMF frames.
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

# Lines that hold a piece of what streams: frames written out at TRACE, and what logs each token.
_PIECES: Final = ("TextFrame#", "MessageFrame#", "MessageUrgentFrame#", "LLM GENERATING: ")

# Words too common to stand for content anywhere but in the one module.
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
    """Return a line's message without the content it holds.

    Args:
        name: The module the line comes from; the user's own are left alone.
        message: The line's message.
        file: The module's file, as in a record of Loguru's: it tells packages for Pipecat from
            the user's modules.
    """
    if not name.startswith("pipecat."):
        is_other = _others.get(name)
        if is_other is None:
            if len(_others) >= _REMEMBERED:  # names made up at run time must not pile up
                _others.clear()
            is_other = _others[name] = is_for_pipecat(name, str(getattr(file, "path", "")))
        return other_packages.mask(message) if is_other else message
    first = _first(message, _OTHERS)
    # Most phrases end in ": " or "[": looking at those few places beats a hundred searches.
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
    """Return a line's message without the pieces of content that stream one by one.

    A secret that a model says comes in pieces, and half a secret is not recognised as one. So
    pieces are masked also where content is asked for: it stands in other lines, whole.

    Args:
        name: The module the line comes from.
        message: The line's message.
        _: The module's file.
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
