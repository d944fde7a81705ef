"""Pictures of the page's views.

    python -m tests.cli.view.screenshots DIRECTORY [--for-docs]

They need chromium, and look best where the fonts Inter and JetBrains Mono are installed (Debian's
``fonts-inter`` and ``fonts-jetbrains-mono``).
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from pipecat_dd.cli.view.page import page_html
from tests.cli.view.calls import as_data, bad_call, good_call, live_call, several_calls
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

FOR_DOCS = (("list", False), ("score", False), ("score", True), ("wait", False), ("compare", False))


async def take(folder: Path, *, is_for_docs: bool, only: str = "") -> None:
    """Write the pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs
    async with serving(*several_calls(), live_call()) as server, chromium() as browser:
        for name, view in VIEWS.items():
            if only and name != only:
                continue
            for dark in (False, True):
                for width, height in SIZES[:1] if is_for_docs else SIZES:
                    if is_for_docs and (name, dark) not in FOR_DOCS:
                        continue
                    theme = "dark" if dark else "light"
                    size = "" if is_for_docs else f"-{width}"
                    picture = await _picture(browser, view, server.url, width, height, dark)
                    (folder / f"{name}-{theme}{size}.png").write_bytes(picture)


async def _picture(
    browser: Browser, view: View, url: str, width: int, height: int, dark: bool
) -> bytes:
    page = await browser.page(width=width, height=height, dark=dark)
    await view(page, url)
    await page.settled()
    assert page.problems == []
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
    asyncio.run(take(asked.folder, is_for_docs=asked.for_docs, only=asked.only))


if __name__ == "__main__":
    main()
