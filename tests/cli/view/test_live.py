"""A real bot, the real server and the real page, in a browser while the bot talks."""

import signal
from pathlib import Path

import pytest

from pipecat_dd.cli.view.page import page_html
from tests.cli.view.bots import PLAIN_BOT, viewing
from tests.cli.view.calls import as_data, bad_call
from tests.cli.view.looking import SHOWN
from tests.cli.view.served import line, serving, span
from tests.support.chromium import Browser, Page, file_url, needs_chromium

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


@pytest.mark.parametrize("kind", ["view", "report"])
async def test_no_script_can_make_markup_or_code_of_a_text(
    browser: Browser, tmp_path: Path, kind: str
) -> None:
    async with serving() as served:
        await served.send([span("pipecat.session", 1, 0), span("pipecat.turn", 2)])
        await served.send_lines(line("hello", **{"dd.span_id": "2"}))
        page = await browser.page()
        if kind == "view":
            await page.open(f"{served.url}/?token={served.guard.token}#/call/s-1")
            await page.until("document.querySelector('#lines .row')")
        else:
            report = tmp_path / "report.html"
            report.write_text(page_html(as_data(bad_call()), "abc"), encoding="utf-8")
            await page.open(file_url(report))
            await page.until(SHOWN)
        assert page.problems == []
        for unsafe in (
            "document.body.innerHTML = '<b>'",
            "document.write('<b>')",
            "document.createElement('script').src = 'x.js'",
            "trustedTypes.createPolicy('default', {})",
        ):
            refused = (
                f"(() => {{ try {{ {unsafe}; return ''; }} catch (e) {{ return e.name; }} }})()"
            )
            assert await page.js(refused) == "TypeError", unsafe
        await page.close()
