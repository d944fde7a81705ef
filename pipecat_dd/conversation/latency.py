"""What a user waited for, from the end of their speech to the bot's voice.

The wait is divided at the points that the answer passes, in the order in which it must pass them. A
point that was reached early takes no time; one that was reached late takes the time up to then. So
the parts always add up to the whole.
"""

from dataclasses import dataclass

from pipecat_dd.names.tags import WAIT_PARTS


@dataclass(slots=True)
class LatencyBreakdown:
    """When the answer to a user's turn passed each point; 0 for a time that is not known.

    Attributes:
        silent_ns: The user stopped speaking.
        ruled_ns: It was decided that the user's turn had ended.
        transcribed_ns: The final transcription came.
        asked_ns: The model began the first response.
        tools_ns: The model began the first response that called tools.
        responded_ns: The model began the response that is spoken.
        token_ns: The first token of that response came.
        text_ns: The first text was passed to synthesis.
        audio_ns: The first audio came.
    """

    silent_ns: int = 0
    ruled_ns: int = 0
    transcribed_ns: int = 0
    asked_ns: int = 0
    tools_ns: int = 0
    responded_ns: int = 0
    token_ns: int = 0
    text_ns: int = 0
    audio_ns: int = 0

    def settle(self, begun_ns: int, token_ns: int, text_ns: int, audio_ns: int) -> None:
        """Keep only the times of the answer that the user hears; nothing else made them wait.

        Args:
            begun_ns: When the model began that response; 0 if no model wrote it.
            token_ns: When its first token came.
            text_ns: When its first text was passed to synthesis; 0 if not known.
            audio_ns: When its first audio came.
        """
        if begun_ns:
            self.asked_ns = min(self.tools_ns or begun_ns, begun_ns)
            self.responded_ns, self.token_ns = begun_ns, token_ns
        if text_ns:
            self.text_ns, self.audio_ns = text_ns, audio_ns
            if not begun_ns and self.tools_ns:
                self.asked_ns, self.responded_ns, self.token_ns = self.tools_ns, text_ns, 0

    def parts(self, heard_ns: int) -> dict[str, float]:
        """Return the seconds of each part of the wait.

        Args:
            heard_ns: When the bot began to speak.
        """
        reached = (
            self.ruled_ns,
            self.transcribed_ns,
            self.asked_ns,
            self.responded_ns,
            self.token_ns,
            self.text_ns,
            self.audio_ns,
            heard_ns,
        )
        parts = {}
        so_far = self.silent_ns
        for (name, _), at_ns in zip(WAIT_PARTS, reached, strict=True):
            until = min(max(so_far, at_ns), heard_ns)
            parts[name] = (until - so_far) / 1e9
            so_far = until
        return parts
