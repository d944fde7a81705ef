"""Reports: what is in them, and what is not."""

import asyncio
import json
import os
import subprocess
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.cli.report.chrome import trace_events
from pipecat_dd.cli.report.content import CONTENT_TAGS, without_content
from pipecat_dd.cli.report.source import NoCallError, call_in
from pipecat_dd.cli.report.text import as_text
from pipecat_dd.cli.view.keep import LINES_FILE, SPANS_FILE, Keeper
from pipecat_dd.cli.view.page import data_in
from pipecat_dd.cli.view.payloads import RawSpan
from pipecat_dd.cli.view.running import RunningView, announced, directory, running_views
from pipecat_dd.names import tags
from tests.cli.view.calls import bad_call, good_call
from tests.cli.view.served import line, serving

SECRET = "what only they know"


def call(**given: Any) -> dict[str, Any]:
    """Return a call as the server gives it."""
    made: dict[str, Any] = bad_call(**given).as_json()
    return made


def keep(place: Path, *calls: dict[str, Any]) -> None:
    """Leave calls in a directory, as ``view --keep`` does."""
    keeper = Keeper(place)
    for one in calls:
        name = one["session"]["id"]
        keeper.keep_spans(
            RawSpan(
                trace_id=int(span["trace"][-16:], 16),
                span_id=int(span["id"]),
                parent_id=int(span.get("parent", 0)),
                name=span["name"],
                resource=span["resource"],
                service=span["service"],
                start_ns=int(span["start"] * 1e6),
                duration_ns=int(span["dur"] * 1e6),
                error=span["error"],
                meta=span["tags"] | {tags.SESSION_ID: name},
                metrics=span["metrics"],
            )
            for span in one["spans"]
        )
        keeper.keep_lines(line(each["msg"], name) for each in one["lines"])
    keeper.close()


def run(*arguments: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "pipecat_dd.cli", "report", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables,
        cwd=cwd,
        capture_output=True,
        timeout=60,
    )


# Content


def test_content_is_in_no_report_that_does_not_ask_for_it() -> None:
    given = call(has_content=True)
    for span in given["spans"]:
        if span.get("kind") == "llm":
            span["tags"] |= dict.fromkeys(CONTENT_TAGS, SECRET)
        if "kind" not in span:
            span["tags"] |= {"openai.request.prompt.0": SECRET, "http.status_code": "200"}
    given["lines"].append(
        {
            "n": 900,
            "t": given["session"]["start"],
            "level": "DEBUG",
            "msg": f"Transcription: [{SECRET}]",
            "logger": "pipecat.services.deepgram.stt",
        }
    )
    assert SECRET in json.dumps(given)
    stripped = without_content(given)
    assert SECRET not in json.dumps(stripped)
    assert SECRET in json.dumps(given), "the one given stays as it is"
    assert len(stripped["spans"]) == len(given["spans"])
    assert '"http.status_code": "200"' in json.dumps(stripped)
    assert SECRET in as_text(given)
    assert SECRET not in as_text(stripped)


def test_keys_results_and_lines_of_packages_are_content_too() -> None:
    given = call(has_content=True)
    began = given["session"]["start"]

    def span(number: int, name: str, kind: str, found: dict[str, str]) -> dict[str, Any]:
        of = {"kind": kind} if kind else {}
        made = {"id": str(number), "name": name, "start": began, "dur": 1.0, "error": False}
        return of | made | {"tags": found, "metrics": {}, "resource": "", "service": "bot"}

    failed = {tags.ERROR_TYPE: "ToolError"}
    given["spans"] += [
        span(1, "pipecat.participant.event", "participant_event", {tags.DTMF_TONE: SECRET}),
        span(
            *(2, "pipecat.tool", "tool"),
            failed | {tags.ERROR_MESSAGE: SECRET, tags.GEN_AI_TOOL_CALL_RESULT: SECRET},
        ),
        span(3, "pipecat.tool", "tool", failed | {tags.ERROR_MESSAGE: "TimeoutError"}),
        # Pipecat's own tracing, and what a tool asks for.
        span(4, "llm_tool_result", "", {"tool.result": SECRET, "system": SECRET}),
        span(
            *(5, "http.request", ""),
            {"http.url": f"http://weather/v1?q={SECRET}", "http.query.string": SECRET},
        ),
        span(6, "postgres.query", "", {"sql.query": SECRET, "db.name": "orders"}),
    ]
    given["lines"] += [
        {"n": 901, "t": began, "level": "DEBUG", "msg": f"saying: [{SECRET}]", "logger": name}
        for name in ("pipecat_voices.tts", "pipecat_voices")
    ]
    text = json.dumps(without_content(given))
    assert SECRET not in text
    for kept in ("TimeoutError", "http://weather/v1", "orders", "ToolError"):
        assert kept in text


# The command


def test_a_report_is_one_small_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    # Five minutes: the calls of the tests are of half a minute, more or less.
    long = call()
    length = long["session"]["end"] - long["session"]["start"]
    times = int(300_000 / length) + 1
    spans, lines = list(long["spans"]), list(long["lines"])
    for number in range(1, times):
        for span in long["spans"]:
            moved = {"id": str(int(span["id"]) + number * 10**9), "start": span["start"]}
            moved["start"] += number * length
            spans.append(span | moved)
        lines += [each | {"t": each["t"] + number * length} for each in long["lines"]]
    keep(tmp_path / "kept", long | {"spans": spans, "lines": lines})
    done = run("--from", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("pipecat-dd-*.html")
    assert file.stat().st_size < 449_000, f"{file.stat().st_size} bytes, {len(spans)} spans"
    assert file.stat().st_mode & 0o077 == 0
    data = data_in(file.read_text())
    assert data is not None
    (session,) = data["sessions"]
    assert len(data["calls"][session["id"]]["spans"]) == len(spans)
    assert b"Pipecat" not in done.stderr, "importing Pipecat greets"


async def test_a_report_is_of_the_view_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving() as served:
        await served.send_lines(line("first", "aa-1"), line("other", "ab-2", ms=50))
        with announced(RunningView(served.url, served.guard.token)):
            done = await asyncio.to_thread(run, "aa", "--json", "--content", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["session"]["id"] == "aa-1"
            last = await asyncio.to_thread(run, "--text", "--content", "-o", "-", cwd=tmp_path)
            assert b"session ab-2" in last.stdout
            several = await asyncio.to_thread(run, "a", "--json", cwd=tmp_path)
            assert several.returncode == 1
            assert b"aa-1" in several.stderr
        gone = await asyncio.to_thread(run, "aa", "--json", "--content", cwd=tmp_path)
    assert gone.returncode == 1
    assert b"no `pipecat-dd view` of yours is running" in gone.stderr
    assert b"Traceback" not in gone.stderr


def test_only_the_owners_files_are_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    view = RunningView("http://127.0.0.1:1", "t")
    with announced(view):
        (file,) = directory().iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert running_views() == [view]
        file.chmod(0o644)
        assert running_views() == []
        file.chmod(0o600)
        directory().chmod(0o755)
        assert running_views() == []
        directory().chmod(0o700)
        dead = directory() / "view-999999999.json"
        dead.write_text("{}")
        dead.chmod(0o600)
        assert running_views() == [view]
        assert not dead.exists()
    assert list(directory().iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_what_is_kept_is_its_owners_also_in_files_that_were_there(tmp_path: Path) -> None:
    for name in (SPANS_FILE, LINES_FILE):
        (tmp_path / name).touch(0o644)
    keep(tmp_path, call())
    for name in (SPANS_FILE, LINES_FILE):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_what_was_kept_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    keep(tmp_path, good_call("2f-good").as_json(), call(id_="9d-bad", now=1_900_000_000_000))
    assert call_in(tmp_path, "2f")["session"]["id"] == "2f-good"
    assert call_in(tmp_path, None)["session"]["id"] == "9d-bad"
    with pytest.raises(NoCallError, match="9d-bad"):
        call_in(tmp_path, "x")
    with pytest.raises(FileNotFoundError, match="contains nothing"):
        call_in(tmp_path / "..", None)


# Text


def test_the_text_says_what_went_wrong_where() -> None:
    text = as_text(call())
    assert "ERROR" in text
    assert "INTERRUPTED" in text
    assert "waited: " in text
    assert "turn 1 " in text
    assert "DEBUG" not in text
    assert max(map(len, text.splitlines())) < 800


# Trace events


def test_what_was_kept_and_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, call())
    spans = tmp_path / SPANS_FILE
    good = json.loads(spans.read_text().splitlines()[0])
    bad = [good | {"trace_id": "x"}, good | {"meta": [1]}, good | {"duration_ns": -1}, {"a": 1}]
    count = len(call_in(tmp_path, None)["spans"])
    with spans.open("a") as file:
        file.writelines(json.dumps(one | {"span_id": 77}) + "\n" for one in bad)
        file.write('{"cut')
    assert len(call_in(tmp_path, None)["spans"]) == count


def test_a_call_of_lines_without_a_time_is_not_of_1970(tmp_path: Path) -> None:
    (tmp_path / LINES_FILE).write_text('{"session_id":"s","message":"hello"}\n')
    text = as_text(call_in(tmp_path, None))
    assert "hello" in text
    assert "1970" not in text


def test_a_line_before_the_beginning_has_one_sign() -> None:
    given = call()
    given["lines"].append(given["lines"][0] | {"t": given["session"]["start"] - 250, "span": ""})
    assert "\n-0.250 " in as_text(given)


def test_the_text_moves_no_cursor_and_adds_no_row(tmp_path: Path) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\x9b1A\u202eabc\r"
    given = call()
    given["session"] |= {"id": f"s{hostile}", "name": f"bot\n+0.000 ERROR made up{hostile}"}
    for span in given["spans"]:
        span |= {"resource": hostile, "error": True}
        span["tags"] |= {tags.ERROR_TYPE: hostile, tags.STT_TRANSCRIPT: hostile}
    for each in given["lines"]:
        each |= {"msg": hostile, "level": "INFO" + hostile, "function": hostile}
    text = as_text(given)
    assert "\\x1b]0;title\\x07" in text
    assert not [one for one in text if one != "\n" and unicodedata.category(one) == "Cc"]
    assert "\u202e" not in text
    assert "\n+0.000 ERROR made up" not in text
    keep(tmp_path, given)
    with pytest.raises(NoCallError) as caught:
        call_in(tmp_path, "other")
    assert "\x1b" not in str(caught.value)


def test_trace_events_are_as_perfetto_wants_them() -> None:
    given = call()
    # Two responses that overlap without one lying in the other.
    llm = next(span for span in given["spans"] if span.get("kind") == "llm")
    given["spans"].append(llm | {"id": "77", "start": llm["start"] + llm["dur"] / 2})
    made = trace_events(given)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    events = made["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "i"}
    named = {
        event["tid"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"
    }
    threads: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        assert type(event["pid"]) is type(event["tid"]) is int
        assert isinstance(event["name"], str)
        if event["ph"] == "M":
            continue
        assert type(event["ts"]) is int
        assert event["ts"] >= 0
        assert event["tid"] in named
        if event["ph"] == "X":
            assert type(event["dur"]) is int
            assert event["dur"] >= 0
            threads[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        else:
            assert event["s"] == "t"
    assert sum(map(len, threads.values())) == len(given["spans"])
    for thread, found in threads.items():
        open_until: list[int] = []
        for start, end in sorted(found, key=lambda one: (one[0], -one[1])):
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or end <= open_until[-1], f"thread {thread} overlaps"
            open_until.append(end)
