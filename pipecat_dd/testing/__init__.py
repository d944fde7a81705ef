"""For tests of your own bot: what of it would be seen in Datadog.

`capture` keeps, for a block, all spans and lines of the sessions that run in it, and sends
nothing; no Agent is needed. Then ask it::

    async def test_the_bot_looks_the_weather_up():
        with capture() as seen:
            await run_my_bot("What's the weather in Rome?")

        session = seen.session()
        tool = session.one("pipecat.tool", "get_weather")
        assert tool.parent.name == "pipecat.llm"
        assert tool.tags["tool.outcome"] == "completed"
        assert [line["message"] for line in tool.lines] == ["Looking up the weather in Rome"]
        assert not session.errors

Needs no test framework, and works with any. As a fixture of pytest's::

    @pytest.fixture
    def seen():
        with capture() as seen:
            yield seen
"""

from pipecat_dd.testing.capturing import Seen, capture
from pipecat_dd.testing.seen import SeenSession, SeenSpan

__all__ = ["Seen", "SeenSession", "SeenSpan", "capture"]
