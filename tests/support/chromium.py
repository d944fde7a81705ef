"""A headless Chromium, driven over its DevTools protocol.

No more of it than tests of a page need. What a page logs as an error, throws, or is refused is in
``Page.problems``; what it asks for, in ``Page.requests``.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on this machine")

_START_SECS = 60.0
_ANSWER_SECS = 60.0
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars"),
    *("--force-color-profile=srgb", "--font-render-hinting=none", "--remote-debugging-port=0"),
)

_KEYS = {
    # What a key types, and its code, where it is not a letter.
    "Enter": ("\r", 13),
    "Tab": ("", 9),
    "Escape": ("", 27),
    "ArrowLeft": ("", 37),
    "ArrowUp": ("", 38),
    "ArrowRight": ("", 39),
    "ArrowDown": ("", 40),
    "Home": ("", 36),
    "End": ("", 35),
    "Space": (" ", 32),
}


class PageError(AssertionError):
    """The page's JavaScript raised, or what was waited for did not come."""


class Page:
    """A page of the browser.

    Attributes:
        problems: Exceptions, errors on the console, and what its policy refused.
        requests: The URLs that it asked for.
    """

    def __init__(self, browser: "Browser", session: str, context: str) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._browser = browser
        self._session = session
        self._context = context
        self.loaded = asyncio.Event()

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol, and return its answer."""
        return await self._browser.send(method, params, self._session)

    def take(self, method: str, params: dict[str, Any]) -> None:
        """Take an event of the DevTools protocol."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or str(details))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.problems.append(str([each.get("value") for each in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded.set()

    async def open(self, url: str) -> None:
        """Go to an address, and wait until it is loaded."""
        self.loaded.clear()
        answer = await self.send("Page.navigate", url=url)
        if "loaderId" in answer:  # else only the part behind the # is another
            async with asyncio.timeout(_START_SECS):
                await self.loaded.wait()

    async def js(self, expression: str) -> Any:
        """Return what an expression comes to; a promise is awaited."""
        answer = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    async def until(self, condition: str, timeout_secs: float = 20.0) -> None:
        """Wait until an expression holds; it is looked at with each frame."""
        held = await self.js(
            f"""new Promise((resolve) => {{
                const until = performance.now() + {timeout_secs * 1000};
                const look = () => {{
                    let holds = false;
                    try {{ holds = Boolean({condition}); }} catch {{}}
                    if (holds) resolve(true);
                    else if (performance.now() > until) resolve(false);
                    else requestAnimationFrame(look);
                }};
                look();
            }})"""
        )
        if not held:
            raise PageError(f"{condition!r} did not come to hold; problems: {self.problems}")

    async def settled(self) -> None:
        """Wait until all that is due has been drawn."""
        await self.js(
            "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame("
            "() => requestAnimationFrame(go))))"
        )

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key and let it go."""
        text, code = _KEYS.get(key, (key, ord(key.upper()) if len(key) == 1 else 0))
        common = {
            "key": " " if key == "Space" else key,
            "windowsVirtualKeyCode": code,
            "modifiers": 8 if shift else 0,
        }
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        await self.send("Input.dispatchKeyEvent", **down, **common)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def type(self, text: str) -> None:
        """Type a text."""
        await self.send("Input.insertText", text=text)

    async def move(self, x: float, y: float, *, pressed: bool = False) -> None:
        """Move the mouse."""
        await self.send(
            "Input.dispatchMouseEvent",
            type="mouseMoved",
            x=x,
            y=y,
            **({"button": "left", "buttons": 1} if pressed else {}),
        )

    async def click_at(self, x: float, y: float) -> None:
        """Click on a place."""
        await self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            await self.send(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """Drag from one place to another."""
        await self.move(x, y)
        common = {"button": "left", "clickCount": 1}
        await self.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **common)
        for step in range(1, 6):
            await self.move(x + (to_x - x) * step / 5, y + (to_y - y) * step / 5, pressed=True)
        await self.send("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, **common)

    async def wheel(self, x: float, y: float, delta: float, *, across: float = 0) -> None:
        """Turn the wheel."""
        await self.send(
            "Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=across, deltaY=delta
        )

    async def centre(self, selector: str) -> tuple[float, float]:
        """Return where the middle of an element is; it is scrolled into sight."""
        x, y = await self.js(
            f"""(() => {{
                const found = document.querySelector({json.dumps(selector)});
                if (!found) throw new Error("there is no " + {json.dumps(selector)});
                found.scrollIntoView({{ block: "nearest" }});
                const box = found.getBoundingClientRect();
                return [box.left + box.width / 2, box.top + box.height / 2];
            }})()"""
        )
        return x, y

    async def click(self, selector: str) -> None:
        """Click on an element."""
        await self.click_at(*await self.centre(selector))

    async def text(self, selector: str) -> str:
        """Return the text of an element as it is seen; empty where there is none."""
        return str(
            await self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        )

    async def be(
        self, width: int, height: int, *, dark: bool = False, still: bool = True, scale: float = 1
    ) -> None:
        """Be of a size, in a theme."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        await self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": name, "value": value} for name, value in features.items()],
        )

    async def cut_network(self) -> None:
        """Let no request through from now on."""
        await self.send(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )

    async def close(self) -> None:
        """Close it, and all that it has stored."""
        await self._browser.send(
            "Target.disposeBrowserContext", {"browserContextId": self._context}
        )

    async def screenshot(self) -> bytes:
        """Return what is seen, as PNG."""
        answer = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


class Browser:
    """A browser that runs; see :func:`chromium`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for text in self._connection:
                message = json.loads(text)
                if (number := message.get("id")) is not None:
                    asked = self._asked.pop(number)
                    if asked.done():
                        continue
                    if "error" in message:
                        asked.set_exception(PageError(str(message["error"])))
                    else:
                        asked.set_result(message["result"])
                elif page := self._pages.get(message.get("sessionId", "")):
                    page.take(message["method"], message["params"])
        finally:
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(PageError("the browser has gone"))

    async def send(
        self, method: str, params: dict[str, Any], session: str | None = None
    ) -> dict[str, Any]:
        """Send a command of the DevTools protocol, and return its answer."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._connection.send(
            json.dumps(message if session is None else message | {"sessionId": session})
        )
        async with asyncio.timeout(_ANSWER_SECS):
            return await self._asked[number]

    async def page(
        self, url: str = "", *, width: int = 1280, height: int = 800, dark: bool = False
    ) -> Page:
        """Open a page of its own: it shares no cookie with another."""
        context = await self.send("Target.createBrowserContext", {})
        target = await self.send(
            "Target.createTarget",
            {"url": "about:blank", "browserContextId": context["browserContextId"]},
        )
        attached = await self.send(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        session = attached["sessionId"]
        page = self._pages[session] = Page(self, session, context["browserContextId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.send(f"{domain}.enable")
        # As if it had the user's attention, however many there are.
        await page.send("Emulation.setFocusEmulationEnabled", enabled=True)
        await page.be(width, height, dark=dark)
        if url:
            await page.open(url)
        return page

    async def close(self) -> None:
        """Let go of the connection."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser for as long as the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *_FLAGS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": folder},
        )
        try:
            async with asyncio.timeout(_START_SECS):
                address = await _address(process)
            # The protocol's messages have no bound, and screenshots are large.
            async with connect(address, max_size=None, ping_interval=None, proxy=None) as sent:
                browser = Browser(sent)
                try:
                    yield browser
                finally:
                    await browser.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Return where the browser listens, which it says on standard error."""
    assert process.stderr is not None
    async for line in process.stderr:
        _, found, address = line.decode(errors="replace").partition("DevTools listening on ")
        if found:
            return address.strip()
    raise PageError("chromium did not start")


def file_url(path: Path) -> str:
    """Return a file's address."""
    return path.resolve().as_uri()
