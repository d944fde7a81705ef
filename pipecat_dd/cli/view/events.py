"""What viewers get while they follow: server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from pipecat_dd.cli.view.changes import Change
from pipecat_dd.cli.view.store import Store

GATHER_SECS: Final = 0.1
"""How long changes are gathered, so that a viewer gets them together."""
ALIVE_SECS: Final = 15.0
"""How often a viewer of a quiet server gets a comment: it notices a connection that is gone."""


async def events(store: Store, since: int) -> AsyncIterator[bytes]:
    """Yield what happens after a change, until the server ends.

    Args:
        store: The conversations.
        since: The number of the last change that the viewer knows.
    """
    changes = store.changes
    if since > changes.number:
        since = -1  # the viewer knows another run of the server's
    yield b"retry: 1000\n\n"
    while True:
        try:
            async with asyncio.timeout(ALIVE_SECS):
                await changes.wait(since)
        except TimeoutError:
            yield b": alive\n\n"
            continue
        if changes.is_closed and changes.number <= since:
            return
        await asyncio.sleep(GATHER_SECS)
        found = changes.since(since)
        if found is None:
            since = changes.number
            yield _event("reset", b"{}", since)
            continue
        since = found[-1].number
        for event in _events_of(store, found, since):
            yield event


def _events_of(store: Store, found: list[Change], number: int) -> Iterator[bytes]:
    """Yield the events of some changes; the last has their number, as all are known only then."""
    items: dict[tuple[str, str], list[bytes]] = {}
    for change in found:
        items.setdefault((change.topic, change.session_id), []).append(change.item)
    summaries = [
        summary
        for session_id in dict.fromkeys(change.session_id for change in found)
        if (summary := store.summary(session_id)) is not None
    ]
    made = [("sessions", _json({"sessions": summaries}))]
    for (topic, session_id), parts in items.items():
        name = json.dumps(session_id).encode()
        if topic in ("spans", "lines"):
            made.append(
                (topic, b'{"session":%s,"%s":[%s]}' % (name, topic.encode(), b",".join(parts)))
            )
        elif topic == "gone":
            made.append((topic, b'{"session":%s}' % name))
    for index, (topic, data) in enumerate(made, 1):
        yield _event(topic, data, number if index == len(made) else None)


def _event(name: str, data: bytes, number: int | None = None) -> bytes:
    head = b"" if number is None else b"id: %d\n" % number
    return head + b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
