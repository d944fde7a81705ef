"""The bot's side: responses of the model, and what is heard of them."""

from collections.abc import Callable

from pipecat_dd.conversation.answers import Answer, Answers
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.realtime import SAME_BREATH_NS, RealtimeResponses
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.syntheses import Syntheses, Synthesis
from pipecat_dd.conversation.tools import Tools
from pipecat_dd.conversation.turn import Turn
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags


class BotSide:
    """Follows what the bot does for its answers."""

    def __init__(
        self,
        stages: Stages,
        turns: Turns,
        has_voice: Callable[[], bool],
        can_speak: Callable[[], bool],
        has_output: Callable[[], bool],
    ) -> None:
        """Follow what the bot does.

        Args:
            stages: Opens and closes stages.
            turns: The turns its answers are part of.
            has_voice: Whether the pipeline synthesizes speech.
            can_speak: Whether what synthesizes it works.
            has_output: Whether it has an output that audio is known to arrive at.
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
        self._last_audio_ns = 0
        self._cut_ns = 0
        self._cut_may_go_on = False
        self.speech_count = 0

    # Responses of the model

    def begin_response(self, processor: Processor, at_ns: int, stage: Stage | None = None) -> Stage:
        """A model begins to respond.

        Args:
            processor: The service.
            at_ns: When it began to work on the context.
            stage: The stage that it has been at work in so far, where it has one.
        """
        turn = self._turns.begin_bot_work(at_ns)
        stage = self._stages.open_service(Kind.LLM, processor, at_ns, turn.stage, stage=stage)
        stage.attributes[tags.GEN_AI_OPERATION_NAME] = "chat"
        turn.set_response(at_ns)
        self.answers.begin(stage)
        self._turns.begin_work(turn, stage)
        return stage

    def withdraw_speculation(self) -> None:
        """What was inferred before the user had finished is thrown away: they had not."""
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
        """Output of the model came: text, or the request to call tools.

        Args:
            processor: The service.
            at_ns: When it came.
            spoken: Whether it is to be spoken, or read where the bot has no voice.
            speech: Whether it is speech already.
            read: Whether it is text that is only to be read.
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
        """A response ended, failed or was interrupted.

        Args:
            stage: The response's stage.
            at_ns: When.
            interrupted: Whether it was cut off.
            was_announced: Whether it was announced, rather than worked on in a visit.
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
            # Until it is heard.
            stage.attributes[tags.LLM_OUTCOME] = outcome or "discarded"
        if stage.attributes.get(tags.LLM_SPECULATIVE) and turn is not None and turn.is_user_active:
            # It may still be thrown away, as long as its turn holds it.
            self._speculative.intersection_update(turn.held)
            self._speculative.add(stage)
            self._hold(stage, at_ns, turn)
        elif waits or (was_announced and turn is not None and stage.parent is turn.stage):
            # Whether it is heard, that it failed, and what it used, may be known after its end.
            assert turn is not None
            self._hold(stage, at_ns, turn)
        else:
            self.answers.let_go(stage)
            self._close(stage, at_ns)
            return
        if waits:
            self.answers.hold(stage, turn)

    # Speech

    def fail_synthesis(self, stage: Stage, at_ns: int) -> None:
        """A synthesis failed: no more of it will come.

        Args:
            stage: The synthesis's stage.
            at_ns: When.
        """
        self.syntheses.stop(stage, at_ns)

    def fail_voice(self, processor: Processor, *, usable: bool | None) -> None:
        """What speaks failed, so that an answer is not heard that nobody threw away.

        Args:
            processor: The service.
            usable: Whether it can still do its job, where that is known.
        """
        processor.is_usable = usable is not False
        self._turns.confirm()
        self.answers.use()

    def ask_speech(self, at_ns: int) -> None:
        """The bot is to say something that is no model's.

        Args:
            at_ns: When.
        """
        if self._has_voice() and self._has_output():
            self._turns.begin_unheard(at_ns)
        else:
            self._turns.begin_bot_work(at_ns)

    def start_speaking(self, at_ns: int) -> None:
        """The bot is heard."""
        if self._speech is not None:
            return
        turn = self._turns.current
        if turn is not None and turn.is_user_active and at_ns - self._cut_ns <= SAME_BREATH_NS:
            # What was on its way out when it was cut off. What is written later tells.
            self._cut_may_go_on = True
            return
        self._cut_may_go_on = False
        self._begin_speech(at_ns, *self.syntheses.start_playing(at_ns))

    def _begin_speech(self, at_ns: int, synthesis: Synthesis | None, answer: Answer | None) -> None:
        self.speech_count += 1
        self._speaks_aside = self.syntheses.is_backchannel(synthesis)
        if self._speaks_aside:
            around = self._stages.session.stage
            self._speech = self._stages.open(Kind.BOT_SPEECH, "bot", at_ns, parent=around)
            return
        turn = self._turns.start_bot_speech(at_ns)
        turn.stage.output_ns = turn.stage.output_ns or at_ns
        self._speech = self._stages.open(Kind.BOT_SPEECH, "bot", at_ns, parent=turn.stage)
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

    def write_audio(self, at_ns: int, seconds: float = 0.0) -> None:
        """Audio of the bot's was written to the transport."""
        for synthesis, answer in self.syntheses.write(seconds, at_ns):
            is_answer = synthesis is not None and not synthesis.is_backchannel
            if is_answer and self._speaks_aside and self._speech is not None:
                # The answer begins before the backchannel has died away.
                self._stages.close(self._speech, at_ns)
                self._begin_speech(at_ns, synthesis, answer)
        if self._cut_may_go_on and at_ns - self._cut_ns > SAME_BREATH_NS:
            self.start_speaking(at_ns)
        self._last_audio_ns = at_ns

    def stop_speaking(self, at_ns: int) -> None:
        """The bot fell silent.

        That is when the last audio was written, where that is known: Pipecat announces it
        only after a pause of 0.35 s, with some outputs 3 s.
        """
        self.syntheses.stop_playing(at_ns)
        speech, self._speech = self._speech, None
        self._cut_may_go_on = self._speaks_aside = False
        if speech is None:
            return
        end_ns = at_ns
        if speech.start_ns < self._last_audio_ns < at_ns:
            end_ns = self._last_audio_ns
        self._stages.close(speech, end_ns)
        self._turns.stop_bot_speech(end_ns)

    def interrupt(self, at_ns: int) -> None:
        """What the bot was saying is cut off: its speech and the syntheses for it."""
        self._turns.interrupt(at_ns)
        self._cut_ns = at_ns
        if self._speech is not None:
            self._speech.attributes[tags.INTERRUPTED] = True
            # What was written last is what was heard last; the cut is now all the same.
            self._last_audio_ns = 0
            self.stop_speaking(at_ns)
        self.syntheses.stop_playing(at_ns, cut_off=True)
        for stage in self.syntheses.open:
            stage.attributes[tags.INTERRUPTED] = True
            self.syntheses.stop(stage, at_ns)
        self.realtime.end_all(at_ns, interrupted=True)

    def end(self, at_ns: int) -> None:
        """The session ends: close what is open."""
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
