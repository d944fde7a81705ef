"""Looks at a score in the browser as somebody would who knows where things must be."""

import json
from dataclasses import dataclass

from tests.cli.view.calls import Call
from tests.support.chromium import Page

PAINTED = "document.querySelector('.plot')?.dataset.from"
SHOWN = (
    f"{PAINTED} && document.querySelector('.turn-list') && document.querySelector('#lines .row')"
)


async def open_call(page: Page, url: str, call: Call | str) -> None:
    """Go to a call, and wait until it is drawn with its panels."""
    id_ = call if isinstance(call, str) else call.id
    await page.open(f"{url}#/call/{id_}")
    await page.until(SHOWN)
    await page.settled()


@dataclass(frozen=True)
class Place:
    """A place in the score, in pixels of the window."""

    x: float
    y: float


async def place_of(page: Page, lane: str, time: float, *, row: int = 0) -> Place:
    """Return where a time is in a lane.

    Args:
        page: The page.
        lane: The lane's id.
        time: The time, in milliseconds since the epoch.
        row: How many pixels below the middle of the lane's first row.
    """
    x, y = await page.js(
        f"""(() => {{
            const plot = document.querySelector(".plot");
            const box = plot.getBoundingClientRect();
            const lane = document.querySelector(`[data-lane="{lane}"]`).getBoundingClientRect();
            const from = Number(plot.dataset.from), to = Number(plot.dataset.to);
            return [box.left + ({time} - from) / (to - from) * box.width, lane.top + 11 + {row}];
        }})()"""
    )
    return Place(x, y)


async def pixels(page: Page, place: Place, *, layer: int = 0) -> tuple[int, int, int, int]:
    """Return what is drawn at a place: red, green, blue, alpha.

    Args:
        page: The page.
        place: The place.
        layer: 0 for the spans and their marks, 1 for what is selected or lit up.
    """
    found = await page.js(
        f"""(() => {{
            const canvas = document.querySelectorAll(".plot canvas")[{layer}];
            const box = canvas.getBoundingClientRect();
            const x = Math.floor({place.x} - box.left), y = Math.floor({place.y} - box.top);
            return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
        }})()"""
    )
    return tuple(found)


async def colour(page: Page, name: str) -> tuple[int, int, int]:
    """Return a colour of the style sheet by its name: ``k-bot``."""
    found = await page.js(
        f"""(() => {{
            const pen = document.createElement("canvas").getContext("2d");
            pen.fillStyle = getComputedStyle(document.documentElement)
                .getPropertyValue({json.dumps("--" + name)}).trim();
            pen.fillRect(0, 0, 1, 1);
            return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
        }})()"""
    )
    return tuple(found)


async def figure(page: Page, word: str) -> None:
    """Click on the figure with a word: it goes to what it counts."""
    await page.js(
        "[...document.querySelectorAll('button.figure')]"
        f".find((each) => each.innerText.includes({json.dumps(word)})).click()"
    )
    await page.settled()


def span_of(call: Call, kind: str, number: int = 0) -> dict[str, float | str]:
    """Return a call's span of a kind, as its JSON."""
    return [span for span in call.spans if span.get("kind") == kind][number]
