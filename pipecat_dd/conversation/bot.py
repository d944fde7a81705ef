"""The bot's side: the model's responses, and the speech that comes of them."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from pipecat_dd.conversation.answers import Answer, Answers
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.realtime import SAME_BREATH_NS, RealtimeResponses
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.syntheses import Syntheses, Synthesis
from pipecat_dd.conversation.tools import Tools
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.conversation.voice import Speech, Voice
from pipecat_dd.names import tags


@dataclass(slots=True, eq=False)
class OwnVoice:
    """Speech that a processor of the user's synthesizes, which is no service of Pipecat's.

    Attributes:
        is_over: Whether the processor has reported that it is complete.
    """

    is_over: bool = False


Source = Synthesis | Stage | OwnVoice
"""What audio comes of: a synthesis, a response that is speech, or a user's own voice."""


@dataclass(slots=True)
class PausedSpeech:
    """A speech whose audio ran dry while more of its answer was to come.

    Attributes:
        heard: What has become of it so far.
        turn: The turn that holds it until it goes on, or ends.
        source: What it came of.
    """

    heard: Speech
    turn: Turn
    source: Source | None


def _goes_on(before: Source | None, now: Source | None) -> bool:
    """Whether what is played now belongs to the same answer as what was played before."""
    if isinstance(before, Synthesis) and isinstance(now, Synthesis):
        return now.is_of_same_answer(before)
    return before is not None and before is now


class BotSide:
    """Follows the bot's work on its answers."""

    def __init__(
        self,
        stages: Stages,
        turns: Turns,
        has_voice: Callable[[], bool],
        can_speak: Callable[[], bool],
        has_output: Callable[[], bool],
    ) -> None:
        """Follow the bot's work.

        Args:
            stages: Opens and closes stages.
            turns: The turns its answers are part of.
            has_voice: Whether the pipeline synthesizes speech.
            can_speak: Whether a service that synthesizes speech is usable.
            has_output: Whether the pipeline has an output whose audio is observed.
        """
        self._stages = stages
        self._turns = turns
        self._has_voice = has_voice
        self._has_output = has_output
        self.answers = Answers(stages, can_speak, has_output)
        self.syntheses = Syntheses(stages, turns, self.answers, self._end_synthesis, has_output)
        self.synthesis_begins = self.syntheses.begin
        self.synthesis_output = self.syntheses.output
        self.synthesis_ends = self.syntheses.end
        self.tools = Tools(stages, turns, self.answers, self.note_output, self._close)
        self.tools_asked = self.tools.ask
        self.tool_begins = self.tools.begin
        self.tool_ends = self.tools.end
        self.call = self.tools.call
        self.realtime = RealtimeResponses(turns, self.begin_response, self.end_response)
        self._speculative: set[Stage] = set()
        self._speaks_aside = False
        self._speech: Stage | None = None
        self._lines: set[Hashable] = set()
        self._last_audio_ns = 0
        self._cut_ns = 0
        self._cut_may_go_on = False
        self.voice = Voice(stages.session.root)
        # What the latest audio came of, and whether more was waiting behind it.
        self._source: Source | None = None
        self._own_voice: OwnVoice | None = None
        self._was_more_queued = False
        # Whether an interruption does not drop the latest audio.
        self._is_kept = False
        self._paused: PausedSpeech | None = None
        self.speech_count = 0

    # Responses of the model

    def begin_response(self, processor: Processor, at_ns: int, stage: Stage | None = None) -> Stage:
        """Begin a model's response.

        Args:
            processor: The service.
            at_ns: When it began to work on the context.
            stage: The stage of its work so far; None to open one.
        """
        turn = self._turns.begin_bot_work(at_ns)
        stage = self._stages.open_service(Kind.LLM, processor, at_ns, turn.stage, stage=stage)
        stage.attributes[tags.GEN_AI_OPERATION_NAME] = "chat"
        turn.set_response(at_ns)
        self.answers.begin(stage)
        self._turns.begin_work(turn, stage)
        return stage

    def withdraw_speculation(self) -> None:
        """Record that what was inferred early is discarded: the user had not finished."""
        for stage in self._speculative:
            stage.attributes[tags.LLM_OUTCOME] = "discarded"
        self._speculative.clear()

    def note_output(
        self,
        processor: Processor,
        at_ns: int,
        *,
        spoken: bool,
        speech: bool = False,
        read: bool = False,
    ) -> None:
        """Record output of a model: text, or a request to call tools.

        Args:
            processor: The service.
            at_ns: When the output came.
            spoken: Whether it will be spoken, or read if the bot has no voice.
            speech: Whether it is speech already.
            read: Whether it is text that will only be read.
        """
        stage = processor.stage
        if stage is None or stage.kind is not Kind.LLM:
            return
        if stage.output_ns is None:
            stage.output_ns = at_ns
        answer, turn = self.answers.of(stage), self._turns.current
        if answer is not None and spoken:
            answer.token_ns = answer.token_ns or at_ns
            answer.is_spoken, answer.is_speech = True, answer.is_speech or speech
        if answer is not None and read:
            answer.is_read = True
        if read and turn is not None and turn.is_at_work_on(stage):
            turn.answer()
        if speech:
            stage.attributes[tags.GEN_AI_OUTPUT_TYPE] = "speech"
        if spoken and turn is not None:
            turn.set_first_token(at_ns)
            if turn.is_at_work_on(stage):
                if self._has_voice():
                    turn.await_speech()
                else:
                    turn.answer()

    def end_response(
        self,
        stage: Stage,
        at_ns: int,
        *,
        interrupted: bool = False,
        was_announced: bool = False,
    ) -> None:
        """End a response, which completed, failed or was interrupted.

        Args:
            stage: The response's stage.
            at_ns: When it ended.
            interrupted: Whether it was cut off.
            was_announced: Whether the service announced it by itself; otherwise it came of the
                processing of a frame.
        """
        if not stage.is_open:
            return
        if interrupted:
            stage.attributes[tags.INTERRUPTED] = True
        stage.settle_first_byte()
        turn = self._turns.current
        waits = False
        if tags.LLM_OUTCOME not in stage.attributes:
            outcome = "failed" if stage.failure is not None else None
            outcome = outcome or self.answers.outcome(stage, interrupted=interrupted)
            waits = outcome is None and turn is not None
            # Until it is played.
            stage.attributes[tags.LLM_OUTCOME] = outcome or "discarded"
        if stage.attributes.get(tags.LLM_SPECULATIVE) and turn is not None and turn.is_user_active:
            # It may still be discarded, as long as its turn holds it.
            self._speculative.intersection_update(turn.held)
            self._speculative.add(stage)
            self._hold(stage, at_ns, turn)
        elif waits or (was_announced and turn is not None and stage.parent is turn.stage):
            # Whether it is played, what it used, and that it failed may be reported later.
            assert turn is not None
            self._hold(stage, at_ns, turn)
        else:
            self.answers.release(stage)
            self._close(stage, at_ns)
            return
        if waits:
            self.answers.hold(stage, turn)

    # Speech

    def fail_synthesis(self, stage: Stage, at_ns: int) -> None:
        """Record that a synthesis failed: no more of it will come."""
        self.syntheses.stop(stage, at_ns)

    def fail_voice(self, processor: Processor, *, usable: bool | None) -> None:
        """Record that a service that speaks failed, so its answers do not count as discarded.

        Args:
            processor: The service.
            usable: Whether it can still do its job; None if not known.
        """
        processor.is_usable = usable is not False
        self._turns.confirm()
        self.answers.mark_used()

    def ask_speech(self, at_ns: int) -> None:
        """Record that the bot is to say something that does not come from a model."""
        if self._has_voice() and self._has_output():
            self._turns.begin_unheard(at_ns)
        else:
            self._turns.begin_bot_work(at_ns)

    def begin_own_voice(self) -> None:
        """Record that a processor of the user's, which is no service, begins to synthesize."""
        self._own_voice = OwnVoice()

    def end_own_voice(self) -> None:
        """Record that such a processor has synthesized all; some of it may still be played."""
        if self._own_voice is not None:
            self._own_voice.is_over = True

    def start_speaking(self, at_ns: int, line: Hashable = None) -> None:
        """Record that the bot begins to speak.

        Args:
            at_ns: When it begins.
            line: Where it speaks: an output, and one of its destinations; None if not known.
        """
        if line is not None:
            self._lines.add(line)
        if self._speech is not None:
            return
        turn = self._turns.current
        if turn is not None and turn.is_user_active and at_ns - self._cut_ns <= SAME_BREATH_NS:
            # What was already on its way out at the interruption. Audio written later shows
            # whether the bot really goes on.
            self._cut_may_go_on = True
            return
        self._cut_may_go_on = False
        synthesis, answer = self.syntheses.start_playing(at_ns)
        self._is_kept = synthesis is not None and synthesis.is_kept
        if not self._resume(at_ns):
            self._begin_speech(at_ns, synthesis, answer)

    def _begin_speech(self, at_ns: int, synthesis: Synthesis | None, answer: Answer | None) -> None:
        self.speech_count += 1
        self._speaks_aside = self.syntheses.is_backchannel(synthesis)
        if self._speaks_aside:
            around = self._stages.session.stage
            self._speech = self._stages.open(Kind.BOT_SPEECH, "bot", at_ns, parent=around)
            self.voice.begin(self._speech)
            return
        turn = self._turns.start_bot_speech(at_ns)
        turn.stage.output_ns = turn.stage.output_ns or at_ns
        self._speech = self._stages.open(Kind.BOT_SPEECH, "bot", at_ns, parent=turn.stage)
        self.voice.begin(self._speech)
        if (
            turn.by_user
            and turn.latency.silent_ns
            and tags.TURN_USER_BOT_LATENCY_SECONDS not in turn.stage.attributes
        ):
            turn.latency.settle(
                answer.stage.start_ns if answer is not None else 0,
                answer.token_ns if answer is not None else 0,
                synthesis.stage.start_ns if synthesis is not None else 0,
                synthesis.stage.output_ns or 0 if synthesis is not None else 0,
            )
            waited_ns = max(0, at_ns - turn.latency.silent_ns)
            turn.stage.attributes[tags.TURN_USER_BOT_LATENCY_SECONDS] = waited_ns / 1e9
            for part, secs in turn.latency.parts(at_ns).items():
                turn.stage.attributes[tags.turn_wait_seconds(part)] = secs

    def write_audio(
        self,
        at_ns: int,
        seconds: float = 0.0,
        frame_id: int | None = None,
        *,
        is_kept: bool = False,
    ) -> None:
        """Record that audio of the bot was written to the transport.

        Args:
            at_ns: When it was written.
            seconds: The length of the audio; 0 if not known.
            frame_id: The frame that holds it; None if not known.
            is_kept: Whether it is spoken to its end even if the user interrupts.
        """
        if is_kept and self._speech is None:
            # It was waiting behind what the user cut off: Pipecat announces no other speech.
            self._cut_ns = 0
            self.start_speaking(at_ns)
        self._is_kept = is_kept
        for synthesis, answer in self.syntheses.write(seconds, at_ns):
            is_answer = synthesis is not None and not synthesis.is_backchannel
            if is_answer and self._speaks_aside and self._speech is not None:
                # The answer begins before the backchannel has ended.
                self.voice.end()
                self._stages.close(self._speech, at_ns)
                self._begin_speech(at_ns, synthesis, answer)
        if self._cut_may_go_on and at_ns - self._cut_ns > SAME_BREATH_NS:
            self.start_speaking(at_ns)
        self._last_audio_ns = at_ns
        before, self._source = self._source, self._source_now()
        goes_on = self._was_more_queued or _goes_on(before, self._source)
        self.voice.write(frame_id, seconds, goes_on=goes_on)
        self._was_more_queued = self.syntheses.arrived_unwritten_secs > seconds
        if isinstance(self._source, Stage) and not self._source.is_open:
            self._source = None  # no more of that response is to come

    def stop_speaking(self, at_ns: int, line: Hashable = None) -> None:
        """Record that the bot fell silent; it speaks on while any line of it does.

        The speech ends when the last audio was written, if known: Pipecat announces the silence
        only after a pause of 0.35 s, or 3 s with some outputs.

        Args:
            at_ns: When it fell silent.
            line: Where it fell silent; None for everywhere.
        """
        if line is None:
            self._lines.clear()
        self._lines.discard(line)
        if self._lines:
            return
        goes_on = self._is_more_to_come()
        self.syntheses.stop_playing(at_ns)
        if self._own_voice is not None and self._own_voice.is_over:
            self._own_voice = None
        speech, self._speech = self._speech, None
        self._cut_may_go_on = self._speaks_aside = False
        if speech is None:
            return
        end_ns = at_ns
        if speech.start_ns < self._last_audio_ns < at_ns:
            end_ns = self._last_audio_ns
        heard = self.voice.end()
        turn = self._turns.current
        if goes_on and heard is not None and turn is not None and turn.stage is speech.parent:
            # The audio ran dry in the middle of an answer.
            self._paused = PausedSpeech(heard, turn, self._source)
            self._stages.end(speech, end_ns)
            turn.hold(speech)
        else:
            self._stages.close(speech, end_ns)
        self._turns.stop_bot_speech(end_ns)

    def _source_now(self) -> Source | None:
        """Return what the audio that is played comes of, as far as is known."""
        return self.syntheses.playing or self._own_voice or self.realtime.latest

    def _is_more_to_come(self) -> bool:
        """Whether more may come of the answer that is being played."""
        source = self._source
        if isinstance(source, Stage):
            return source.is_open
        if isinstance(source, OwnVoice):
            return not source.is_over
        return source is not None and self.syntheses.is_more_to_come

    def _resume(self, at_ns: int) -> bool:
        """Go on with the speech that ran dry, if what is played now belongs to the same answer."""
        paused, self._paused = self._paused, None
        if paused is None or paused.turn is not self._turns.current:
            return False
        source = self._source_now()
        speech = paused.heard.stage
        if not _goes_on(paused.source, source) or not paused.turn.release(speech):
            return False
        self._turns.start_bot_speech(at_ns)
        speech.end_ns = None
        self._speech = speech
        self.voice.resume(paused.heard)
        return True

    def interrupt(self, at_ns: int) -> None:
        """Record that the bot is cut off: its speech and the syntheses for it end.

        Speech that is not interruptible goes on.
        """
        if self._is_kept and not (self._speech is None and self._paused is None):
            self.syntheses.drop_interruptible()
            self._cut_syntheses(at_ns)
            return
        paused, self._paused = self._paused, None
        if paused is not None and self._is_more_to_come():
            paused.heard.stage.attributes[tags.INTERRUPTED] = True
        self._turns.interrupt(at_ns)
        self._cut_ns = at_ns
        self._lines.clear()
        if self._speech is not None:
            self._speech.attributes[tags.INTERRUPTED] = True
            self.voice.cut_off(time.monotonic_ns(), self.syntheses.unwritten_secs)
            self._source = self._own_voice = None
            # The speech ends now, at the interruption, and not when audio was last written.
            self._last_audio_ns = 0
            self.stop_speaking(at_ns)
        self.syntheses.stop_playing(at_ns, cut_off=True)
        self._cut_syntheses(at_ns)

    def _cut_syntheses(self, at_ns: int) -> None:
        for stage in self.syntheses.interruptible:
            stage.attributes[tags.INTERRUPTED] = True
            self.syntheses.stop(stage, at_ns)
        self.realtime.end_all(at_ns, interrupted=True)

    def end(self, at_ns: int, *, cut_off: bool = False) -> None:
        """Record that the session ends: close what is open.

        Args:
            at_ns: When it ends.
            cut_off: Whether what was still to be played is discarded.
        """
        if cut_off and self._speech is not None:
            self.voice.cut_off(time.monotonic_ns(), self.syntheses.unwritten_secs)
        self._source = None
        self.stop_speaking(at_ns)
        for stage in self.syntheses.open:
            self.syntheses.stop(stage, at_ns)
        self.tools.end_all(at_ns)
        self.realtime.end_all(at_ns)

    def _end_synthesis(self, stage: Stage, at_ns: int) -> None:
        stage.settle_first_byte()
        if self._turns.unheard.has_stage(stage):
            self._turns.unheard.hold(stage, at_ns)
            self._turns.end_work(stage, at_ns)
        else:
            self._close(stage, at_ns)

    def _hold(self, stage: Stage, at_ns: int, turn: Turn) -> None:
        self._stages.end(stage, at_ns)
        turn.hold(stage)
        self._turns.end_work(stage, at_ns)

    def _close(self, stage: Stage, at_ns: int) -> None:
        self._stages.close(stage, at_ns)
        self._turns.end_work(stage, at_ns)
