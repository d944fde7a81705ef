"""A bot that holds two turns and ends, in a process of its own: ddtrace reads where to at import.

``python -m tests.support.mini_agent_bot --trace-scope turn --frame-spans all``
"""

import argparse
import asyncio

import ddtrace.auto  # noqa: F401  as most bots have it
from ddtrace.trace import tracer

from pipecat_dd import DatadogObserver, configure_logging
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema, split_sentences_offline
from tests.support.bot import Bot


def script(messages: list[dict[str, object]], tools: list[dict[str, object]]) -> Answer:
    if messages[-1]["role"] == "user" and "weather" in str(messages[-1]["content"]):
        return CallTool("get_weather", {"city": "Paris"})
    return Say("Fine, thank you.")


async def talk(trace_scope: str, frame_spans: str) -> None:
    async def weather(params: object) -> None:
        await params.result_callback({"sky": "blue"})  # type: ignore[attr-defined]

    observer = DatadogObserver(
        session_id=f"mini-{trace_scope}-{frame_spans}",
        metrics=True,
        trace_scope=trace_scope,
        frame_spans=frame_spans,
    )
    tools = ToolsSchema(standard_tools=[FunctionSchema("get_weather", "Looks.", {}, [])])
    async with Bot(
        observer,
        script=script,
        tools=tools,
        register=lambda llm: llm.register_function("get_weather", weather),
    ) as bot:
        bot.llm.register_function("get_weather", weather)
        await bot.ask("How are you?")
        await bot.ask("What is the weather?")
        await bot.end()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trace-scope", default="session")
    parser.add_argument("--frame-spans", default="notable")
    options = parser.parse_args()
    split_sentences_offline()
    configure_logging("/dev/null")
    asyncio.run(talk(options.trace_scope, options.frame_spans))
    tracer.shutdown()


if __name__ == "__main__":
    main()
