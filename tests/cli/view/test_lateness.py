"""How long after its end a span is on the page, in the demo's conversation, for each kind."""

import asyncio
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from pipecat_dd.cli.demo.page import demo_page
from pipecat_dd.cli.demo.run import LOG_FILE, converse

LATE_SECS = 2.5
TURN_END_SECS = 2.5
"""How long after its end it is known that a turn has ended, by default."""
KINDS = {
    *("startup", "participant", "user_speech", "stt", "end_of_turn", "llm", "tool", "tts"),
    *("bot_speech", "frame", "openai.request", "aiohttp.request", "turn", "open turn"),
}


async def follow(url: str, token: str, longest: dict[str, float]) -> None:
    """Follow the page's events to the session's end; note how late each kind's latest span was."""
    known: set[tuple[str, bool]] = set()
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        asked = {"since": "0", "token": token}
        async with http.get(f"{url}/api/events", params=asked) as stream:
            async for text in stream.content:
                if not text.startswith(b'data: {"session":') or b'"spans":' not in text[:100]:
                    continue
                now_ms = time.time() * 1000
                for span in json.loads(text.removeprefix(b"data: "))["spans"]:
                    key = (span["id"], is_open := span.get("open", False))
                    if key in known:
                        continue  # sent again: its turn is known now
                    known.add(key)
                    kind = "open turn" if is_open else span.get("kind") or span["name"]
                    late_secs = (now_ms - span["start"] - span["dur"]) / 1000
                    longest[kind] = max(longest.get(kind, 0.0), late_secs)
                if "session" in longest:
                    return


async def latest(folder: Path) -> dict[str, float]:
    """Run the demo's conversation; return how late the latest span of each kind was."""
    longest: dict[str, float] = {}
    async with demo_page(folder / LOG_FILE) as page:
        (token,) = (urlsplit(page.url).query.removeprefix("token="),)
        following = asyncio.create_task(follow(page.agent_url, token, longest))
        outcome = await converse(folder, lambda _: None, page=page)
        assert outcome.failure is None
        await asyncio.wait_for(following, 5)
    return longest


async def test_a_span_of_each_kind_is_on_the_page_soon_after_its_end(tmp_path: Path) -> None:
    # A machine that does something else may be late once; it is not late twice.
    best: dict[str, float] = {}
    for attempt in range(2):
        found = await latest(tmp_path / str(attempt))
        assert found.keys() >= KINDS
        best = {kind: min(secs, best.get(kind, secs)) for kind, secs in found.items()}
        best["turn"] = max(0.0, best["turn"] - TURN_END_SECS)
        if max(best.values()) < LATE_SECS:
            break
    assert {kind: secs for kind, secs in best.items() if secs >= LATE_SECS} == {}
