"""Opens the page in a browser, and keeps it until it is not wanted any more."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import webbrowser


def has_browser() -> bool:
    """Whether there is a browser that shows a window."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    ):
        return False
    with contextlib.suppress(webbrowser.Error):
        webbrowser.get()
        return True
    return False


def open_in_browser(url: str) -> None:
    """Open a page; does not wait for the browser, which may run in this terminal."""

    def show() -> None:
        with contextlib.suppress(Exception):
            webbrowser.open(url)

    threading.Thread(target=show, name="pipecat-dd-browser", daemon=True).start()


async def until_stopped() -> int:
    """Wait for Ctrl-C or SIGTERM. Returns 0: that is how a server ends."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    if os.name == "posix":
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    return 0
