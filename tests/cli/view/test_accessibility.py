"""No view has what axe takes for a barrier, in either theme.

axe-core is not ours and is not in the repository: ``nox -s page`` gets it from npm and says in
``AXE_CORE`` where it is.
"""

import os
from pathlib import Path

import pytest

from tests.cli.view.calls import live_call, several_calls
from tests.cli.view.screenshots import VIEWS
from tests.cli.view.serving import serving
from tests.support.chromium import Browser, needs_chromium

AXE = Path(os.environ.get("AXE_CORE", "/nowhere"))

if not AXE.is_file():
    pytest.skip("AXE_CORE names no file: run nox -s page", allow_module_level=True)

AXE_SOURCE = AXE.read_text(encoding="utf-8")

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_nothing(browser: Browser, view: str, theme: str, width: int) -> None:
    async with serving(*several_calls(), live_call()) as server:
        page = await browser.page(width=width, height=800, dark=theme == "dark")
        await VIEWS[view](page, server.url)
        await page.settled()
        await page.js(AXE_SOURCE + ";0")
        found = await page.js(
            "axe.run().then(({ violations }) => violations.map(({ id, help, nodes }) =>"
            " `${id}: ${help}: ${nodes.slice(0, 4).map((node) => node.html.slice(0, 160)"
            " + ' ' + (node.any[0]?.message ?? '')).join(' | ')}`))"
        )
        await page.close()
    assert found == []
