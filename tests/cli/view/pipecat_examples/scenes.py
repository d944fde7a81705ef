"""Calls with some of Pipecat's examples: what the user says, and what the model answers."""

from collections.abc import Callable
from typing import Any

from pipecat_dd.cli.demo.provider import Answer, CallTool, Say, Script
from tests.cli.view.pipecat_examples.phones import Phone
from tests.cli.view.pipecat_examples.run import Example, Providers

WEATHER = "What is the weather in Paris right now?"
ROME = "Sorry, I meant the weather in Rome."
HELLO = "Hello! What can you do for me?"
GOODBYE = "Thank you, goodbye."
GREETING = "Hello! How can I help you?"
NICE = "It is nice in Paris, at seventy five degrees."
LONG = "The forecast for Paris is a little longer than usual. " * 4


def model(answers: dict[str, Answer], *, greets: str = GREETING) -> Script:
    """Return a model that answers by the last message: a user's words, or a tool's result.

    Args:
        answers: Answers by a part of the last message; the first that fits is given.
        greets: The answer to all else.
    """

    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        last = str(messages[-1].get("content"))
        return next((answer for part, answer in answers.items() if part in last), Say(greets))

    return script


def answer_or_classify(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Answer, or say whether a person speaks: the two models differ by their instructions."""
    if "voicemail" in str(messages[0].get("content")).lower():
        return Say("CONVERSATION")
    return Say("It is sunny in Paris." if WEATHER in str(messages[-1]) else GREETING)


def talk(
    *texts: str, greets: bool = True, bot_ends: bool = False, last: str = ""
) -> Callable[[Phone, Providers], Any]:
    """Return a talk: the user says each text once the bot has spoken, and hears the answer.

    Args:
        *texts: What the user says.
        greets: Whether the bot speaks first.
        bot_ends: Whether the bot ends the call; else the user does.
        last: The last sentence, if the bot says another before it and may be silent between.
    """

    async def talking(phone: Phone, providers: Providers) -> None:
        if greets:
            await phone.listens()
        for text in texts:
            providers.deepgram.hears = text
            await phone.says(text)
            if last and text == texts[-1]:
                await providers.cartesia.until_said(last)
                phone.forgets()
            await phone.listens()
        if bot_ends:
            await phone.until_hung_up()

    return talking


async def cut_in(phone: Phone, providers: Providers) -> None:
    await phone.listens()
    providers.deepgram.hears = WEATHER
    await phone.says(WEATHER)
    await phone.hears_speech()
    providers.deepgram.hears = ROME
    await phone.says(ROME)
    await phone.listens()


async def stay_silent(phone: Phone, providers: Providers) -> None:
    await phone.until_hung_up()


async def press_keys(phone: Phone, providers: Providers) -> None:
    await phone.listens()
    for key in "2", "3":
        await phone.presses(key)
        await phone.listens()


async def talk_to_realtime(phone: Phone, providers: Providers) -> None:
    await phone.listens()
    providers.realtime.calls = [("get_current_weather", {"location": "Paris", "format": "celsius"})]
    await providers.realtime.hears(WEATHER)
    await phone.listens()


async def be_handed_over(phone: Phone, providers: Providers) -> None:
    await phone.listens()
    await phone.says("Tell me about the rocket boots.")
    await phone.listens()
    await phone.says(GOODBYE)
    await phone.until_hung_up()


EXAMPLES = {
    "function calling": Example(
        "getting-started/07-function-calling.py",
        "twilio",
        model(
            {
                "conditions": Say(NICE),
                WEATHER: CallTool(
                    "get_current_weather", {"location": "Paris", "format": "celsius"}
                ),
            }
        ),
        talk(WEATHER, last=NICE),
        parts={
            "turn": 2,
            "user_speech": 1,
            "stt": 1,
            "llm": 3,
            "tool": 1,
            "tts": 3,
            "bot_speech": 3,
        },
        is_quick=True,
    ),
    "voice agent": Example(
        "getting-started/06-voice-agent.py",
        "webrtc",
        model({WEATHER: Say("It is sunny in Paris."), GOODBYE: Say("Goodbye!")}),
        talk(WEATHER, GOODBYE),
        parts={"turn": 3, "user_speech": 2, "stt": 2, "llm": 3, "tts": 3, "bot_speech": 3},
        is_quick=True,
    ),
    "hand over": Example(
        "multi-worker/local-handoff/local-handoff-two-agents.py",
        "eval",
        model(
            {
                "rocket boots": CallTool(
                    "transfer_to_agent", {"agent": "support", "reason": "asks about a product"}
                ),
                "asks about a product": Say("The boots run up to sixty miles an hour."),
                GOODBYE: CallTool("end_conversation", {"reason": "the user said goodbye"}),
                "the user said goodbye": Say("Goodbye!"),
            }
        ),
        be_handed_over,
        parts={"turn": 3, "llm": 5, "tool": 2, "tts": 3, "bot_speech": 3},
        is_quick=True,
    ),
    "own observers": Example(
        "turn-management/turn-management-turn-tracking-observer.py",
        "daily",
        model({WEATHER: Say("It is sunny in Paris.")}),
        says=(WEATHER,),
        hears=WEATHER,
        parts={"turn": 2, "user_speech": 1, "stt": 1, "llm": 2, "tts": 2, "bot_speech": 2},
    ),
    "interruption": Example(
        "turn-management/turn-management-interruption-config.py",
        "twilio",
        model({WEATHER: Say(LONG.strip()), ROME: Say("In Rome it is raining.")}),
        cut_in,
        parts={"turn": 3, "user_speech": 2, "stt": 2, "llm": 3, "tts": 3, "bot_speech": 3},
    ),
    "idle user": Example(
        "turn-management/turn-management-detect-user-idle.py",
        "twilio",
        model({"been quiet": Say("Are you there?"), "still inactive": Say("Shall we go on?")}),
        stay_silent,
        parts={"turn": 4, "llm": 3, "tts": 4, "bot_speech": 4},
        end_reason="ended",
    ),
    "speech to speech": Example(
        "realtime/realtime-openai.py",
        "webrtc",
        model({}),
        talk_to_realtime,
        parts={"turn": 2, "user_speech": 1, "llm": 3, "tool": 1, "bot_speech": 2},
    ),
    "flow": Example(
        "flows/food_ordering.py",
        "webrtc",
        model(
            {
                HELLO: CallTool("choose_pizza"),
                "handling a pizza": Say("Which pizza would you like?"),
                WEATHER: CallTool("select_pizza_order", {"size": "small", "pizza_type": "cheese"}),
                "Read back": Say("A small pizza with cheese, is that right?"),
                GOODBYE: CallTool("complete_order"),
                "end the conversation": Say("Thank you, goodbye!"),
            }
        ),
        talk(HELLO, WEATHER, GOODBYE, bot_ends=True),
        variables={"LLM_PROVIDER": "openai"},
        parts={
            "turn": 4,
            "user_speech": 3,
            "stt": 3,
            "llm": 7,
            "tool": 3,
            "tts": 4,
            "bot_speech": 4,
        },
        end_reason="ended",
    ),
    "voicemail": Example(
        "features/features-voicemail-detection.py",
        "twilio",
        answer_or_classify,
        talk(HELLO, WEATHER, greets=False),
        parts={"turn": 2, "user_speech": 2, "stt": 2, "llm": 3, "tts": 2, "bot_speech": 2},
    ),
    "keys": Example(
        "features/features-dtmf-menu.py",
        "twilio",
        model(
            {
                "DTMF: 2": Say("We are at 123 Main Street."),
                "DTMF: 3": Say("Please enter your number."),
            }
        ),
        press_keys,
        parts={"turn": 3, "llm": 3, "tts": 3, "bot_speech": 3},
    ),
    "media over QUIC": Example(
        "transports/transports-moq.py",
        "moq",
        model(
            {
                WEATHER: Say("It is sunny in Paris."),
                GOODBYE: CallTool("end_call"),
                "success": Say("Goodbye, take care!"),
            }
        ),
        talk(WEATHER, GOODBYE, bot_ends=True),
        parts={"turn": 3, "user_speech": 2, "stt": 2, "llm": 4, "tool": 1, "tts": 3},
        end_reason="ended",
        needs="moq",
    ),
}
