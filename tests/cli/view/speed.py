"""How quick the page is with a large call: 10,000 spans and 20,000 lines.

    python -m tests.cli.view.speed

Chromium draws in software. The first paint is counted from when the call is there until the score
is drawn; frames, while a user zooms and pans. A busy machine makes all of it slower: of several
openings the quickest counts.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipecat_dd.cli.view.page import page_html
from tests.cli.view.calls import as_data, large_call
from tests.cli.view.looking import PAINTED, SHOWN
from tests.support.chromium import chromium, file_url

FIRST_PAINT_MS = 100.0
FRAME_MS = 33.4
OPENINGS = 5

_MARKS = """(() => {
    const at = (name) => performance.getEntriesByName(name)[0].startTime;
    return at("score-painted") - at("call-there");
})()"""

_FRAMES = """new Promise((done) => {
    const plot = document.querySelector(".plot");
    const box = plot.getBoundingClientRect();
    const frames = [];
    let number = 0, last;
    const step = (now) => {
        if (last !== undefined) frames.push(now - last);
        last = now;
        if (number++ >= 240) return done(frames);
        // In, along, out and in again where there is most to draw.
        const phase = Math.floor(number / 60);
        plot.dispatchEvent(new WheelEvent("wheel", {
            deltaY: [-60, 0, 60, number % 2 ? -90 : 90][phase] ?? 0,
            deltaX: phase === 1 ? 90 : 0,
            clientX: box.left + box.width / 2, clientY: box.top + 80,
            cancelable: true, bubbles: true,
        }));
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""


async def measure() -> dict[str, Any]:
    """Return what was measured, in milliseconds."""
    call = large_call()
    firsts: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        report.write_text(page_html(as_data(call), "speed"), encoding="utf-8")
        async with chromium() as browser:
            for _ in range(OPENINGS):
                page = await browser.page(file_url(report))
                await page.until(PAINTED)
                firsts.append(await page.js(_MARKS))
                if len(firsts) < OPENINGS:
                    await page.close()
            await page.until(SHOWN)
            await page.settled()
            frames = sorted(await page.js(_FRAMES))
        size = report.stat().st_size
    return {
        "spans": len(call.spans),
        "lines": len(call.lines),
        "report_bytes": size,
        "first_paint_ms": [round(each) for each in firsts],
        "first_paint_best_ms": round(min(firsts)),
        "frame_median_ms": round(frames[len(frames) // 2], 1),
        "frame_p95_ms": round(frames[int(len(frames) * 0.95)], 1),
    }


def main() -> int:
    """Print what was measured; return 1 where it is slower than it may be."""
    found = asyncio.run(measure())
    print(json.dumps(found, indent=1))  # noqa: T201
    is_quick = found["first_paint_best_ms"] < FIRST_PAINT_MS and found["frame_p95_ms"] < FRAME_MS
    return 0 if is_quick else 1


if __name__ == "__main__":
    sys.exit(main())
