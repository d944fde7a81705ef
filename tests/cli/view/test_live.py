"""A real bot, the real server and the real page, in a browser while the bot talks."""

import signal

import pytest

from tests.cli.view.bots import PLAIN_BOT, viewing
from tests.support.chromium import Page, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


async def test_the_page_shows_a_call_while_it_goes_on_with_its_lines(page: Page) -> None:
    async with viewing(*PLAIN_BOT, "--end=waits", "--turns=2") as viewed:
        await page.open(f"{viewed.url}/?token={viewed.token}")
        await viewed.until(b"TALKED")
        await page.until("document.querySelector('a[href*=\"#/call/\"]')", timeout_secs=5)
        (summary,) = (await viewed.get("/api/sessions"))["sessions"]
        assert summary["is_live"]
        await page.open(f"{viewed.url}/?token={viewed.token}#/call/{summary['id']}")
        await page.until("document.querySelectorAll('.turn-list > *').length >= 2")
        await page.until("document.querySelector('#lines .row')")
        await page.open("about:blank")  # what is cut off is a problem of the page's
        viewed.signal(signal.SIGTERM)
        await viewed.end()
