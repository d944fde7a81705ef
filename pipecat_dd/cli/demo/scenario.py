"""The scenario of the demo: the user's lines, the model's answers, and the weather service."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pipecat_dd.cli.demo.provider import Answer, CallTool, Say


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the user.

    Attributes:
        text: The words, exactly as they were recorded.
        barges_in: Whether the user interrupts the bot, or waits until it has finished.
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
    """Return the answer of the demo's language model.

    Args:
        messages: The conversation so far, in OpenAI's format.
        tools: The tools that the model may call; this one always calls ``get_weather``.
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
    """The web service that the bot's tool calls.

    It answers the first request for Rome with 503, so that the trace shows a failure and a retry.
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
