"""Calls as the page gets them: what the server would send of conversations that never took place.

Everything is worked out from the arguments, so a test knows where on the page each thing must be.
Times are milliseconds since the epoch.
"""

import random
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind, span_name

Json = dict[str, Any]

NOON = 1_795_953_600_000.0
"""When calls begin, where nothing else is said: a noon in November 2026."""

WAIT = {
    "end_of_turn": 0.42,
    "transcription": 0.0,
    "preparation": 0.02,
    "llm": 0.38,
    "aggregation": 0.09,
    "synthesis": 0.21,
    "output": 0.03,
}
"""What a good answer waits for, in seconds."""


@dataclass
class Call:
    """A call in the making; what is asked of it happens at `now`, which it moves on.

    Attributes:
        id: The session's id.
        name: The bot's name.
        now: The time that the call has come to.
    """

    id: str
    name: str = "clinic-bot"
    now: float = NOON
    service: str = "clinic-bot"
    has_content: bool = True
    model: str = "gpt-4.1"
    spans: list[Json] = field(default_factory=list)
    lines: list[Json] = field(default_factory=list)
    summary: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = random.Random(self.id)
        self.trace = str(self._numbers.getrandbits(63))
        self.start = self.now
        self.root = self._id()
        self.participant: tuple[str, str] | None = None
        self._participant_span: Json | None = None
        self._participants = 0
        self._turns = 0
        self.log(self.root, f"Session {self.id} begins", logger="bot.main", function="run_bot")
        whole = self.span(Kind.STARTUP, "pipeline", self.now, 180, parent=self.root)
        for name, start, dur in (
            ("SileroVADAnalyzer", 4, 96),
            ("DeepgramSTTService", 12, 151),
            ("OpenAILLMService", 15, 22),
            ("CartesiaTTSService", 18, 143),
        ):
            self.span(Kind.STARTUP, name, self.now + start, dur, parent=whole["id"])
        self.now += 180

    def _id(self) -> str:
        return str(self._numbers.getrandbits(62) + 1)

    def span(
        self, kind: Kind | str, resource: str, start: float, dur: float, *, parent: str, **more: Any
    ) -> Json:
        """Add a span; a kind that is no ``Kind`` is the name of a library's."""
        made: Json = {
            "id": self._id(),
            "trace": self.trace,
            "parent": parent,
            "name": span_name(kind) if isinstance(kind, Kind) else kind,
            "resource": resource,
            "service": self.service,
            "start": start,
            "dur": dur,
            "error": False,
            "tags": {},
            "metrics": {},
        }
        if isinstance(kind, Kind):
            made["kind"] = str(kind)
            made["tags"] = {tags.SESSION_ID: self.id, tags.COMPONENT: "pipecat"}
        made["tags"] |= {key: str(value) for key, value in more.pop("tags", {}).items()}
        made["metrics"] |= more.pop("metrics", {})
        made |= more
        self.spans.append(made)
        return made

    def log(
        self,
        span: str,
        message: str,
        level: str = "INFO",
        *,
        at: float | None = None,
        logger: str = "pipecat.services",
        function: str = "process_frame",
        **more: Any,
    ) -> Json:
        """Add a line."""
        made: Json = {
            "n": len(self.lines),
            "t": self.now if at is None else at,
            "level": level,
            "msg": message,
            "span": span,
            "trace": self.trace,
            "logger": logger,
            "function": function,
            "line": 40 + len(message) % 300,
            "fields": {"environment": "prod"},
        }
        if self.participant is not None:
            made["participant"], made["participant_name"] = self.participant
        made |= more
        self.lines.append(made)
        return made

    def join(self, name: str, *, transport: str = "DailyTransport") -> None:
        """Let somebody join."""
        self._participants += 1
        self.participant = (f"p-{self._participants}", name)
        self._participant_span = self.span(
            Kind.PARTICIPANT,
            transport,
            self.now,
            0,
            parent=self.root,
            tags={tags.PARTICIPANT_NAME: name, tags.PARTICIPANT_ID: self.participant[0]},
        )
        event = self.span(
            Kind.PARTICIPANT_EVENT,
            "on_participant_joined",
            self.now + 1,
            12,
            parent=self._participant_span["id"],
        )
        self.log(event["id"], f"{name} joined", at=self.now + 2, logger="bot.main", function="join")
        self.now += 300

    def event(self, name: str, *, dur: float = 2, error: bool = False, **facts: Any) -> Json:
        """Let a service say that something has happened to it."""
        made = self.span(
            Kind.SERVICE_EVENT,
            name,
            self.now,
            dur,
            parent=self.root,
            error=error,
            tags=facts.pop("tags", {}),
        )
        self.log(made["id"], facts.pop("message", name), facts.pop("level", "WARNING"))
        return made

    def turn(
        self,
        user: str,
        bot: str,
        *,
        wait: dict[str, float] | None = None,
        tool: str | None = None,
        tool_error: str | None = None,
        heard_secs: float | None = None,
        gap: tuple[float, float] | None = None,
        lost: tuple[float, float] | None = None,
        blocked: tuple[str, float] | None = None,
        llm_error: str | None = None,
        frames: bool = True,
    ) -> Json:
        """Let the user ask and the bot answer.

        Args:
            user: What the user says; empty where the bot begins.
            bot: What the bot says.
            wait: What the answer waits for, in seconds.
            tool: A tool that the bot calls.
            tool_error: What the tool fails with.
            heard_secs: How much of the answer the user hears before cutting it off.
            gap: Where in the bot's speech its voice has a gap, and how long, in seconds.
            lost: The same of the user's audio.
            blocked: In which function the event loop is blocked, and how long, in seconds.
            llm_error: What the model's first request fails with.
            frames: Whether processors' work is there.
        """
        self._turns += 1
        turn = self.span(
            Kind.TURN,
            "user" if user else "bot",
            self.now,
            0,
            parent=self.root,
            metrics={tags.TURN_NUMBER: self._turns},
        )
        wait = WAIT | (wait or {})
        if tool:
            wait = {"tools": 0.8} | wait
        said = max(0.5, len(user) * 0.062) * 1000
        spoken = max(0.8, len(bot) * 0.058)
        at = self.now
        if user:
            at = self._hear(turn, user, said, wait, lost)
        else:
            wait = {part: wait[part] for part in ("preparation", "llm", "synthesis", "output")}
        end_of_wait = at + 1000 * sum(
            secs
            for part, secs in wait.items()
            if part not in ("end_of_turn", "transcription") or not user
        )
        if blocked:
            self._block(turn, at + 4, *blocked)
        at = self._think(turn, at + 1000 * wait["preparation"], wait, tool, tool_error, llm_error)
        answer = self._request(turn, at, 1000 * wait["llm"] + len(bot) * 6, bot, wait["llm"])
        self._speak(turn, end_of_wait, bot, spoken, heard_secs, gap, wait, answer)
        if frames:
            self._frames(turn, end_of_wait)
        if user:
            turn["metrics"] |= {tags.turn_wait_seconds(part): secs for part, secs in wait.items()}
            turn["metrics"][tags.TURN_USER_BOT_LATENCY_SECONDS] = sum(wait.values())
        turn["tags"][tags.TURN_OUTCOME] = "interrupted" if heard_secs else "answered"
        turn["tags"][tags.TURN_WAS_INTERRUPTED] = "true" if heard_secs else "false"
        turn["dur"] = self.now - turn["start"]
        for span in self.spans:
            if span["start"] >= turn["start"] and span is not turn and span["parent"] != self.root:
                span.setdefault("turn", turn["id"])
        self.now += 250 if heard_secs else 900
        return turn

    def _hear(
        self,
        turn: Json,
        user: str,
        said: float,
        wait: dict[str, float],
        lost: tuple[float, float] | None,
    ) -> float:
        start, end = self.now, self.now + said
        ruled = end + 1000 * wait["end_of_turn"]
        final = max(end + 230, ruled + 1000 * wait["transcription"] * (wait["transcription"] > 0))
        self.span(
            Kind.USER_SPEECH,
            "SileroVADAnalyzer",
            start,
            said,
            parent=turn["id"],
            tags={tags.USER_AUDIO_GAPS: f"{lost[0]:.3f}+{lost[1]:.3f}"} if lost else {},
            metrics={tags.USER_AUDIO_GAP_COUNT: int(bool(lost)), tags.USER_AUDIO_LEVEL_DBFS: -21.4},
        )
        stt = self.span(
            Kind.STT,
            "DeepgramSTTService nova-3",
            start,
            final - start,
            parent=turn["id"],
            tags={tags.GEN_AI_PROVIDER_NAME: "deepgram", tags.GEN_AI_REQUEST_MODEL: "nova-3"},
            metrics={tags.STT_FINALIZATION_SECONDS: (final - end) / 1000},
        )
        if self.has_content:
            stt["tags"][tags.STT_TRANSCRIPT] = user
        self.span(
            Kind.END_OF_TURN,
            "SmartTurnAnalyzer",
            end,
            ruled - end,
            parent=turn["id"],
            tags={tags.END_OF_TURN_OUTCOME: "completed"},
            metrics={tags.END_OF_TURN_PROBABILITY: 0.93},
        )
        self.log(turn["id"], "User started speaking", "DEBUG", at=start + 40)
        self.log(stt["id"], "Transcription is final", "DEBUG", at=final)
        return max(ruled, final if wait["transcription"] else 0)

    def _block(self, turn: Json, at: float, place: str, secs: float) -> None:
        block = self.span(
            Kind.BLOCKED,
            place,
            at,
            secs * 1000,
            parent=turn["id"],
            tags={
                tags.BLOCKED_LOCATION: "bot/records.py:88",
                tags.BLOCKED_STACK: "bot/main.py:41 on_turn\nbot/records.py:88 load_patient",
            },
            metrics={tags.BLOCKED_CPU_SECONDS: 0.02},
        )
        turn["metrics"][tags.TURN_BLOCKED_SECONDS] = secs
        self.log(
            block["id"],
            f"The event loop was blocked for {secs:.2f} s in {place}",
            "WARNING",
            at=at + secs * 1000,
            logger="pipecat_dd",
            function="report",
        )

    def _think(
        self,
        turn: Json,
        at: float,
        wait: dict[str, float],
        tool: str | None,
        tool_error: str | None,
        llm_error: str | None,
    ) -> float:
        if llm_error:
            llm = self._request(turn, at, 240, "", 0.2)
            llm["error"] = True
            llm["tags"] |= {
                tags.ERROR_TYPE: llm_error,
                tags.ERROR_MESSAGE: "Error code: 429 - rate limit reached for requests",
                tags.ERROR_STACK: f"Traceback (most recent call last):\n  …\nopenai.{llm_error}",
                tags.LLM_OUTCOME: "failed",
            }
            self.log(
                llm["id"],
                "OpenAILLMService exception: rate limit reached, trying again",
                "ERROR",
                at=at + 239,
                error={"kind": llm_error, "message": "rate limit", "stack": "Traceback …"},
            )
            turn["metrics"][tags.TURN_ERROR_COUNT] = 1
            at += 260
        if tool:
            asked = self._request(turn, at, 300, "", 0.28)
            secs = wait["tools"] - 0.32
            call = self.span(
                Kind.TOOL,
                tool,
                at + 305,
                secs * 1000,
                parent=asked["id"],
                error=bool(tool_error),
                tags={tags.TOOL_NAME: tool, tags.TOOL_OUTCOME: "completed"},
            )
            self.span(
                "http.request",
                "GET /slots",
                at + 310,
                secs * 1000 - 12,
                parent=call["id"],
                tags={"http.method": "GET", "http.status_code": "500" if tool_error else "200"},
                error=bool(tool_error),
            )
            self.log(
                call["id"],
                f"{tool} asks the practice's calendar",
                at=at + 307,
                logger="bot.tools",
                function=tool,
            )
            if tool_error:
                call["tags"] |= {
                    tags.ERROR_TYPE: tool_error,
                    tags.ERROR_MESSAGE: "the calendar did not answer",
                    tags.TOOL_OUTCOME: "failed",
                }
                turn["metrics"][tags.TURN_ERROR_COUNT] = 1
                self.log(
                    call["id"],
                    f"{tool} failed: the calendar did not answer",
                    "ERROR",
                    at=at + 304 + secs * 1000,
                    logger="bot.tools",
                    function=tool,
                    error={
                        "kind": tool_error,
                        "message": "the calendar did not answer",
                        "stack": f'Traceback (most recent call last):\n  File "bot/tools.py", '
                        f"line 31, in {tool}\n{tool_error}: the calendar did not answer",
                    },
                )
        return at + 1000 * wait.get("tools", 0.0)

    def _request(self, turn: Json, at: float, dur: float, text: str, ttfb: float) -> Json:
        llm = self.span(
            Kind.LLM,
            f"OpenAILLMService {self.model}",
            at,
            dur,
            parent=turn["id"],
            tags={
                tags.GEN_AI_PROVIDER_NAME: "openai",
                tags.GEN_AI_REQUEST_MODEL: self.model,
                tags.LLM_OUTCOME: "completed",
            },
            metrics={
                tags.METRICS_TTFB: ttfb,
                tags.GEN_AI_USAGE_INPUT_TOKENS: 420 + 60 * self._turns,
                tags.GEN_AI_USAGE_OUTPUT_TOKENS: 4 + len(text) // 4,
            },
        )
        if text and self.has_content:
            llm["tags"][tags.GEN_AI_OUTPUT_MESSAGES] = text
        request = self.span(
            "openai.request", "createChatCompletion", at + 1, dur - 2, parent=llm["id"]
        )
        http = self.span(
            "http.request",
            "POST /v1/chat/completions",
            at + 2,
            ttfb * 1000,
            parent=request["id"],
            tags={"http.method": "POST", "http.status_code": "200"},
        )
        self.log(llm["id"], "Generating chat from context", "DEBUG", at=at + 1)
        self.log(
            http["id"],
            'HTTP Request: POST https://api.openai.com/v1/chat/completions "HTTP/1.1 200 OK"',
            at=at + ttfb * 1000,
            logger="httpx",
            function="_send_single_request",
        )
        return llm

    def _speak(
        self,
        turn: Json,
        at: float,
        text: str,
        spoken: float,
        heard_secs: float | None,
        gap: tuple[float, float] | None,
        wait: dict[str, float],
        answer: Json,
    ) -> None:
        first_audio = at - 1000 * wait["output"]
        begun = first_audio - 1000 * wait["synthesis"]
        tts = self.span(
            Kind.TTS,
            "CartesiaTTSService sonic-3",
            begun,
            1000 * wait["synthesis"] + spoken * 260,
            parent=turn["id"],
            tags={tags.GEN_AI_PROVIDER_NAME: "cartesia", tags.TTS_VOICE: "71a7ad14"},
            metrics={
                tags.METRICS_TTFB: wait["synthesis"],
                tags.TTS_AUDIO_SECONDS: spoken,
                tags.METRICS_CHARACTER_COUNT: len(text),
            },
        )
        if self.has_content:
            tts["tags"][tags.TTS_TEXT] = text
        self.log(tts["id"], f"Generating TTS of {len(text)} characters", "DEBUG", at=begun)
        heard = spoken if heard_secs is None else heard_secs
        quiet = gap[1] if gap else 0.0
        speech = self.span(
            Kind.BOT_SPEECH,
            "bot",
            at,
            1000 * (heard + quiet),
            parent=turn["id"],
            metrics={
                tags.BOT_SPEECH_AUDIO_SECONDS: heard,
                tags.BOT_SPEECH_GAP_COUNT: int(bool(gap)),
                tags.BOT_SPEECH_GAP_SECONDS: quiet,
            },
        )
        if gap:
            speech["tags"][tags.BOT_SPEECH_GAPS] = f"{gap[0]:.3f}+{gap[1]:.3f}"
            turn["metrics"] |= {tags.TURN_VOICE_GAP_COUNT: 1, tags.TURN_VOICE_GAP_SECONDS: gap[1]}
            self.log(
                speech["id"],
                f"The bot's voice had a gap of {gap[1]:.2f} s",
                "WARNING",
                at=at + 1000 * sum(gap),
                logger="pipecat_dd",
                function="report",
            )
        if heard_secs is not None:
            speech["tags"][tags.INTERRUPTED] = "true"
            speech["metrics"][tags.BOT_SPEECH_UNHEARD_SECONDS] = spoken - heard_secs
            for cut in (answer, tts):
                if cut["start"] + cut["dur"] > at + 1000 * heard:
                    cut["tags"][tags.INTERRUPTED] = "true"
                    cut["dur"] = at + 1000 * heard - cut["start"]
            self.log(speech["id"], "The user cut the bot off", at=at + 1000 * heard)
        self.now = at + 1000 * (heard + quiet)

    def _frames(self, turn: Json, at: float) -> None:
        for name, frame, start, dur in (
            ("OpenAIUserContextAggregator", "UserStoppedSpeakingFrame", -900, 14),
            ("OpenAILLMService", "LLMContextFrame", -700, 12),
            ("CartesiaTTSService", "LLMTextFrame", -240, 26),
            ("DailyOutputTransport", "TTSAudioRawFrame", 0, 11),
        ):
            self.span(
                Kind.FRAME,
                f"{name} {frame}",
                max(turn["start"], at + start),
                dur,
                parent=turn["id"],
                tags={tags.FRAME_CLASS: frame, tags.PROCESSOR_NAME: f"{name}#0"},
            )

    def end(self, reason: str | None = "ended", *, outcome: str | None = None) -> "Call":
        """End the call; with no reason it goes on."""
        is_live = reason is None
        if self._participant_span is not None:
            self._participant_span["dur"] = self.now - self._participant_span["start"]
            if is_live:
                self.spans.remove(self._participant_span)
        if not is_live:
            self.now += 120
            self.log(self.root, "Session ends", logger="bot.main", function="run_bot")
            self.now += 20
            root = self.span(Kind.SESSION, self.name, self.start, self.now - self.start, parent="0")
            root["id"] = self.root
            del root["parent"]
            root["tags"][tags.SESSION_END_REASON] = str(reason)
            root["tags"][tags.TRANSPORT] = "DailyTransport"
            root["tags"][tags.PIPECAT_VERSION] = "1.14.0"
            if outcome:
                root["tags"][tags.SESSION_OUTCOME] = outcome
        self.summary = self._summarize(reason, outcome)
        return self

    def _of(self, kind: Kind) -> list[Json]:
        return [span for span in self.spans if span.get("kind") == kind]

    def _summarize(self, reason: str | None, outcome: str | None) -> Json:
        turns, blocks = self._of(Kind.TURN), self._of(Kind.BLOCKED)
        speeches = self._of(Kind.BOT_SPEECH)
        made: Json = {
            "id": self.id,
            "name": self.name,
            "service": self.service,
            "start": self.start,
            "is_live": reason is None,
            "turns": len(turns),
            "participants": self._participants,
            "participant_names": [
                span["tags"][tags.PARTICIPANT_NAME] for span in self._of(Kind.PARTICIPANT)
            ],
            "errors": sum(bool(span["error"]) for span in self.spans if "kind" in span),
            "slowest_answer_secs": max(
                (turn["metrics"].get(tags.TURN_USER_BOT_LATENCY_SECONDS, 0) for turn in turns),
                default=0,
            ),
            "voice_gap_count": sum(
                span["metrics"].get(tags.BOT_SPEECH_GAP_COUNT, 0) for span in speeches
            ),
            "voice_gap_secs": sum(
                span["metrics"].get(tags.BOT_SPEECH_GAP_SECONDS, 0) for span in speeches
            ),
            "blocked_count": len(blocks),
            "blocked_secs": sum(span["dur"] for span in blocks) / 1000,
            "interruptions": sum(
                turn["tags"].get(tags.TURN_WAS_INTERRUPTED) == "true" for turn in turns
            ),
            "span_count": len(self.spans),
            "line_count": len(self.lines),
            "dropped": 0,
        }
        if self.participant is not None and not made["participant_names"]:
            made["participant_names"] = [self.participant[1]]
        if reason is not None:
            made |= {"end": self.now, "end_reason": reason}
        if outcome:
            made["outcome"] = outcome
        return made

    def as_json(self) -> Json:
        """Return the call as ``GET /api/sessions/{id}`` does."""
        return {"session": self.summary, "spans": self.spans, "lines": self.lines, "seq": 0}


def good_call(id_: str = "2f6c1b0e-good", *, now: float = NOON, has_content: bool = True) -> Call:
    """A call in which everything went well."""
    call = Call(id_, now=now, has_content=has_content)
    call.join("Ada Marsh")
    call.turn("", "Good morning, this is the Riverside practice. How can I help you?")
    call.turn(
        "Hi, I would like to see the doctor some time this week.",
        "Of course. Would a morning or an afternoon suit you better?",
    )
    call.turn(
        "A morning, please.",
        "There is a slot on Thursday at twenty past nine. Shall I book it for you?",
        tool="find_slots",
    )
    call.turn(
        "Yes, that would be great.",
        "Done. You will get a text message with the details. Is there anything else?",
        tool="book_slot",
        wait={"tools": 0.7, "llm": 0.31},
    )
    call.turn("No, that is all. Thank you!", "You are welcome. Goodbye, Ada.")
    return call.end(outcome="booked")


def bad_call(id_: str = "9d41e7aa-bad", *, now: float = NOON, has_content: bool = True) -> Call:
    """A call with all that can go wrong: its tests know where."""
    call = Call(id_, now=now, has_content=has_content, model="gpt-4.1-mini")
    call.join("Tom Okafor")
    call.turn("", "Good morning, this is the Riverside practice. How can I help you?")
    call.turn(
        "I have got a really bad toothache, can I come in today?",
        "I am sorry to hear that. Let me see what I can do for you. Our dentist sees patients "
        "from nine until four, and emergencies are usually taken in right after lunch.",
        heard_secs=3.1,
        wait={"end_of_turn": 0.71, "llm": 0.55},
        lost=(1.2, 0.36),
    )
    call.turn(
        "Just tell me when!",
        "I can offer you a quarter past one this afternoon, with Doctor Lindqvist.",
        tool="find_slots",
        tool_error="CalendarTimeout",
        blocked=("bot.records.load_patient", 0.62),
        wait={"end_of_turn": 0.44, "preparation": 0.66, "tools": 1.9, "llm": 0.71},
        gap=(1.6, 0.48),
    )
    call.event(
        "on_connection_error",
        error=True,
        tags={tags.ERROR_TYPE: "ConnectionClosedError", tags.ERROR_MESSAGE: "no close frame"},
        message="CartesiaTTSService lost its connection",
    )
    call.now += 350
    call.event("on_connected", message="CartesiaTTSService is connected again", level="INFO")
    call.turn(
        "Yes, take that one.",
        "I have booked it. Please bring your insurance card, and come ten minutes early so that "
        "we can go through the form together.",
        tool="book_slot",
        llm_error="RateLimitError",
        wait={"llm": 1.24, "tools": 1.1, "transcription": 0.24, "synthesis": 0.64},
        gap=(2.2, 0.31),
    )
    call.turn("Fine.", "Thank you, and get well soon. Goodbye.", wait={"end_of_turn": 0.9})
    return call.end("cancelled", outcome="booked late")


def live_call(id_: str = "c07d33e5-live", *, now: float = NOON) -> Call:
    """A call that goes on: no span of the session nor of its participant is there yet."""
    call = Call(id_, now=now)
    call.join("Mia Ferrante")
    call.turn("", "Good morning, this is the Riverside practice. How can I help you?")
    call.turn(
        "Do you have my lab results?", "They came in yesterday. Everything is fine.", tool="labs"
    )
    return call.end(None)


def hostile_call(id_: str = "<img src=x onerror=alert(1)>") -> Call:
    """A call whose every word wants to be markup."""
    script = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
    call = Call(id_, name=script, service=script)
    call.join(script)
    call.turn(script, script, tool=script, tool_error=script, blocked=(script, 0.4))
    call.event(script, tags={script: script}, message=script)
    call.log(call.root, script, script, logger=script, function=script, fields={script: script})
    call.end(script, outcome=script)
    return call


def large_call(id_: str = "b16-large", *, spans: int = 10_000, lines: int = 20_000) -> Call:
    """A call of a given size, half an hour long and more."""
    call = Call(id_, name="marathon-bot")
    call.join("Grace Long")
    number = 0
    while len(call.spans) < spans - 30:
        number += 1
        call.turn(
            f"This is question number {number}, and it is a longer one.",
            f"This is the answer to question {number}; it is longer than the question was.",
            tool="look_up" if number % 3 == 0 else None,
            heard_secs=1.5 if number % 7 == 0 else None,
            gap=(1.0, 0.2) if number % 11 == 0 else None,
        )
    call.end()
    numbers = random.Random(7)
    while len(call.lines) < lines:
        span = numbers.choice(call.spans)
        call.log(
            span["id"],
            f"Line {len(call.lines)} of {span['resource']}",
            numbers.choice(("DEBUG", "DEBUG", "INFO", "WARNING")),
            at=span["start"] + numbers.random() * span["dur"],
        )
    call.lines.sort(key=lambda line: line["t"])
    for n, line in enumerate(call.lines):
        line["n"] = n
    call.summary["line_count"] = len(call.lines)
    return call


def several_calls() -> list[Call]:
    """A handful of calls as a list shows them, the newest last."""
    minute = 60_000.0
    calls = [good_call("4b8e02d1", now=NOON - 47 * minute)]
    calls[0].summary["participant_names"] = ["Joan Rivers"]
    for number, (name, who, reason, outcome, questions, slow) in enumerate(
        (
            ("clinic-bot", "Lena Fischer", "ended", "booked", 6, 0.0),
            ("pizza-bot", "+44 •••• 318", "idle_timeout", "abandoned", 2, 0.6),
            ("clinic-bot", "Raj Patel", "ended", "transferred", 9, 0.2),
            ("pizza-bot", "Noor Haddad", "ended", "ordered", 4, 0.1),
            ("clinic-bot", "Emil Sand", "failed", None, 1, 2.4),
        )
    ):
        call = Call(f"{number}a7f-{name}", name, NOON - (40 - 6 * number) * minute, service=name)
        call.join(who)
        call.turn("", "Hello! How can I help you?")
        for question in range(questions):
            call.turn(
                f"And this is question number {question + 1} of mine.",
                "That is a good question, and here is the answer to it.",
                wait={"llm": 0.36 + slow * (question % 2)},
                heard_secs=1.2 if question == 4 else None,
                llm_error="APIConnectionError" if reason == "failed" else None,
                gap=(0.9, 0.24) if question == 3 else None,
            )
        calls.append(call.end(reason, outcome=outcome))
    return [*calls, good_call(now=NOON - 5 * minute), bad_call(now=NOON - 3 * minute)]


def as_data(*calls: Call) -> Json:
    """Return calls as a report embeds them."""
    return {
        "sessions": [call.summary for call in calls],
        "calls": {call.id: call.as_json() for call in calls},
    }
