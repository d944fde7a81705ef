"""What a user waited for, from the end of their speech to the bot's voice.

The wait is cut at the moments that the answer passed through, in the order it must pass them:
whatever came early takes no time, whatever came late takes the rest. So the parts always add
up to the whole.
"""

from dataclasses import dataclass

from pipecat_dd.names.tags import WAIT_PARTS


@dataclass(slots=True)
class LatencyBreakdown:
    """When the answer to a user's turn passed which point; 0 where that is not known.

    Attributes:
        silent_ns: The user stopped speaking.
        ruled_ns: It was ruled that their turn had ended.
        transcribed_ns: The final transcription came.
        asked_ns: The model began on the first response.
        tools_ns: It began on the first that called tools.
        responded_ns: The model began on the response that is spoken.
        token_ns: Its first token came.
        text_ns: The first text was handed to synthesis.
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
        """It is known what the user hears: what else was asked or synthesized made nobody wait.

        Args:
            begun_ns: The model began on that response; 0 where it is no model's.
            token_ns: Its first token came.
            text_ns: Its first text was handed to synthesis; 0 where that is not known.
            audio_ns: Its first audio came.
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
            heard_ns: The bot was heard.
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
