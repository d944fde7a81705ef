"""All conversations, two side by side, a report, a call that goes on, and the keyboard."""

from pathlib import Path

import pytest

from pipecat_dd.cli.view.page import page_html
from tests.cli.view.calls import (
    as_data,
    bad_call,
    good_call,
    hostile_call,
    large_call,
    live_call,
    several_calls,
)
from tests.cli.view.looking import PAINTED, SHOWN, open_call
from tests.cli.view.serving import NONCE, serving
from tests.support.chromium import Browser, Page, file_url, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]

ROWS = "document.querySelectorAll('.list tbody tr').length"


async def test_the_list_says_what_each_call_was_like(page: Page) -> None:
    async with serving(good_call(), bad_call()) as server:
        await page.open(server.url)
        await page.until(f"{ROWS} === 2")
        rows = await page.js(
            "[...document.querySelectorAll('.list tbody tr')].map((row) => row.innerText)"
        )
        bad = next(row for row in rows if "Tom Okafor" in row).split()
        for fact in ("0:44", "5", "booked", "cancelled", "4.04", "790", "620", "3"):
            assert fact in bad


async def test_the_list_is_filtered_and_sorted(page: Page) -> None:
    calls = several_calls()
    async with serving(*calls) as server:
        await page.open(server.url)
        await page.until(f"{ROWS} === {len(calls)}")
        await page.js(
            "[...document.querySelectorAll('.chip')].find((each) => each.innerText === 'errors')"
            ".click()"
        )
        await page.until(f"{ROWS} === 2")
        await page.press("/")
        await page.type("okafor")
        await page.until(f"{ROWS} === 1")
        await page.open(server.url)
        await page.until(f"{ROWS} === {len(calls)}")
        await page.js(
            "[...document.querySelectorAll('th button')].find((each) =>"
            " each.innerText.startsWith('Slowest')).click()"
        )
        await page.settled()
        assert "Tom Okafor" in await page.text(".list tbody tr")


async def test_a_call_appears_in_the_list_when_it_begins(page: Page) -> None:
    async with serving(good_call()) as server:
        await page.open(server.url)
        await page.until(f"{ROWS} === 1")
        server.add(live_call())
        await page.until(f"{ROWS} === 2")
        assert "Mia Ferrante" in await page.text("tr:has(.live)")
        server.tell("gone", {"session": good_call().id})
        await page.until(f"{ROWS} === 1")


async def test_a_turn_appears_while_the_call_goes_on(page: Page) -> None:
    call = live_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        assert await page.js("document.querySelectorAll('.turn').length") == 2
        # Who is there has a lane, though their span comes when they leave.
        assert await page.js("Boolean(document.querySelector('[data-lane=participants]'))")
        spans, lines = len(call.spans), len(call.lines)
        call.turn("And what do I owe you?", "Nothing at all. It is paid.")
        turn, *work = (span for span in call.spans[spans:] if span.get("kind") != "frame")
        # The turn itself is sent when it ends, after its work.
        server.tell("spans", {"session": call.id, "spans": work[:3]})
        await page.until("document.querySelectorAll('.turn').length === 3")
        assert "goes on" in await page.text(".turn:last-child")
        server.tell("spans", {"session": call.id, "spans": [*work[3:], turn]})
        server.tell("lines", {"session": call.id, "lines": call.lines[lines:]})
        await page.until(
            "document.querySelector('.turn:last-child').innerText.includes('It is paid.')"
        )
        assert "goes on" not in await page.text(".turn:last-child")
        said = "[...document.querySelectorAll('[aria-live]')].map((each) => each.innerText)"
        assert any("answered after" in each for each in await page.js(said))
        # It has followed the end.
        to = float(await page.js("document.querySelector('.plot').dataset.to"))
        assert to >= call.now - 1000


async def test_it_stays_where_the_user_has_panned(page: Page) -> None:
    call = live_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        x, y = await page.centre(".plot")
        await page.wheel(x - 200, y, -800)
        await page.settled()
        there = await page.js("document.querySelector('.plot').dataset.from")
        spans = len(call.spans)
        call.turn("And what do I owe you?", "Nothing at all.")
        server.tell("spans", {"session": call.id, "spans": call.spans[spans:]})
        await page.until("document.querySelectorAll('.turn').length === 3")
        assert await page.js("document.querySelector('.plot').dataset.from") == there
        await page.press("f")
        await page.until(f"Number(document.querySelector('.plot').dataset.to) >= {call.now - 1000}")


async def test_what_comes_twice_is_there_once(page: Page) -> None:
    call = live_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        server.tell("spans", {"session": call.id, "spans": call.spans})
        server.tell("lines", {"session": call.id, "lines": call.lines})
        server.add(call)
        await page.settled()
        assert await page.js("document.querySelectorAll('.turn').length") == 2
        assert await page.text(".lines .panel-bar [role=status]") == f"{len(call.lines)} lines"


async def test_a_second_page_and_a_late_one_see_the_whole_call(browser: Browser) -> None:
    call = live_call()
    async with serving(call) as server:
        first, second = await browser.page(), await browser.page()
        await open_call(first, server.url, call)
        spans = len(call.spans)
        call.turn("And what do I owe you?", "Nothing at all.")
        server.tell("spans", {"session": call.id, "spans": call.spans[spans:]})
        await open_call(second, server.url, call)
        for page in (first, second):
            await page.until("document.querySelectorAll('.turn').length === 3")
            assert page.problems == []
            await page.close()


async def test_after_a_reset_it_has_what_the_server_has_and_stays_where_it_was(page: Page) -> None:
    call = live_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.press("]")
        x, y = await page.centre(".plot")
        await page.wheel(x - 200, y, -800)
        await page.settled()
        there = await page.js("document.querySelector('.plot').dataset.from")
        call.turn("And what do I owe you?", "Nothing at all.")
        server.tell("reset", {})
        await page.until("document.querySelectorAll('.turn').length === 3")
        assert await page.js("document.querySelector('.plot').dataset.from") == there
        assert "turn 1" in await page.text(".details h2")


async def test_a_call_that_is_no_longer_kept_is_said_to_be_gone(browser: Browser) -> None:
    async with serving(good_call()) as server:
        page = await browser.page(f"{server.url}#/call/unknown")
        await page.until("document.querySelector('main').innerText.includes('no longer kept')")
        await page.close()


async def test_a_call_of_which_next_to_nothing_has_come_is_shown(page: Page) -> None:
    call = live_call()
    call.spans, call.lines = [], []
    other = live_call("late")
    async with serving(call) as server:
        await page.open(f"{server.url}#/call/{call.id}")
        await page.until("document.querySelector('.turns .nothing')")
        for key in ("]", "[", "z", "+", "0", "Tab", "ArrowRight"):
            await page.press(key)
        # What comes first is a line, and a span without its like.
        server.tell("lines", {"session": call.id, "lines": other.lines[:1]})
        server.tell("spans", {"session": call.id, "spans": [{"id": "7", "name": "x", "start": 1}]})
        await page.until("document.querySelectorAll('#lines .row').length === 1")
        server.tell("spans", {"session": call.id, "spans": other.spans})
        await page.until("document.querySelectorAll('.turn').length === 2")


async def test_two_calls_are_compared_part_by_part(page: Page) -> None:
    one, other = good_call(), bad_call()
    async with serving(one, other) as server:
        await page.open(server.url)
        await page.until(f"{ROWS} === 2")
        for name in ("Ada Marsh", "Tom Okafor"):
            await page.js(f"document.querySelector('input[aria-label=\"Compare {name}\"]').click()")
        await page.settled()
        await page.click("a.button.primary")
        await page.until("document.querySelectorAll('.compare .only').length === 2")
        numbers = await page.text(".compare .numbers")
        llm = " ".join(numbers.split()).partition("llm ")[2].split("aggregation")[0]
        assert llm.strip() == "380 ms 630 ms +250 ms 380 ms 1.24 s"
        alone = await page.js(
            "[...document.querySelectorAll('.only')].map((each) => each.innerText)"
        )
        assert "gpt-4.1 " in alone[0]
        for only in ("CalendarTimeout in tool", "bot.records.load_patient", "gaps in the bot"):
            assert only in alone[1]
            assert only not in alone[0]
        assert not any("find_slots" in each for each in alone)
        # What only one has leads to where it was.
        await page.js(
            "[...document.querySelectorAll('.only a')].find((each) =>"
            " each.innerText.startsWith('CalendarTimeout')).click()"
        )
        await page.until(
            "document.querySelector('.failure')?.innerText.includes('CalendarTimeout')"
        )


async def test_a_report_opens_from_disk_with_the_network_cut(page: Page, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text(page_html(as_data(bad_call()), NONCE), encoding="utf-8")
    await page.cut_network()
    await page.open(file_url(report))
    await page.until(SHOWN)
    assert "Tom Okafor" in await page.text("h1")
    assert [url for url in page.requests if not url.startswith("data:")] == [file_url(report)]


async def test_a_large_report_opens_too(page: Page, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    call = large_call(spans=2000, lines=4000)
    html = page_html(as_data(call), NONCE)
    assert "data-packed" in html
    report.write_text(html, encoding="utf-8")
    await page.open(file_url(report))
    await page.until(SHOWN)
    assert await page.text(".lines .panel-bar [role=status]") == "4,000 lines"


async def test_a_report_of_several_calls_opens_on_their_list(page: Page, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text(page_html(as_data(good_call(), bad_call()), NONCE), encoding="utf-8")
    await page.open(file_url(report))
    await page.until(f"{ROWS} === 2")


async def test_whatever_a_bot_calls_itself_stays_text(page: Page) -> None:
    call = hostile_call()
    async with serving(call, good_call()) as server:
        await page.open(server.url)
        await page.until(f"{ROWS} === 2")
        # Its address is one that must be escaped as well.
        await page.js(
            "[...document.querySelectorAll('.who a')].find((each) => each.href.includes('%3C'))"
            ".click()"
        )
        await page.until(PAINTED)
        for _ in range(3):
            await page.press("]")
        await page.js("document.querySelector('.figure.bad')?.click()")
        await page.settled()
        await page.js("document.querySelector('.details .chip')?.click()")
        await page.settled()
        assert "<script>window.hacked" in await page.text("#page")
        hostile = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
        await page.open(f"{server.url}#/compare/{good_call().id}/{hostile}")
        await page.until("document.querySelectorAll('.compare .only').length === 2")
        assert await page.js("window.hacked === undefined")
        assert await page.js("document.querySelectorAll('#page img, #page script').length") == 0


async def test_the_whole_way_by_keyboard_alone(page: Page) -> None:
    call = bad_call()

    async def tab_to(condition: str) -> None:
        for _ in range(60):
            if await page.js(
                f"(() => {{ const at = document.activeElement; return {condition}; }})()"
            ):
                return
            await page.press("Tab")
        raise AssertionError(f"no way to {condition}")

    async with serving(call, good_call()) as server:
        await page.open(server.url)
        await page.until(f"{ROWS} === 2")
        await tab_to("at.innerText === 'Tom Okafor'")
        await page.press("Enter")
        await page.until(SHOWN)
        await tab_to("at.matches('.plot')")
        await page.press("]")
        await page.until("document.querySelector('.details h2')?.innerText.includes('turn 1')")
        await page.press("]")
        await page.until("document.querySelector('.details h2')?.innerText.includes('turn 2')")
        for kind in ("participant", "user_speech", "end_of_turn", "stt", "llm"):
            await page.press("ArrowDown")
            await page.until(
                f"document.querySelector('.details h2').innerText.includes('pipecat.{kind}')"
            )
        said = await page.js("document.querySelector('.score [aria-live]').innerText")
        assert said.startswith("llm OpenAILLMService")
        await page.press("ArrowRight")
        await page.press("Enter")
        await page.until("document.activeElement.matches('.details')")
        await page.press("Escape")
        await page.until("document.activeElement.matches('.plot')")
        await page.until("!document.querySelector('.details')")
        # Along the lines, and to a line's span.
        await tab_to("at.id === 'lines'")
        await page.press("ArrowDown")
        await page.press("ArrowDown")
        await page.until("document.querySelector('.line-details')")
        await page.press("Enter")
        await page.until("document.activeElement.matches('.details')")
        await page.press("Escape")
        # The keys' help comes and goes, and another Escape leads back to the list.
        await page.press("?")
        await page.until("document.querySelector('dialog[open]')")
        await page.press("Escape")
        await page.until("!document.querySelector('dialog')")
        await page.press("Escape")
        await page.until(f"{ROWS} === 2")


async def test_the_tree_has_all_spans_and_opens_and_closes(page: Page) -> None:
    call = bad_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.js("[...document.querySelectorAll('.panel-head button')].at(-1).click()")
        await page.until("document.querySelector('#spans')")
        assert await page.text(".tree [role=status]") == f"{len(call.spans)} spans"
        await page.js("document.querySelector('#spans').focus()")
        await page.press("ArrowDown")
        await page.press("ArrowLeft")
        await page.until("document.querySelector('.tree [role=status]').innerText === '1 span'")
        await page.press("ArrowRight")
        await page.until("document.querySelectorAll('#spans .row').length > 3")


@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (480, 800)])
async def test_nothing_runs_off_the_side(page: Page, size: tuple[int, int]) -> None:
    await page.be(*size)
    async with serving(*several_calls()) as server:
        for address in (
            "",
            f"#/call/{bad_call().id}",
            f"#/compare/{good_call().id}/{bad_call().id}",
        ):
            await page.open("about:blank")
            await page.open(f"{server.url}{address}")
            await page.until("document.querySelector('main:not(.nothing)')")
            await page.settled()
            assert await page.js("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (960, 800), (400, 700)])
async def test_only_the_list_of_turns_scrolls_and_not_its_panel(
    browser: Browser, width: int, height: int
) -> None:
    call = bad_call()
    async with serving(call) as server:
        page = await browser.page(width=width, height=height)
        await page.open(f"{server.url}#/call/{call.id}")
        await page.until(PAINTED)
        await page.js("document.querySelector('.panel-tabs button').click()")
        await page.until("document.querySelector('[data-turn=\"4\"]')")
        # As the browser does for a link, or for what the keyboard goes to.
        await page.js("document.querySelector('[data-turn=\"3\"]').scrollIntoView()")
        await page.settled()
        assert await page.js("document.querySelector('.turn-list').scrollTop") > 0
        assert await page.js("document.querySelector('.of-turns').scrollTop") == 0
        await page.close()
