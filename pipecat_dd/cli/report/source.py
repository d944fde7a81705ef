"""Finds the conversation that a report is of: in a view that runs, or in a directory."""

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pipecat_dd.cli.terminal import without_controls
from pipecat_dd.cli.view.keep import kept_in
from pipecat_dd.cli.view.running import RunningView, running_views
from pipecat_dd.cli.view.store import Store

Call = dict[str, Any]
"""A conversation as the view's server returns it: its summary, its spans and its lines."""

_TIMEOUT_SECS: Final = 10.0


class NoCallError(Exception):
    """The conversation was not found. The message says where it was looked for."""


def call_in(directory: Path, wanted: str | None) -> Call:
    """Return a conversation that was kept.

    Args:
        directory: Where ``view --keep`` or the demo has left it.
        wanted: The session's id or its beginning; None for the last.

    Raises:
        NoCallError: It is not there.
        OSError: The directory cannot be read.
    """
    store = Store(max_bytes=2**40)
    kept_in(directory, store)
    session_id = _chosen(store.summaries(), wanted, str(directory))
    body = store.call_json(session_id)
    assert body is not None
    call: Call = json.loads(body)
    return call


def call_of_view(wanted: str | None) -> Call:
    """Return a conversation of a view that runs on this machine.

    Args:
        wanted: The session's id or its beginning; None for the last.

    Raises:
        NoCallError: It is in none.
    """
    views = running_views()
    if not views:
        raise NoCallError(
            "no `pipecat-dd view` of yours is running on this machine. To read the directory of "
            "`view --keep` or of the demo, use --from"
        )
    found: list[tuple[RunningView, dict[str, Any]]] = []
    for one in views:
        try:
            sessions = _asked(one, "/api/sessions")["sessions"]
        except (OSError, HTTPException, ValueError, KeyError):
            continue  # it is just ending
        found += [(one, summary) for summary in sessions]
    session_id = _chosen([summary for _, summary in found], wanted, "the view")
    view = next(one for one, summary in found if summary["id"] == session_id)
    try:
        call: Call = _asked(view, f"/api/sessions/{quote(session_id, safe='')}")
    except (OSError, HTTPException, ValueError) as error:
        raise NoCallError(f"the view does not answer ({type(error).__name__})") from error
    return call


def _chosen(summaries: list[dict[str, Any]], wanted: str | None, where: str) -> str:
    """Return the id of the conversation that is meant."""
    if not summaries:
        raise NoCallError(f"there is no conversation in {where} yet")
    if wanted is None:
        last = max(summaries, key=lambda one: one.get("start", 0))
        return str(last["id"])
    ids = [str(one["id"]) for one in summaries]
    found = [one for one in ids if one == wanted] or [one for one in ids if one.startswith(wanted)]
    if len(set(found)) == 1:
        return found[0]
    listed = "\n".join(f"  {without_controls(one)}" for one in (found or ids)[:20])
    problem = "several conversations" if found else "no conversation"
    raise NoCallError(f"{problem} in {where} with an id that begins with {wanted!r}:\n{listed}")


def _asked(view: RunningView, path: str) -> Any:
    request = urllib.request.Request(
        f"{view.url}{path}", headers={"Authorization": f"Bearer {view.token}"}
    )
    # A proxy of the environment's is not for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_SECS) as answer:
        return json.load(answer)
