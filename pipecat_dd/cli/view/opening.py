"""Opens the page in a browser, and keeps it until it is not wanted any more."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import webbrowser
from typing import Final


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


_OPEN: Final = "import sys, webbrowser; webbrowser.open(sys.stdin.read())"


def open_in_browser(url: str) -> None:
    """Open a page; does not wait for the browser.

    In a process of its own, since a browser writes into the terminal what it pleases, and
    standard output is the bot's.
    """
    with contextlib.suppress(OSError):
        opening = subprocess.Popen(
            [sys.executable, "-I", "-c", _OPEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        assert opening.stdin is not None
        with opening.stdin as file:
            file.write(url)
        threading.Thread(target=opening.wait, name="pipecat-dd-browser", daemon=True).start()


async def until_stopped() -> int:
    """Wait for Ctrl-C or SIGTERM. Returns 0: that is how a server ends."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    if os.name == "posix":
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    return 0
