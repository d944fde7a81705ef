"""The bot's side: responses of the model, syntheses, tool calls, and what is heard of them."""

from collections.abc import Callable

from pipecat_dd.knowing.announced import SAME_BREATH_NS, Announced
from pipecat_dd.knowing.processor import Processor
from pipecat_dd.knowing.stage import Failure, Kind, Stage
from pipecat_dd.knowing.stages import Stages
from pipecat_dd.knowing.turns import Turn, Turns

MAX_ASKED = 256
"""How many calls that were asked for are remembered until they run. Some never do: of a function
that nobody registered, or in a response that was cut off."""

LATENCY = "turn.user_bot_latency_seconds"


class BotSide:
    """Follows what the bot does for its answers."""

    def __init__(
        self,
        stages: Stages,
        turns: Turns,
        has_voice: Callable[[], bool],
    ) -> None:
        """Follow what the bot does.

        Args:
            stages: Opens and closes stages.
            turns: The turns its answers are part of.
            has_voice: Whether the pipeline synthesizes speech.
        """
        self._stages = stages
        self._turns = turns
        self._has_voice = has_voice
        self._syntheses: dict[tuple[Processor, str], Stage] = {}
        self._calls: dict[str, Stage] = {}
        self._asked: dict[str, tuple[int, Stage | None]] = {}
        self.announced = Announced(turns, self.response_begins, self.response_ends)
        self._speculative: set[Stage] = set()
        self._asides: set[Stage] = set()
        self._speaks_aside = False
        self._speech: Stage | None = None
        self._last_audio_ns = 0
        self._cut_ns = 0
        self._cut_may_go_on = False
        self.speech_count = 0

    # Responses of the model

    def response_begins(self, processor: Processor, at_ns: int) -> Stage:
        """A model begins to respond.

        Args:
            processor: The service.
            at_ns: When it began to work on the context.
        """
        turn = self._turns.bot_begins(at_ns)
        stage = self._open_service(Kind.LLM, processor, at_ns, turn.stage)
        stage.facts["gen_ai.operation.name"] = "chat"
        if not turn.bot_spoke:
            turn.waited.asked_ns = turn.waited.asked_ns or at_ns
            turn.waited.responded_ns = at_ns
            turn.waited.token_ns = 0
        self._turns.begins(turn, stage)
        return stage

    def speculation_withdrawn(self) -> None:
        """What was inferred before the user had finished is thrown away: they had not."""
        for stage in self._speculative:
            stage.facts["llm.outcome"] = "discarded"
        self._speculative.clear()

    def response_output(
        self, processor: Processor, at_ns: int, *, spoken: bool, speech: bool = False
    ) -> None:
        """Output of the model came: text, or the request to call tools.

        Args:
            processor: The service.
            at_ns: When it came.
            spoken: Whether it is to be spoken, or read where the bot has no voice.
            speech: Whether it is speech already.
        """
        stage = processor.stage
        if stage is None or stage.kind is not Kind.LLM:
            return
        if stage.output_ns is None:
            stage.output_ns = at_ns
        if speech:
            stage.facts["gen_ai.output.type"] = "speech"
        turn = self._turns.current
        if spoken and turn is not None and not turn.bot_spoke and not turn.waited.token_ns:
            turn.waited.token_ns = at_ns
        if spoken and turn is not None and stage in turn.busy:
            if self._has_voice():
                if not turn.bot_spoke:
                    turn.speech_pending = True
            else:
                turn.answered = True

    def response_ends(
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
            stage.facts["interrupted"] = True
        self._check_first_byte(stage)
        turn = self._turns.current
        if "llm.outcome" not in stage.facts:
            # The turn it was part of may be over by now.
            heard = stage.parent is not None and stage.parent.output_ns is not None
            if stage.failure is not None:
                outcome = "failed"
            elif interrupted:
                outcome = "interrupted" if heard else "discarded"
            else:
                outcome = "completed"
            stage.facts["llm.outcome"] = outcome
        if stage.facts.get("llm.speculative") and turn is not None and turn.user_active:
            # It may still be thrown away, as long as its turn holds it.
            self._speculative.intersection_update(turn.held)
            self._speculative.add(stage)
            self._hold(stage, at_ns, turn)
        elif was_announced and turn is not None and stage.parent is turn.stage:
            # That it failed, and what it used, may be said after its end.
            self._hold(stage, at_ns, turn)
        else:
            self._close(stage, at_ns)

    # Tool calls

    def tools_asked(self, processor: Processor, at_ns: int, call_ids: list[str]) -> None:
        """The model asked for tools to be called.

        Args:
            processor: The service whose response asks.
            at_ns: When.
            call_ids: The ids of the calls.
        """
        self.response_output(processor, at_ns, spoken=False)
        for call_id in call_ids:
            self._asked[call_id] = (at_ns, processor.stage)
        while len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def tool_begins(self, processor: Processor, at_ns: int, name: str, call_id: str) -> Stage:
        """A tool call is in progress.

        Args:
            processor: The service that runs it.
            at_ns: When it began to run.
            name: The function's name.
            call_id: The call's id.
        """
        turn = self._turns.bot_begins(at_ns)
        asked_ns, response = self._asked.pop(call_id, (at_ns, processor.stage))
        parent = response or turn.stage
        stage = self._stages.open(Kind.TOOL, name, at_ns, parent=parent, processor=processor)
        stage.facts["tool.name"] = name
        stage.facts["tool.call_id"] = call_id
        stage.facts["tool.wait_seconds"] = max(0, at_ns - asked_ns) / 1e9
        self._calls[call_id] = stage
        self._turns.begins(turn, stage)
        return stage

    def call(self, call_id: str) -> Stage | None:
        """Return the tool call of that id that is in progress.

        Args:
            call_id: The call's id.
        """
        return self._calls.get(call_id)

    def tool_ends(
        self, call_id: str, at_ns: int, outcome: str, failure: Failure | None = None
    ) -> None:
        """A tool call settled.

        Args:
            call_id: The call's id.
            at_ns: When it settled.
            outcome: ``completed``, ``failed``, ``timed_out`` or ``cancelled``.
            failure: What went wrong, if anything.
        """
        self._asked.pop(call_id, None)
        stage = self._calls.pop(call_id, None)
        if stage is None:
            return
        stage.facts["tool.outcome"] = outcome
        if failure is not None:
            stage.fail(failure)
        self._close(stage, at_ns)

    # Speech

    def synthesis_begins(
        self, processor: Processor, at_ns: int, context_id: str, *, aside: bool = False
    ) -> Stage:
        """Text is handed to synthesis; the first of a context begins its stage.

        Args:
            processor: The service.
            at_ns: When.
            context_id: Pipecat's id of what is spoken as one.
            aside: Whether it is a backchannel, said while the user goes on: no answer.
        """
        stage = self._syntheses.get((processor, context_id))
        if stage is not None and stage.is_open:
            return stage
        if aside:
            around = self._stages.session.stage
            stage = self._open_service(Kind.TTS, processor, at_ns, around)
            self._syntheses[processor, context_id] = stage
            self._asides.add(stage)
            return stage
        turn = self._turns.bot_begins(at_ns)
        turn.speech_pending = False
        if not turn.bot_spoke:
            turn.waited.text_ns = turn.waited.text_ns or at_ns
        stage = self._open_service(Kind.TTS, processor, at_ns, turn.stage)
        self._syntheses[processor, context_id] = stage
        self._turns.begins(turn, stage)
        return stage

    def synthesis_output(
        self, processor: Processor, at_ns: int, context_id: str | None, seconds: float
    ) -> None:
        """Synthesized audio came.

        Args:
            processor: The service.
            at_ns: When.
            context_id: What it belongs to, where the service says so.
            seconds: How much audio.
        """
        stage = self._synthesis(processor, context_id)
        if stage is not None:
            is_aside = stage in self._asides
            if self._speaks_aside and not is_aside and self._speech is not None:
                # The answer begins before the backchannel has died away.
                self.stops_speaking(at_ns)
                self.starts_speaking(at_ns)
            if stage.output_ns is None:
                stage.output_ns = at_ns
                if self._speech is None:
                    self._speaks_aside = is_aside
                turn = self._turns.current
                if turn is not None and not turn.bot_spoke and not is_aside:
                    turn.waited.audio_ns = turn.waited.audio_ns or at_ns
            stage.add("tts.audio_seconds", seconds)

    def synthesis_ends(self, processor: Processor, at_ns: int, context_id: str | None) -> None:
        """A synthesis is complete.

        Args:
            processor: The service.
            at_ns: When.
            context_id: What it belongs to, where the service says so.
        """
        stage = self._synthesis(processor, context_id)
        if stage is not None:
            self._end_synthesis(stage, at_ns)

    def synthesis_fails(self, stage: Stage, at_ns: int) -> None:
        """A synthesis failed: no more of it will come.

        Args:
            stage: The synthesis's stage.
            at_ns: When.
        """
        self._end_synthesis(stage, at_ns)

    def starts_speaking(self, at_ns: int) -> None:
        """The bot is heard."""
        if self._speech is not None:
            return
        turn = self._turns.current
        if turn is not None and turn.user_active and at_ns - self._cut_ns <= SAME_BREATH_NS:
            # What was on its way out when it was cut off. What is written later tells.
            self._cut_may_go_on = True
            return
        self._cut_may_go_on = False
        if self._speaks_aside:
            around = self._stages.session.stage
            self._speech = self._stages.open(Kind.BOT_SPEECH, "bot", at_ns, parent=around)
            self.speech_count += 1
            return
        turn = self._turns.bot_starts_speaking(at_ns)
        turn.stage.output_ns = turn.stage.output_ns or at_ns
        self._speech = self._stages.open(Kind.BOT_SPEECH, "bot", at_ns, parent=turn.stage)
        self.speech_count += 1
        if turn.by_user and turn.waited.silent_ns and LATENCY not in turn.stage.facts:
            waited_ns = max(0, at_ns - turn.waited.silent_ns)
            turn.stage.facts[LATENCY] = waited_ns / 1e9
            for name, secs in turn.waited.parts(at_ns).items():
                turn.stage.facts[f"turn.wait.{name}_seconds"] = secs

    def audio_written(self, at_ns: int) -> None:
        """Audio of the bot's was written to the transport."""
        if self._cut_may_go_on and at_ns - self._cut_ns > SAME_BREATH_NS:
            self.starts_speaking(at_ns)
        self._last_audio_ns = at_ns

    def stops_speaking(self, at_ns: int) -> None:
        """The bot fell silent.

        That is when the last audio was written, where that is known: Pipecat announces it
        only after a pause of 0.35 s, with some outputs 3 s.
        """
        speech, self._speech = self._speech, None
        self._cut_may_go_on = self._speaks_aside = False
        if speech is None:
            return
        end_ns = at_ns
        if speech.start_ns < self._last_audio_ns < at_ns:
            end_ns = self._last_audio_ns
        self._stages.close(speech, end_ns)
        self._turns.bot_stops_speaking(end_ns)

    def interrupted(self, at_ns: int) -> None:
        """What the bot was saying is cut off: its speech and the syntheses for it."""
        self._turns.interrupted(at_ns)
        self._cut_ns = at_ns
        if self._speech is not None:
            self._speech.facts["interrupted"] = True
            # What was written last is what was heard last; the cut is now all the same.
            self._last_audio_ns = 0
            self.stops_speaking(at_ns)
        for stage in list(self._syntheses.values()):
            stage.facts["interrupted"] = True
            self._end_synthesis(stage, at_ns)
        self.announced.end_all(at_ns, interrupted=True)

    def end(self, at_ns: int) -> None:
        """The session ends: close what is open."""
        self.stops_speaking(at_ns)
        for stage in list(self._syntheses.values()):
            self._end_synthesis(stage, at_ns)
        for call_id in list(self._calls):
            self.tool_ends(call_id, at_ns, "cancelled")
        self.announced.end_all(at_ns)

    def _open_service(self, kind: Kind, processor: Processor, at_ns: int, parent: Stage) -> Stage:
        service = processor.service() if processor.service is not None else None
        resource = processor.class_name
        if service is not None and service.model:
            resource = f"{resource} {service.model}"
        stage = self._stages.open(kind, resource, at_ns, parent=parent, processor=processor)
        if service is not None:
            stage.facts["gen_ai.provider.name"] = service.provider
            stage.know(gen_ai__request__model=service.model)
            stage.facts.update(service.facts)
            if service.by_websocket:
                stage.peer = service.provider
        return stage

    def _synthesis(self, processor: Processor, context_id: str | None) -> Stage | None:
        if context_id is not None:
            return self._syntheses.get((processor, context_id))
        # A service that does not name the context speaks one at a time.
        stage = processor.stage
        return stage if stage is not None and stage.kind is Kind.TTS else None

    def _end_synthesis(self, stage: Stage, at_ns: int) -> None:
        for key, open_stage in list(self._syntheses.items()):
            if open_stage is stage:
                del self._syntheses[key]
        self._asides.discard(stage)
        self._check_first_byte(stage)
        self._close(stage, at_ns)

    def _check_first_byte(self, stage: Stage) -> None:
        """Report a time to the first byte if there was one, and else none.

        Where no byte came Pipecat reports the time until the interruption. Where metrics are
        turned off it reports nothing, and the first output tells.
        """
        if stage.output_ns is None:
            for name in ("metrics.ttfb", "metrics.ttfa", "metrics.ttfat"):
                stage.facts.pop(name, None)
        else:
            stage.facts.setdefault("metrics.ttfb", (stage.output_ns - stage.start_ns) / 1e9)

    def _hold(self, stage: Stage, at_ns: int, turn: Turn) -> None:
        self._stages.end(stage, at_ns)
        turn.held.append(stage)
        self._turns.ends(stage, at_ns)

    def _close(self, stage: Stage, at_ns: int) -> None:
        self._stages.close(stage, at_ns)
        self._turns.ends(stage, at_ns)
