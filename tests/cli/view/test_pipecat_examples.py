"""Bots of Pipecat's own examples: under ``view`` each behaves as alone, and is on the page.

They are as Pipecat publishes them; their providers are servers on this machine. Three, each over
another transport, are always run; ``nox -s examples-of-pipecat`` runs all.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.cli.view.pipecat_examples.run import Outcome, run
from tests.cli.view.pipecat_examples.scenes import EXAMPLES
from tests.support.versions import needs_pipecat

pytestmark = [
    needs_pipecat("1.14", "its runner serves evals as it does calls"),
    pytest.mark.timeout(240),
]

RUNS_ALL = os.environ.get("EXAMPLES_OF_PIPECAT") == "all"
LOGURU = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \| \w+ +\| (\S+?):(\S+):\d+ - (.*)$")
UNCOUNTED = {"metrics": 0, "bot-tts-text": 0}
"""Messages whose number depends on when the user cuts in or hangs up."""
SEGMENTS = ("user_speech", "stt")
OURS = ("pipecat_dd.",)
UNLIKE = (
    *OURS,
    "pipecat.utils.startup",  # that our file is run
    # How far a connection is when the bot begins, and how a turn's end was found, differ from one
    # call to the next.
    "pipecat.transports.smallwebrtc.",
    "pipecat.audio.turn.",
    "pipecat.transports.daily.",
)
OUTSIDE = (
    *OURS,  # the watch of the event loop has a thread of its own
    "pipecat.utils.startup",
    "pipecat.transports.smallwebrtc.request_handler",  # the server's
)


def named(ids: Iterable[str]) -> list[object]:
    return [
        pytest.param(
            one,
            marks=pytest.mark.skipif(
                not (RUNS_ALL or EXAMPLES[one].is_quick), reason="nox -s examples-of-pipecat"
            ),
        )
        for one in ids
    ]


def logged(terminal: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return the module, function and masked message of each line of Loguru's."""
    found = (LOGURU.match(line) for line in terminal)
    return [(one[1], one[2], masked(one[3])) for one in found if one is not None]


def masked(text: str) -> str:
    """Return a message without what differs from one call to the next: ids and numbers."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27,}|\b[0-9a-f]{32,}\b|0x[0-9a-f]+", "ID", text)
    text = re.sub(r"runner-[0-9a-f]{8}", "ID", text)
    return re.sub(r"\d+(\.\d+)?(e-\d+)?", "N", text)


@pytest.mark.parametrize("name", named(EXAMPLES))
async def test_it_behaves_as_alone_and_all_of_it_is_on_the_page(name: str) -> None:
    example = EXAMPLES[name]
    if example.needs:
        pytest.importorskip(example.needs)
    alone, viewed = await asyncio.gather(
        run(example, is_viewed=False), run(example, is_viewed=True)
    )

    assert (alone.code, viewed.code) == (0, 0)
    assert viewed.requested == alone.requested
    assert viewed.heard_secs == pytest.approx(alone.heard_secs, abs=0.5)
    assert {**viewed.events, **UNCOUNTED} == {**alone.events, **UNCOUNTED}
    assert shown(viewed) == shown(alone)

    session = viewed.session
    kinds = Counter(span.get("kind") for span in viewed.spans)
    # On a busy machine, a pause within the user's words makes two segments of one.
    found = {kind: kinds[kind] for kind in example.parts}
    segments = {kind: max(found[kind], example.parts[kind]) for kind in found if kind in SEGMENTS}
    assert found == {**example.parts, **segments}
    assert session["end_reason"] == example.end_reason
    assert (session["errors"], session["participants"], session["is_live"]) == (0, 1, False)
    assert session["turns"] == kinds["turn"]
    assert kinds["participant"] == kinds["session"] == 1
    # A participant connects, services connect, the pipeline starts.
    assert kinds["startup"] >= 2
    assert kinds["participant.event"] >= 1
    known = {span["id"] for span in viewed.spans}
    assert {span["parent"] for span in viewed.spans if "parent" in span} <= known
    assert [line for line in viewed.lines if line.get("span") not in known] == []
    assert missing(viewed) == []
    assert spoken(viewed) == " ".join(viewed.requested[1])


def shown(outcome: Outcome) -> set[tuple[str, str, str]]:
    """Return what a terminal shows of Pipecat and the bot."""
    return {line for line in logged(outcome.terminal) if not line[0].startswith(UNLIKE)}


def missing(outcome: Outcome) -> list[str]:
    """Return what a bot has written in its conversation that is not on the page."""
    terminal = outcome.terminal
    (start, *_) = (i for i, line in enumerate(terminal) if "setup_pipeline_worker" in line)
    *_, end = (i for i, line in enumerate(terminal) if "finished running" in line)
    on_page = {masked(line["msg"].partition("\n")[0]) for line in outcome.lines}
    return [
        message
        for module, function, message in logged(terminal[start : end + 1])
        if not module.startswith(OUTSIDE)
        and function != "_start_worker"  # that of the next worker comes before its set-up
        and message not in on_page
    ]


def spoken(outcome: Outcome) -> str:
    """Return what the page shows as spoken by the service that synthesizes speech."""
    spans = [span for span in outcome.spans if span.get("kind") == "tts"]
    return " ".join(
        span["tags"]["tts.text"] for span in sorted(spans, key=lambda one: one["start"])
    )
