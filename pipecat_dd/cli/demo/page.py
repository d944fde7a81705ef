"""The demo's page: the conversation as a score, while it goes on.

The bot sends its traces to the page's server, which passes them on to the test agent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipecat_dd.cli.demo.ports import LOOPBACK
from pipecat_dd.cli.view.follow import follow
from pipecat_dd.cli.view.guard import Guard, new_token
from pipecat_dd.cli.view.intake import Intake
from pipecat_dd.cli.view.running import RunningView, announced
from pipecat_dd.cli.view.server import ViewServer, listening_socket
from pipecat_dd.cli.view.store import Store


@dataclass(frozen=True, slots=True)
class DemoPage:
    """The page of a demo that runs.

    Attributes:
        url: Its URL, with the token.
        agent_url: Where the bot sends its traces.
        intake: What takes them in.
        store: What the page shows.
    """

    url: str
    agent_url: str
    intake: Intake
    store: Store


@asynccontextmanager
async def demo_page(log_file: Path) -> AsyncIterator[DemoPage]:
    """Serve the page for the duration of a block.

    Args:
        log_file: The bot's log file. An old one is removed.
    """
    log_file.unlink(missing_ok=True)  # noqa: ASYNC240 - no other task runs yet
    listening = listening_socket(LOOPBACK, 0)
    own = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
    guard, store = Guard(LOOPBACK, new_token()), Store()
    intake = Intake(store, guard)
    following = asyncio.create_task(follow(log_file, intake.take_lines))
    try:
        async with ViewServer(store, intake, guard).running(listening):
            with announced(RunningView(own, guard.token)):
                yield DemoPage(f"{own}/?token={quote(guard.token)}", own, intake, store)
    finally:
        following.cancel()
