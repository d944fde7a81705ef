"""For tests of your own bot: which spans and log lines it would send to Datadog.

`capture` collects the spans and log lines of all sessions that run in a block. It sends nothing,
and needs no Agent::

    async def test_the_bot_looks_the_weather_up():
        with capture() as seen:
            await run_my_bot("What's the weather in Rome?")

        session = seen.session()
        tool = session.one("pipecat.tool", "get_weather")
        assert tool.parent.name == "pipecat.llm"
        assert tool.tags["tool.outcome"] == "completed"
        assert [line["message"] for line in tool.lines] == ["Looking up the weather in Rome"]
        assert not session.errors

It works with any test framework. As a fixture for pytest::

    @pytest.fixture
    def seen():
        with capture() as seen:
            yield seen
"""

from pipecat_dd.testing.capturing import Seen, capture
from pipecat_dd.testing.seen import SeenSession, SeenSpan

__all__ = ["Seen", "SeenSession", "SeenSpan", "capture"]


def __dir__() -> list[str]:
    return sorted(__all__)
