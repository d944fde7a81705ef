"""One conversation on the page: everything where it was, and the way from one to the other."""

import pytest

from pipecat_dd.names import tags
from tests.cli.view.calls import bad_call, good_call
from tests.cli.view.looking import Place, colour, figure, open_call, pixels, place_of, span_of
from tests.cli.view.serving import serving
from tests.support.chromium import Page, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


async def test_the_bots_voice_ends_where_the_user_cut_it_off(page: Page) -> None:
    call = bad_call()
    cut = next(span for span in call.spans if span["metrics"].get(tags.BOT_SPEECH_UNHEARD_SECONDS))
    async with serving(call) as server:
        await open_call(page, server.url, call)
        bot = await colour(page, "k-bot")
        begin = await place_of(page, "bot", cut["start"])
        end = await place_of(page, "bot", cut["start"] + cut["dur"])
        assert (await pixels(page, Place(begin.x + 3, begin.y + 6)))[:3] == bot
        assert (await pixels(page, Place(end.x - 14, end.y + 6)))[:3] == bot
        assert (await pixels(page, Place(end.x + 14, end.y + 6)))[:3] != bot
        # A letter on a shield says what it is, without colour.
        assert (await pixels(page, Place(end.x - 5, end.y - 4)))[:3] == await colour(page, "mark")


async def test_a_gap_is_a_hole_in_the_voice_where_it_was(page: Page) -> None:
    call = bad_call()
    speech = span_of(call, "bot_speech", 3)
    start, length = map(float, speech["tags"][tags.BOT_SPEECH_GAPS].split("+"))
    async with serving(call) as server:
        await open_call(page, server.url, call)
        bot = await colour(page, "k-bot")
        from_ = await place_of(page, "bot", speech["start"] + 1000 * start)
        to = await place_of(page, "bot", speech["start"] + 1000 * (start + length))
        middle = Place((from_.x + to.x) / 2, from_.y + 6)
        assert (await pixels(page, middle))[:3] != bot
        assert (await pixels(page, Place(from_.x - 3, from_.y + 6)))[:3] == bot
        assert (await pixels(page, Place(to.x + 3, from_.y + 6)))[:3] == bot


async def test_a_gap_in_the_users_audio_is_a_hole_in_their_speech(page: Page) -> None:
    call = bad_call()
    speech = next(span for span in call.spans if span["tags"].get(tags.USER_AUDIO_GAPS))
    start, length = map(float, speech["tags"][tags.USER_AUDIO_GAPS].split("+"))
    async with serving(call) as server:
        await open_call(page, server.url, call)
        user = await colour(page, "k-user")
        from_ = await place_of(page, "user", speech["start"] + 1000 * start)
        to = await place_of(page, "user", speech["start"] + 1000 * (start + length))
        assert (await pixels(page, Place((from_.x + to.x) / 2, from_.y + 6)))[:3] != user
        assert (await pixels(page, Place(from_.x - 3, from_.y + 6)))[:3] == user
        assert (await pixels(page, Place(to.x + 3, from_.y + 6)))[:3] == user
        assert "a gap in the user's audio" in await page.text("[data-turn='1'] .turn-marks")
        await figure(page, "gap")  # counts those in the bot's voice
        assert "pipecat.bot_speech" in await page.text(".details h2")


async def test_an_error_of_what_is_hidden_is_marked_on_what_it_is_part_of(page: Page) -> None:
    call = good_call()
    tool = span_of(call, "tool")
    request = next(span for span in call.spans if span.get("parent") == tool["id"])
    request["error"] = True
    hides = "[...document.querySelectorAll('.score-bar .chip')].find((e) => e.innerText === '{}')"
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.js(hides.format("libraries") + ".click()")
        await page.settled()
        at = await place_of(page, "tools", request["start"] + request["dur"])
        assert (await pixels(page, Place(at.x - 5, at.y)))[:3] == await colour(page, "error")


async def test_it_stays_where_it_was_after_zooming_and_panning(page: Page) -> None:
    call = bad_call()
    speech = span_of(call, "bot_speech", 3)
    start, length = map(float, speech["tags"][tags.BOT_SPEECH_GAPS].split("+"))
    async with serving(call) as server:
        await open_call(page, server.url, call)
        at = await place_of(page, "bot", speech["start"] + 1000 * start)
        await page.wheel(at.x, at.y, -600)
        await page.settled()
        await page.drag(at.x, at.y + 40, at.x - 90, at.y + 40)
        await page.settled()
        moved = await place_of(page, "bot", speech["start"] + 1000 * start)
        assert moved.x == pytest.approx(at.x - 90, abs=2)
        bot = await colour(page, "k-bot")
        to = await place_of(page, "bot", speech["start"] + 1000 * (start + length))
        assert to.x - moved.x > 20
        assert (await pixels(page, Place(moved.x - 3, moved.y + 6)))[:3] == bot
        assert (await pixels(page, Place(to.x + 3, moved.y + 6)))[:3] == bot
        assert (await pixels(page, Place(moved.x + 3, moved.y + 8)))[:3] != bot


async def test_the_strip_of_the_whole_call_and_the_keys_move_along_it(page: Page) -> None:
    call = bad_call()

    async def seen() -> tuple[float, float]:
        await page.settled()
        from_, to = await page.js(
            "(({ from, to }) => [from, to])(document.querySelector('.plot').dataset)"
        )
        return float(from_), float(to)

    async with serving(call) as server:
        await open_call(page, server.url, call)
        all_from, all_to = await seen()
        for _ in range(4):
            await page.press("+")
        from_, to = await seen()
        assert to - from_ == pytest.approx((all_to - all_from) / 1.5**4, rel=0.01)
        left, y = await page.js(
            "(({ left, top }) => [left, top + 10])"
            "(document.querySelector('.minimap').getBoundingClientRect())"
        )
        width = await page.js("document.querySelector('.minimap').clientWidth")
        await page.click_at(left + 0.7 * width, y)
        from_, to = await seen()
        middle = all_from + 0.7 * (all_to - all_from)
        assert (from_ + to) / 2 == pytest.approx(middle, abs=0.01 * (all_to - all_from))
        await page.js("document.querySelector('.plot').focus()")
        await page.press("ArrowLeft", shift=True)
        assert (await seen())[0] == pytest.approx(from_ - 0.2 * (to - from_), abs=1)
        await page.press("0")
        assert await seen() == (all_from, all_to)


async def test_a_click_on_a_span_shows_its_error_its_tags_and_its_lines(page: Page) -> None:
    call = bad_call()
    tool = span_of(call, "tool")
    async with serving(call) as server:
        await open_call(page, server.url, call)
        at = await place_of(page, "tools", tool["start"] + tool["dur"] / 2)
        await page.click_at(at.x, at.y)
        await page.until("document.querySelector('.failure')")
        shown = await page.text(".details")
        assert "CalendarTimeout" in shown
        assert tags.TOOL_OUTCOME in shown
        assert "find_slots failed: the calendar did not answer" in shown
        assert "2 lines" in shown


async def test_a_click_on_a_line_shows_its_span(page: Page) -> None:
    call = bad_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.click("#lines .line.is-error")
        await page.until("document.querySelector('.details h2')")
        assert "pipecat.tool" in await page.text(".details h2")
        assert "find_slots failed" in await page.text(".line-details")
        # And from there to another of the span's lines, and up to what asked for the tool.
        await page.click(".own-lines button:not(.is-current)")
        await page.until("document.querySelector('.line-details pre').innerText.includes('asks')")
        await page.click(".links .link")
        await page.until("document.querySelector('.details h2').innerText.includes('pipecat.llm')")


async def test_a_figure_goes_to_what_it_counts(page: Page) -> None:
    call = bad_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        for word, kind in (
            ("interruption", "bot_speech"),
            ("gap", "bot_speech"),
            ("block", "blocked"),
            ("error", "tool"),
        ):
            await figure(page, word)
            assert f"pipecat.{kind}" in await page.text(".details h2")
        await figure(page, "slowest")
        assert "4.04" in await page.text(".details")


async def test_a_part_of_the_wait_lights_up_where_it_was(page: Page) -> None:
    call = bad_call()
    turn = span_of(call, "turn", 2)
    speech = span_of(call, "bot_speech", 2)
    parts = [
        (part, turn["metrics"].get(tags.turn_wait_seconds(part), 0)) for part, _ in tags.WAIT_PARTS
    ]
    before = sum(secs for part, secs in parts[:3])
    tools = dict(parts)["tools"]
    begin = speech["start"] - 1000 * sum(secs for _, secs in parts) + 1000 * before
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.move(*await page.centre("[data-turn='2'] .part.w-tools"))
        await page.settled()
        middle = await place_of(page, "startup", begin + 500 * tools)
        inside = await pixels(page, middle, layer=1)
        beside = await pixels(page, Place(middle.x + 200, middle.y), layer=1)
        assert inside[:3] != beside[:3]
        edge = await place_of(page, "startup", begin)
        assert await _is_near(page, edge, await colour(page, "w-tools"))
        await page.move(640, 20)
        await page.settled()
        assert await pixels(page, middle, layer=1) == (0, 0, 0, 0)
        # By the keyboard it is the same: a bar is one stop, and the arrows go along it.
        await page.js('document.querySelector(\'[data-turn="2"] .part[tabindex="0"]\').focus()')
        await page.press("ArrowRight")
        await page.press("ArrowRight")
        assert await page.js("document.activeElement.matches('.w-tools')")
        await page.settled()
        assert await _is_near(page, edge, await colour(page, "w-tools"))


async def _is_near(page: Page, place: Place, wanted: tuple[int, int, int]) -> bool:
    for by in (-2, -1, 0, 1, 2):
        if (await pixels(page, Place(place.x + by, place.y), layer=1))[:3] == wanted:
            return True
    return False


async def test_each_utterance_stands_once_and_what_was_not_heard_is_struck(page: Page) -> None:
    call = bad_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        shown = await page.text(".turn-list")
        assert shown.count("can I come in today?") == 1
        assert shown.count("I am sorry to hear that.") == 1
        heard = await page.js("document.querySelector('del').previousSibling.textContent")
        struck = await page.text("del")
        assert heard.startswith("I am sorry to hear that.")
        assert struck.endswith("right after lunch.")
        # 3.1 s of it were heard, of all that was synthesized.
        text = heard + await page.js("document.querySelector('del').textContent")
        speech = span_of(call, "bot_speech", 1)["metrics"]
        unheard = speech[tags.BOT_SPEECH_UNHEARD_SECONDS]
        assert len(heard) / len(text) == pytest.approx(3.1 / (3.1 + unheard), abs=0.06)
        assert "estimate" in await page.text(".said small")


async def test_what_was_said_stands_on_its_bar(page: Page) -> None:
    call = bad_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.press("]")
        await page.press("]")
        await page.press("z")
        await page.settled()
        drawn = await page.js(
            """new Promise((done) => {
                const texts = [];
                const own = CanvasRenderingContext2D.prototype.fillText;
                CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
                    texts.push(text);
                    return own.call(this, text, ...where);
                };
                dispatchEvent(new KeyboardEvent("keydown", { key: "l" }));
                requestAnimationFrame(() => requestAnimationFrame(() => done(texts)));
            })"""
        )
        assert "I have got a really bad toothache, can I come in today?" in drawn
        assert any(text.startswith("I am sorry to hear that.") for text in drawn)


async def test_no_content_leaves_no_empty_place_for_it(page: Page) -> None:
    call = good_call(has_content=False)
    async with serving(call) as server:
        await open_call(page, server.url, call)
        assert await page.js("document.querySelectorAll('.said').length") == 0
        assert await page.js("document.querySelectorAll('.turn').length") == 5
        assert "capture_content" in await page.text(".hint")


async def test_lines_are_found_by_text_level_and_span(page: Page) -> None:
    call = bad_call()

    async def count() -> str:
        await page.settled()
        return await page.text(".lines .panel-bar [role=status]")

    async with serving(call) as server:
        await open_call(page, server.url, call)
        assert await count() == f"{len(call.lines)} lines"
        await page.js(
            "(() => { const box = document.querySelector('.lines select'); box.value = 'ERROR';"
            "box.dispatchEvent(new Event('change', { bubbles: true })); })()"
        )
        errors = sum(line["level"] == "ERROR" for line in call.lines)
        assert await count() == f"{errors} of {len(call.lines)} lines"
        await page.press("/")
        await page.type("CALENDAR")
        await page.until("document.querySelectorAll('#lines .row').length === 1")
        await page.press("Escape")
        await page.until(f"document.querySelectorAll('#lines .row').length === {errors}")
        await figure(page, "block")
        await page.js(
            "[...document.querySelectorAll('.lines .chip')].find((each) =>"
            " each.innerText.includes('of this span')).click()"
        )
        assert await count() == f"0 of {len(call.lines)} lines"


async def test_search_goes_from_one_span_to_the_next(page: Page) -> None:
    call = bad_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        await page.press("/")
        await page.type("book_slot")
        await page.until("document.querySelector('.call-head .search .muted')")
        await page.press("Enter")
        await page.until("document.querySelector('.details .resource')?.innerText === 'book_slot'")


async def test_frames_come_when_they_are_asked_for(page: Page) -> None:
    call = good_call()
    async with serving(call) as server:
        await open_call(page, server.url, call)
        assert not await page.js("Boolean(document.querySelector('[data-lane=frames]'))")
        await page.press("r")
        await page.until("document.querySelector('[data-lane=frames]')")
        before = await page.js("document.querySelector('.plot').clientHeight")
        await page.press("l")
        await page.until(f"document.querySelector('.plot').clientHeight < {before}")
