"""A program that is not ours reads the trace events: speedscope, which reads Chrome's traces.

Perfetto's own reader is in no package. speedscope is not in the repository: ``nox -s page`` gets it
from npm and says in ``SPEEDSCOPE`` where it is.
"""

import os
from pathlib import Path

import pytest
from aiohttp import web

from pipecat_dd.cli.report.chrome import trace_events
from tests.cli.view.calls import bad_call
from tests.support.chromium import chromium, needs_chromium
from tests.support.server import LOOPBACK

FOLDER = Path(os.environ.get("SPEEDSCOPE", "/nowhere"))

if not (FOLDER / "index.html").is_file():
    pytest.skip("SPEEDSCOPE names no folder: run nox -s page", allow_module_level=True)

pytestmark = [needs_chromium]


async def test_speedscope_shows_each_lane_with_all_that_is_in_it() -> None:
    call = bad_call().as_json()
    made = trace_events(call)
    lanes = {
        event["tid"]: event["args"]["name"]
        for event in made["traceEvents"]
        if event["name"] == "thread_name"
    }
    drawn = {event["tid"] for event in made["traceEvents"] if event["ph"] == "X"}

    async def trace(request: web.Request) -> web.Response:
        return web.json_response(made)

    app = web.Application()
    app.router.add_get("/call.json", trace)
    app.router.add_static("/", FOLDER)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        async with chromium() as browser:
            page = await browser.page(f"{url}/index.html#profileURL={url}/call.json")
            await page.until("document.body.innerText.includes('(1/')")
            shown = set()
            for number in range(1, len(drawn) + 1):
                await page.until(f"document.body.innerText.includes('({number}/{len(drawn)})')")
                (title,) = [
                    text
                    for text in (await page.js("document.body.innerText")).splitlines()
                    if f"({number}/" in text
                ]
                shown.add(title.rpartition(" (")[0].rpartition("pid 1), ")[2])
                await page.press("n")
            assert shown == {f"{lanes[thread]} (tid {thread})" for thread in drawn}
            assert page.problems == []
    finally:
        await runner.cleanup()
