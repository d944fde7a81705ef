"""The demo's page: the same conversation as in the terminal, while it goes on."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipecat_dd.cli.demo.page import demo_page
from tests.cli.view.served import span

import msgpack  # isort: skip


async def test_what_the_bot_sends_and_logs_is_on_the_page_and_at_the_agent(tmp_path: Path) -> None:
    log = tmp_path / "bot.jsonl"
    log.write_text(json.dumps({"session_id": "old", "message": "an earlier demo's"}) + "\n")

    def asked(url: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(url, data=body, method="PUT" if body else "GET")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    async with demo_page(log) as page, demo_page(tmp_path / "other.jsonl") as agent:
        page.intake.forward_to(agent.agent_url)
        body = msgpack.packb([[span("pipecat.turn", 2)]])
        await asyncio.to_thread(asked, f"{page.agent_url}/v0.4/traces", body)
        log.write_text(json.dumps({"session_id": "s-1", "message": "hello"}) + "\n")
        async with asyncio.timeout(10):
            while not page.store.summaries()[0]["line_count"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        token = urlsplit(page.url).query
        listed = await asyncio.to_thread(asked, f"{page.agent_url}/api/sessions?{token}")
        assert [(one["id"], one["line_count"]) for one in listed["sessions"]] == [("s-1", 1)]
        assert [one["id"] for one in agent.store.summaries()] == ["s-1"]
