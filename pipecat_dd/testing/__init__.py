"""Test your own bot: check the spans and log lines that it would send to Datadog.

`capture` records all spans and log lines of the sessions that run in a block. It sends nothing and
needs no Agent. Check the results afterwards::

    async def test_the_bot_looks_the_weather_up():
        with capture() as captured:
            await run_my_bot("What's the weather in Rome?")

        session = captured.session()
        tool = session.one("pipecat.tool", "get_weather")
        assert tool.parent.name == "pipecat.llm"
        assert tool.tags["tool.outcome"] == "completed"
        assert [line["message"] for line in tool.lines] == ["Looking up the weather in Rome"]
        assert not session.errors

It works with any test framework, or none. As a pytest fixture::

    @pytest.fixture
    def captured():
        with capture() as captured:
            yield captured
"""

from pipecat_dd.testing.captured import CapturedSession, CapturedSpan
from pipecat_dd.testing.capturing import Captured, capture

__all__ = ["Captured", "CapturedSession", "CapturedSpan", "capture"]
