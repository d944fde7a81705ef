"""One browser for all tests of a module; a page of its own for each."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.chromium import Browser, Page, chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    opened = await browser.page()
    yield opened
    await opened.close()
    assert opened.problems == []
