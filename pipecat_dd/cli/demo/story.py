"""What is said in the demo: the user's lines, the model's answers, the weather."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pipecat_dd.cli.demo.provider import Answer, CallTool, Say


@dataclass(frozen=True, slots=True)
class Line:
    """Something the user says.

    Attributes:
        text: The words, as they were recorded.
        barges_in: Whether they are said while the bot is speaking, or when it has finished.
    """

    text: str
    barges_in: bool = False


HELLO = Line("Hello! What can you do for me?")
PARIS = Line("What is the weather in Paris right now?")
ROME = Line("Sorry, I meant the weather in Rome.", barges_in=True)
GOODBYE = Line("Thank you, goodbye.")

CONVERSATION = (HELLO, PARIS, ROME, GOODBYE)

INTRODUCTION = "Hello! I know the weather everywhere. Which city shall I look up?"
PARIS_REPORT = (
    "It is sunny in Paris, twenty two degrees, with a light wind from the west. "
    "Tomorrow will be cloudy, with some rain in the afternoon. "
    "The weekend looks bright and warm again."
)
ROME_REPORT = "In Rome it is raining, at eighteen degrees."
FAREWELL = "You are welcome. Goodbye!"

REPLIES = (INTRODUCTION, PARIS_REPORT, ROME_REPORT, FAREWELL)

_REPORTS = {"Paris": PARIS_REPORT, "Rome": ROME_REPORT}
_WEATHER = {
    "Paris": {"conditions": "sunny", "celsius": 22},
    "Rome": {"conditions": "rain", "celsius": 18},
}


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Answer as the demo's language model does.

    Args:
        messages: The conversation so far, in OpenAI's form.
        tools: The tools on offer.
    """
    last = messages[-1]
    if last["role"] == "tool":
        city = _last_city(messages)
        return Say(_REPORTS[city])
    words = str(last["content"])
    for city in _WEATHER:
        if city in words:
            return CallTool("get_weather", {"city": city})
    return Say(FAREWELL if "goodbye" in words else INTRODUCTION)


def _last_city(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        for call in message.get("tool_calls") or ():
            city: str = json.loads(call["function"]["arguments"])["city"]
            return city
    raise ValueError("a tool's result came without a call")


class WeatherService:
    """The web service that the bot's tool asks.

    The first request for Rome is answered with 503: a trace without a failure in it shows only
    half of what a trace is for. The bot tries again.
    """

    def __init__(self) -> None:
        self._failed = False
        self.routes = (web.get("/weather/{city}", self._weather),)

    async def _weather(self, request: web.Request) -> web.Response:
        city = request.match_info["city"]
        if city == "Rome" and not self._failed:
            self._failed = True
            return web.json_response({"error": "overloaded"}, status=503)
        return web.json_response(_WEATHER[city])
