"""Pictures of the page's views.

    python -m tests.cli.view.screenshots DIRECTORY [--for-docs]

They need chromium, and look best where the fonts Inter and JetBrains Mono are installed (Debian's
``fonts-inter`` and ``fonts-jetbrains-mono``). ``--for-docs`` takes those of ``docs/images``: the
score is of the demo's conversation, and ``pngquant`` makes them small, where it is installed.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from pipecat_dd.cli.demo.page import demo_page
from pipecat_dd.cli.demo.run import LOG_FILE, converse
from pipecat_dd.cli.view.page import page_html
from tests.cli.view.calls import Call, Json, as_data, bad_call, good_call, live_call, several_calls
from tests.cli.view.looking import SHOWN, open_call
from tests.cli.view.serving import NONCE, serving
from tests.support.chromium import Browser, Page, chromium, file_url

View = Callable[[Page, str], Awaitable[None]]

SIZES = ((1280, 800), (800, 600))


async def _list(page: Page, url: str) -> None:
    await page.open(url)
    await page.until("document.querySelectorAll('tbody tr').length > 2")


async def _score(page: Page, url: str) -> None:
    await open_call(page, url, bad_call())


async def _span(page: Page, url: str) -> None:
    await _score(page, url)
    await page.js(
        "[...document.querySelectorAll('.figure')].find((each) => each.innerText.includes('error'))"
        ".click()"
    )
    await page.until("document.querySelector('.failure')")
    await page.press("z")


async def _wait(page: Page, url: str) -> None:
    await _score(page, url)
    if await page.js("getComputedStyle(document.querySelector('.of-turns')).display === 'none'"):
        await page.click(".panel-tabs button")
    await page.move(*await page.centre("[data-turn='2'] .part.w-tools"))


async def _compare(page: Page, url: str) -> None:
    await page.open(f"{url}#/compare/{good_call().id}/{bad_call().id}")
    await page.until("document.querySelector('.stack i')")


async def _help(page: Page, url: str) -> None:
    await _score(page, url)
    await page.press("?")


async def _report(page: Page, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        report.write_text(page_html(as_data(bad_call()), NONCE), encoding="utf-8")
        await page.open(file_url(report))
        await page.until(SHOWN)
        await page.press("]")
        await page.press("]")


VIEWS: dict[str, View] = {
    "list": _list,
    "score": _score,
    "span": _span,
    "wait": _wait,
    "compare": _compare,
    "help": _help,
    "report": _report,
}


async def take(folder: Path, *, only: str = "") -> None:
    """Write the pictures of all views into a folder."""
    async with serving(*several_calls(), live_call()) as server, chromium() as browser:
        for name, view in VIEWS.items():
            if only and name != only:
                continue
            for dark in (False, True):
                for width, height in SIZES:
                    theme = "dark" if dark else "light"
                    picture = await _picture(browser, view, server.url, width, height, dark)
                    (folder / f"{name}-{theme}-{width}.png").write_bytes(picture)


# For the docs: of a width that can be read where the page shows 830 pixels of it, and sharp.

DOCS_WIDTH = 960
DOCS_SCALE = 1.75
_OPEN_TAB = "[...document.querySelectorAll('.panel-tabs button')].find((e) => e.innerText === '{}')"
_CHIP = "[...document.querySelectorAll('.score-bar .chip')].find((e) => e.innerText === '{}')"


class Recorded(Call):
    """A conversation that a bot has had."""

    def __init__(self, body: bytes) -> None:
        self._all = json.loads(body)
        self.summary = self._all["session"]
        self.spans, self.lines = self._all["spans"], self._all["lines"]
        self.id = self.summary["id"]

    def as_json(self) -> Json:
        return dict(self._all)


async def demo_call() -> Call:
    """Have the demo's conversation, with what was said."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        async with demo_page(out / LOG_FILE) as page:
            outcome = await converse(
                out, lambda _: None, page=page, bot_settings={"PIPECAT_DD_CAPTURE_CONTENT": "true"}
            )
            assert outcome.failure is None, outcome.failure
            await asyncio.sleep(1)  # the log file's last lines
            page.store.end_all()
            (session,) = page.store.summaries()
            body = page.store.call_json(session["id"])
            assert body is not None
            return Recorded(body)


async def take_for_docs(folder: Path) -> None:
    """Write the pictures of ``docs/images`` into a folder."""
    demo = await demo_call()

    async def score(page: Page, url: str) -> None:
        await open_call(page, url, demo)
        await page.js(_CHIP.format("libraries") + ".click()")
        await page.js(_OPEN_TAB.format("Turns") + ".click()")
        await page.settled()
        await page.js("document.querySelector('[data-turn=\"1\"]').scrollIntoView()")
        await page.js("document.querySelector('.call').scrollTop = 0")

    async def lines(page: Page, url: str) -> None:
        await open_call(page, url, bad_call())
        await page.js(_OPEN_TAB.format("Lines") + ".click()")
        await page.click("#lines .line.is-error")
        await page.until("document.querySelector('.details h2')")
        await page.settled()
        await page.js("document.querySelector('.call').scrollTop = 0")

    async def waits(page: Page, url: str) -> None:
        await open_call(page, url, bad_call())
        await page.js(_OPEN_TAB.format("Turns") + ".click()")
        await page.settled()
        await page.js("document.querySelector('[data-turn=\"2\"]').scrollIntoView()")
        await page.js("document.querySelector('.call').scrollTop = 0")
        await page.settled()
        await page.move(*await page.centre("[data-turn='2'] .part.w-tools"))

    views: dict[str, tuple[View, int, bool]] = {
        "score": (score, 830, False),
        "score-dark": (score, 830, True),
        "conversations": (_list, 620, False),
        "waits": (waits, 880, False),
        "lines": (lines, 880, False),
        "side-by-side": (_compare, 980, False),
    }
    async with serving(*several_calls(), live_call(), demo) as server, chromium() as browser:
        for name, (view, height, dark) in views.items():
            picture = await _picture(
                browser, view, server.url, DOCS_WIDTH, height, dark, scale=DOCS_SCALE
            )
            (folder / f"{name}.png").write_bytes(_small(picture))


def _small(picture: bytes) -> bytes:
    """Return a picture with few colours, which these have anyway."""
    if shutil.which("pngquant") is None:
        return picture
    command = ["pngquant", "--speed=1", "--strip", "96", "-"]
    return subprocess.run(command, input=picture, capture_output=True, check=True).stdout


async def _picture(
    browser: Browser, view: View, url: str, width: int, height: int, dark: bool, scale: float = 1
) -> bytes:
    page = await browser.page(width=width, height=height, dark=dark)
    await page.be(width, height, dark=dark, scale=scale)
    await view(page, url)
    await page.settled()
    assert page.problems == []
    await page.screenshot()  # the first may be taken before all tiles are drawn
    picture = await page.screenshot()
    await page.close()
    return picture


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--for-docs", action="store_true")
    parser.add_argument("--only", default="", choices=["", *VIEWS])
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    taking = take_for_docs(asked.folder) if asked.for_docs else take(asked.folder, only=asked.only)
    asyncio.run(taking)


if __name__ == "__main__":
    main()
