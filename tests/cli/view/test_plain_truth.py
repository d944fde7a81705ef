"""The page claims nothing that it does not know, and leaves nothing open to be misread."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipecat_dd.cli.view.page import page_html
from pipecat_dd.cli.view.store import Store
from pipecat_dd.names import tags
from pipecat_dd.names.spans import Kind
from tests.cli.view.calls import Call, as_data, bad_call, good_call, live_call
from tests.cli.view.looking import PAINTED, SHOWN, open_call
from tests.cli.view.served import line, span
from tests.cli.view.serving import NONCE, serving
from tests.cli.view.test_store import raw
from tests.support.chromium import Browser, Page, file_url, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


async def _open_turns(page: Page, url: str, call: Call) -> None:
    await page.open(f"{url}#/call/{call.id}")
    await page.until(f"{PAINTED} && document.querySelector('.turns')")


async def test_an_answer_that_was_cut_off_before_its_first_word_is_struck(page: Page) -> None:
    call = bad_call()
    cut = next(one for one in call.spans if one["tags"].get(tags.TURN_WAS_INTERRUPTED) == "true")
    call.spans = [
        one
        for one in call.spans
        if not (one.get("turn") == cut["id"] and one.get("kind") == Kind.BOT_SPEECH)
    ]
    async with serving(call) as server:
        await open_call(page, server.url, call)
        words = await page.js("document.querySelector('[data-turn=\"1\"] .said.bot p').innerText")
        struck = await page.js(
            "document.querySelector('[data-turn=\"1\"] .said.bot del').innerText"
        )
        assert "Our dentist" in struck
        assert struck.startswith("I am sorry to hear that")
        assert "not heard: it was cut off before its first word" in words
        assert not await page.js(
            "Boolean(document.querySelector('[data-turn=\"2\"] .said.bot del'))"
        )


async def test_a_call_whose_end_never_came_is_not_one_that_ended_well(page: Page) -> None:
    store = Store()
    store.add_spans(
        raw(
            span("pipecat.startup", 9, 1, 0, 1),
            span("pipecat.user_speech", 3, 2, 100, 500),
            span("pipecat.stt", 4, 2, 100, 700),
        )
    )
    store.add_lines([line("hello", ms=200)])
    assert "has_no_end" not in store.summaries()[0]
    store.end_all()  # it was killed
    (summary,) = store.summaries()
    assert summary["has_no_end"] is True
    call = Call("killed")
    body = json.loads(store.call_json("s-1") or b"")
    call.id, call.summary, call.spans, call.lines = "s-1", summary, body["spans"], body["lines"]
    async with serving(call) as server:
        await page.open(server.url)
        await page.until("document.querySelector('.outcome-cell')")
        assert "its end was not received" in await page.text(".outcome-cell")
        await _open_turns(page, server.url, call)
        await page.until("document.querySelector('.turn')")
        assert "its end was not received" in await page.text(".outcome")
        assert "its end was not received" in await page.text(".turn")
        assert "no answer" not in await page.text(".turn")


async def test_a_report_of_a_call_that_goes_on_is_not_live(
    browser: Browser, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    report.write_text(page_html(as_data(live_call()), NONCE), encoding="utf-8")
    page = await browser.page(file_url(report))
    await page.until(SHOWN)
    title = await page.text(".call-title")
    assert "went on when this was written" in title
    assert not await page.js("Boolean(document.querySelector('.live'))")
    await page.close()


async def test_speech_that_made_no_turn_is_not_silence(page: Page) -> None:
    call = Call("cough")
    call.span(Kind.USER_SPEECH, "SileroVADAnalyzer", call.now, 300, parent=call.root)
    call.end()
    async with serving(call) as server:
        await _open_turns(page, server.url, call)
        assert await page.text(".turns .nothing") == "There was no turn."


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        ("UTC", "00:10:00 UTC"),
        ("Asia/Tokyo", "09:10:00 GMT+9"),
        ("America/New_York", "19:10:00 EST"),
    ],
)
async def test_a_time_says_in_which_zone_and_on_which_day_it_is(
    browser: Browser, zone: str, says: str
) -> None:
    midnight = datetime(2021, 1, 15, 0, 10, tzinfo=UTC).timestamp() * 1000
    call = good_call(now=midnight)
    async with serving(call) as server:
        page = await browser.page()
        await page.send("Emulation.setTimezoneOverride", timezoneId=zone)
        await open_call(page, server.url, call)
        day = "14" if zone.startswith("America") else "15"
        shown = await page.text(".call-title p")
        assert says in shown
        assert f"Jan {day}, 2021" in shown
        await page.open(server.url)
        await page.until("document.querySelector('.began time')")
        assert await page.text(".began time") == says.split()[0]
        assert says in await page.js("document.querySelector('.began time').title")
        await page.close()


async def test_who_spoke_is_said_by_name_where_there_are_several(page: Page) -> None:
    call = bad_call()
    call.span(
        Kind.PARTICIPANT,
        "DailyTransport",
        call.start,
        20_000,
        parent=call.root,
        tags={tags.PARTICIPANT_NAME: "Ida Brandt", tags.PARTICIPANT_ID: "p-2"},
    )
    spoken = [one for one in call.spans if one.get("kind") == Kind.STT]
    for number, stt in enumerate(spoken):
        stt["tags"][tags.PARTICIPANT_ID] = f"p-{1 + number % 2}"
    call.summary["participants"] = 2
    async with serving(call) as server:
        await open_call(page, server.url, call)
        names = await page.js(
            "[...document.querySelectorAll('.said.user .who')].map((each) => each.innerText)"
        )
        assert names[:2] == ["Tom Okafor", "Ida Brandt"]


async def test_of_an_even_number_of_answers_the_one_in_the_middle_is_said_to_be_one_of_two(
    page: Page,
) -> None:
    calls = good_call(), bad_call()
    async with serving(*calls) as server:
        await page.open(f"{server.url}#/compare/{calls[0].id}/{calls[1].id}")
        await page.until("document.querySelector('.stack i')")
        shown = await page.js(
            "[...document.querySelectorAll('.stack-what')].map((each) => each.innerText)"
        )
        assert "the quicker of the two in the middle" in shown[0]
        assert "a part that an answer did not have counts as 0" in await page.text("main")
        await page.open("about:blank")  # before the server hangs up


async def test_a_request_that_was_made_again_is_no_error_of_the_call(page: Page) -> None:
    call = good_call()
    request = next(one for one in call.spans if "kind" not in one)
    request["error"] = True
    async with serving(call, other := bad_call()) as server:
        await page.open(f"{server.url}#/compare/{call.id}/{other.id}")
        await page.until("document.querySelector('.stack i')")
        rows = await page.js(
            "[...document.querySelectorAll('tr')].map((row) => row.innerText.split(/\\s*\\t\\s*/))"
        )
        counts = {row[0]: row[1:] for row in rows if len(row) == 3}
        assert counts["errors"] == ["0", "3"]
        assert counts["failed calls of libraries"] == ["1", "0"]
        await page.open("about:blank")


async def test_a_name_that_is_written_backwards_leaves_the_rest_alone(page: Page) -> None:
    call = good_call()
    call.summary["name"] = "\u202ereversed"
    async with serving(call) as server:
        await open_call(page, server.url, call)
        left = await page.js("document.querySelector('.call-title time').getBoundingClientRect().x")
        right = await page.js(
            "document.querySelector('.call-title code').getBoundingClientRect().x"
        )
        assert left < right


async def test_a_call_of_very_many_spans_opens(browser: Browser) -> None:
    call = live_call()
    bare = [
        {"id": str(number), "parent": call.root, "name": "x", "start": call.start, "dur": 1}
        for number in range(150_000)
    ]
    call.spans += bare
    async with serving(call) as server:
        page = await browser.page(f"{server.url}#/call/{call.id}")
        await page.until(PAINTED, timeout_secs=30)
        assert page.problems == []
        await page.close()
