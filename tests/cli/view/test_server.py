"""The server: what it refuses, what it takes, and what viewers see."""

import asyncio
import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgpack
import pytest
from aiohttp import web

from pipecat_dd.cli.view import intake, server
from pipecat_dd.cli.view.changes import Changes
from pipecat_dd.cli.view.guard import Guard
from pipecat_dd.cli.view.payloads import PayloadError, spans_of
from pipecat_dd.cli.view.store import Store
from tests.cli.view.served import line, serving, span

HOSTILE = '<script>alert(1)</script>\u2028\x00"{}</script>'


# What it refuses


@pytest.mark.parametrize("path", ["/", "/api/sessions", "/api/sessions/s-1", "/api/events"])
async def test_what_shows_conversations_needs_the_token_and_our_own_page(path: str) -> None:
    async with serving() as served:
        await served.send([span("pipecat.session", 1, 0)])
        refused: list[dict[str, Any]] = [
            {},
            {"headers": {"Authorization": "Bearer wrong"}},
            {"headers": {"Authorization": "Bearer é"}},
            {"headers": served.as_viewer | {"Host": "evil.example"}},
            {"headers": served.as_viewer | {"Host": "127.0.0.1.evil.example"}},
            {"headers": served.as_viewer | {"Host": "evil.example@127.0.0.1"}},
            {"headers": served.as_viewer | {"Origin": "http://evil.example"}},
            {"headers": served.as_viewer | {"Origin": "null"}},
            {"headers": served.as_viewer | {"Origin": "http://127.0.0.1:1"}},
            {"headers": served.as_viewer | {"Sec-Fetch-Site": "cross-site"}},
            {"headers": served.as_viewer | {"Sec-Fetch-Site": "same-site"}},
        ]
        for asked in refused:
            assert await served.status("GET", path, **asked) == 403, asked
        if path != "/api/events":
            origin = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
            allowed = served.as_viewer | origin
            assert await served.status("GET", path, headers=allowed) == 200
            by_url = f"{path}?token={served.guard.token}"
            assert await served.status("GET", by_url) == 200


async def test_no_other_page_is_allowed_to_read_and_no_script_but_ours_to_run() -> None:
    async with serving() as served:
        asked = {**served.as_viewer, "Origin": served.url}
        async with served.http.get(f"{served.url}/?token={served.guard.token}") as page:
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "'nonce-" in policy
            assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            # Every other server of this machine would get a cookie as well.
            assert "Set-Cookie" not in page.headers
        async with served.http.options(f"{served.url}/api/sessions", headers=asked) as answer:
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
        async with served.http.get(f"{served.url}/api/sessions", headers=asked) as answer:
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/v0.4/traces", "/v0.5/traces", intake.LINES_PATH, "/info"])
async def test_a_browser_brings_nothing(path: str) -> None:
    async with serving() as served:
        method = "GET" if path == "/info" else "POST"
        foreign: list[dict[str, str]] = [
            {"Origin": "http://evil.example"},
            {"Origin": served.url},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "evil.example"},
        ]
        for headers in foreign:
            assert await served.status(method, path, data=b"[]", headers=headers) == 403
        assert served.store.summaries() == []


def test_a_name_is_this_machines_only_if_that_was_said() -> None:
    for name in ("127.0.0.1:8126", "localhost", "[::1]:8126", "127.8.8.8"):
        assert Guard("127.0.0.1", "t").is_for_us({"Host": name})
    for name in ("10.0.0.7:8126", "host.docker.internal", "", "a b", "localhost.evil.example"):
        assert not Guard("127.0.0.1", "t").is_for_us({"Host": name})
    open_to_all = Guard("0.0.0.0", "t", ["Host.docker.internal"])
    assert open_to_all.is_for_us({"Host": "10.0.0.7:8126"})
    assert open_to_all.is_for_us({"Host": "host.docker.internal:8126"})
    assert not open_to_all.is_for_us({"Host": "evil.example"})


async def test_what_is_no_http_and_what_fails_says_nothing_in_the_bots_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert b"400" in await reader.readline()
        writer.close()

        def fail(*_: object) -> None:
            raise RuntimeError("no more")

        monkeypatch.setattr(served.store, "add_spans", fail)
        body = msgpack.packb([[span("x", 1)]])
        for _ in range(3):
            assert await served.status("PUT", "/v0.4/traces", data=body) == 500
    assert capfd.readouterr().err == (
        "pipecat-dd: a request could not be answered (RuntimeError('no more'))\n"
    )


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (b"POST /pipecat-dd/lines HTTP/1.1\r\nDD-API-KEY: \xff", b"[]", 403),
        (b"GET / HTTP/1.1\r\nOrigin: http://[", b"", 403),
        (b"POST /v0.4/traces HTTP/1.1\r\nContent-Encoding: gzip", b"plain", 400),
    ],
)
async def test_headers_that_make_no_sense_are_refused_and_the_terminal_stays_the_bots(
    head: bytes, body: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving() as served:
        address = served.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*address.split(":"))
        length = b"Content-Length: %d" % len(body)
        writer.write(head + b"\r\nHost: %s\r\n%s\r\n\r\n" % (address.encode(), length) + body)
        answer = await reader.readline()
        writer.close()
    assert answer.split()[1] == b"%d" % status
    assert capfd.readouterr().err == ""


async def test_lines_need_the_key_of_the_bot_that_was_started() -> None:
    async with serving() as served:
        assert await served.status("POST", intake.LINES_PATH, json=[line("x")]) == 403
        wrong = {"DD-API-KEY": "wrong"}
        given = {"json": [line("x")], "headers": wrong}
        assert await served.status("POST", intake.LINES_PATH, **given) == 403
        assert served.store.summaries() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"no",
        b"[" * 100_000,
        b"\x91" * 100_000,
        b"[[1]]",
        b"{}",
        msgpack.packb([[{"span_id": 1}]]),
        msgpack.packb([[span("x", 1) | {"start": "now"}]]),
        msgpack.packb([[span("x", 1) | {"start": 2**64 - 1}]]),
        msgpack.packb([[span("x", 1) | {"name": None}]]),
        msgpack.packb([[span("x", 1) | {"meta": []}]]),
        msgpack.packb([[span("x", 1) | {"meta": dict.fromkeys(map(str, range(5000)), "")}]]),
        msgpack.packb({"a": 1}),
        msgpack.packb([["text"], [[[9] * 12]]]),
        msgpack.packb([["text"], [[[0, 0, 0, 1, 1, 0, 1, 1, 0, {0: 7}, {}, 0]]]]),
        msgpack.packb([["text"], [[[0] * 11]]]),
        msgpack.packb([[1], []]),
    ],
)
async def test_a_malformed_payload_is_refused_and_the_server_stays_up(body: bytes) -> None:
    async with serving() as served:
        for version in ("v0.4", "v0.5"):
            answer = await served.status("PUT", f"/{version}/traces", data=body)
            # What is malformed in one version may be empty in the other.
            assert answer == 400 or not served.store.summaries()
        lines = {"data": body, "headers": served.as_bot}
        assert await served.status("POST", intake.LINES_PATH, **lines) in (202, 400)
        await served.send([span("pipecat.session", 1, 0)])
        assert len((await served.get("/api/sessions"))["sessions"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\x00\x00\x00\x0b" + 11 * (b"\xdd\x00\x01\x86\xa0" + 100_000 * b"\x90"),
        b"[" + b",".join(1_100_000 * [b"{}"]) + b"]",
    ],
    ids=["msgpack", "json"],
)
def test_a_payload_that_takes_hundreds_of_its_bytes_in_memory_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError, match="more than 1000000"):
        spans_of(body, "v0.4")


async def test_an_oversized_payload_is_refused_also_compressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MAX_BODY_BYTES", 100_000)
    async with serving() as served:
        large = b" " * 1_000_000
        assert await served.status("PUT", "/v0.4/traces", data=large) == 413
        packed = served.as_bot | {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        bomb = {"data": gzip.compress(large), "headers": packed}
        assert await served.status("POST", intake.LINES_PATH, **bomb) == 413
        await served.send([span("pipecat.session", 1, 0)])


async def test_viewers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_VIEWERS", 1)
    async with serving() as served, served.following(0):
        assert served.server.viewer_count == 1
        path = "/api/events?since=0"
        assert await served.status("GET", path, headers=served.as_viewer) == 503


# What it takes


async def test_an_agent_is_what_it_looks_like() -> None:
    async with serving() as served:
        async with served.http.get(f"{served.url}/info") as answer:
            endpoints = (await answer.json())["endpoints"]
        assert {"/v0.4/traces", "/v0.5/traces"} <= set(endpoints)
        # Without one of these, ddtrace-run prints that the Agent is too old.
        assert {"/debugger/v2/input", "/debugger/v1/diagnostics"} <= set(endpoints)
        for path in ("/telemetry/proxy/api/v2/apmtelemetry", "/v0.6/stats", "/v0.7/config"):
            assert await served.status("POST", path, data=b"{}") == 200
        assert await served.status("POST", "/evp_proxy/v2/api/v2/llmobs", data=b"x") == 200
        async with served.http.put(f"{served.url}/v0.5/traces", data=b"\x92\x90\x90") as answer:
            assert (await answer.json())["rate_by_service"] == {"service:,env:": 1.0}


@pytest.mark.parametrize("version", ["v0.4", "v0.5"])
async def test_both_versions_of_the_protocol_say_the_same(version: str) -> None:
    async with serving() as served:
        turn = span("pipecat.turn", 2, 1, 0, 900, metrics={"turn.number": 1})
        llm = span("pipecat.llm", 3, 2, 100, 300, meta={"gen_ai.request.model": "m"})
        inner = span("openai.request", 4, 3, 150, 200, session=None, error=1)
        inner["meta"]["_dd.p.tid"] = "68c1a2b300000000"
        await served.send([inner, llm, turn], version=version)
        call = await served.get("/api/sessions/s-1")
        spans = {one["id"]: one for one in call["spans"]}
        assert spans["4"]["trace"] == "68c1a2b300000000" + f"{77:016x}"
        assert "kind" not in spans["4"]
        assert spans["4"]["error"] is True
        assert (spans["3"]["kind"], spans["3"]["parent"]) == ("llm", "2")
        assert spans["3"]["tags"]["gen_ai.request.model"] == "m"
        assert spans["2"]["metrics"] == {"turn.number": 1}
        assert "turn" not in spans["2"]
        assert [spans[one]["turn"] for one in "34"] == ["2", "2"]
        assert spans["3"]["dur"] == 300
        assert spans["3"]["start"] == 1_800_000_000_100


async def test_what_comes_from_a_bot_is_data() -> None:
    async with serving() as served:
        await served.send(
            [span(HOSTILE, 2, session=HOSTILE, resource=HOSTILE, meta={HOSTILE: HOSTILE})]
        )
        await served.send_lines(
            line(HOSTILE, HOSTILE, **{HOSTILE: HOSTILE, "n": float("inf"), "deep": [[[{}]]]}),
            {"session_id": HOSTILE, "timestamp": [], "line": {}, "error": 7, "participant": 3},
        )
        (summary,) = (await served.get("/api/sessions"))["sessions"]
        assert summary["id"] == HOSTILE
        call = await served.get(f"/api/sessions/{quote(HOSTILE, safe='')}")
        assert call["spans"][0]["tags"] == {HOSTILE: HOSTILE}
        assert call["lines"][0]["msg"] == HOSTILE
        assert call["lines"][0]["fields"]["n"] == "inf"


# What viewers see


async def test_a_turn_that_goes_on_is_there_with_its_parts_and_then_as_itself() -> None:
    async with serving() as served:
        await served.send([span("pipecat.startup", 9, 1)])
        await served.send([span("pipecat.stt", 3, 2, 0, 300), span("pipecat.llm", 4, 2, 300, 500)])
        spans = {one["id"]: one for one in (await served.get("/api/sessions/s-1"))["spans"]}
        assert spans["2"]["open"] is True
        assert (spans["2"]["kind"], spans["2"]["parent"]) == ("turn", "1")
        assert (spans["2"]["start"], spans["2"]["dur"]) == (1_800_000_000_000, 800)
        assert spans["4"]["turn"] == "2"
        summary = (await served.get("/api/sessions"))["sessions"][0]
        assert (summary["turns"], summary["is_live"]) == (1, True)
        assert "end" not in summary
        await served.send([span("pipecat.turn", 2, 1, 0, 1200)])
        spans = {one["id"]: one for one in (await served.get("/api/sessions/s-1"))["spans"]}
        assert "open" not in spans["2"]
        assert spans["2"]["dur"] == 1200


async def test_a_late_viewer_sees_the_whole_call_and_then_what_comes() -> None:
    async with serving() as served:
        await served.send([span("pipecat.turn", 2)])
        await served.send_lines(line("first"))
        number = (await served.get("/api/sessions/s-1"))["seq"]
        async with served.following(number) as one, served.following(0) as other:
            await served.send([span("pipecat.turn", 5, start_ms=1000)])
            await served.send_lines(line("second"))
            for followed in (one, other):
                await followed.until(lambda events: [e for e in events if e[0] == "lines"])
                await followed.until(lambda events: "second" in json.dumps(events))
        assert [s["id"] for data in one.of("spans") for s in data["spans"]] == ["5"]
        assert [s["id"] for data in other.of("spans") for s in data["spans"]] == ["2", "5"]
        assert one.of("sessions")[-1]["sessions"][0]["span_count"] == 2
        # Whoever was cut off goes on where they were.
        await served.send_lines(line("third"))
        async with served.following(int(one.last_id)) as again:
            await again.until(lambda events: "third" in json.dumps(events))
            assert "second" not in json.dumps(again.events)


@pytest.mark.parametrize("since", [0, 10_000_000])
async def test_a_viewer_that_is_too_far_behind_loads_anew(since: int) -> None:
    store = Store()
    store.changes = Changes(kept=3)
    async with serving(store) as served:
        await served.send([span("pipecat.frame", number) for number in range(2, 12)])
        async with served.following(since) as followed:
            await followed.until(lambda events: events)
            assert followed.events[0] == ("reset", {})


async def test_a_foreign_span_waits_for_its_session() -> None:
    async with serving() as served:
        await served.send([span("http.request", 8, 3, session=None)])
        assert served.store.summaries() == []
        await served.send([span("pipecat.llm", 3, 2)])
        spans = (await served.get("/api/sessions/s-1"))["spans"]
        assert {one["id"] for one in spans} == {"3", "8"}
        await served.send([span("web.request", 5, 0, session=None, trace_id=99)])
        assert len(served.store.summaries()) == 1


async def test_a_line_has_its_span_participant_and_error() -> None:
    async with serving() as served:
        await served.send_lines(
            line(
                "hello",
                **{
                    "dd.span_id": "3",
                    "dd.trace_id": f"{77:032x}",
                    "participant_id": "p",
                    "participant": {"id": "p", "name": "Ann"},
                    "levelname": "ERROR",
                    "error": {"kind": "ValueError", "message": "no", "stack": "…"},
                    "attempt": 2,
                    "service": "bot",
                },
            )
        )
        call = await served.get("/api/sessions/s-1")
        (found,) = call["lines"]
        assert found == {
            "n": 1,
            "t": 1_800_000_000_000,
            "level": "ERROR",
            "msg": "hello",
            "span": "3",
            "trace": f"{77:032x}",
            "participant": "p",
            "participant_name": "Ann",
            "logger": "bot",
            "function": "run",
            "line": 7,
            "fields": {"attempt": 2},
            "error": {"kind": "ValueError", "message": "no", "stack": "…"},
        }
        assert call["session"]["participant_names"] == ["Ann"]
        assert call["session"]["service"] == "bot"


# A real Agent behind


async def test_everything_goes_on_to_a_real_agent_whose_answer_the_bot_gets() -> None:
    async with serving() as real, serving(forward=real.url) as served:
        await served.send([span("pipecat.turn", 2)])
        assert len(real.store.summaries()) == len(served.store.summaries()) == 1
        async with served.http.get(f"{served.url}/info") as answer:
            assert "pipecat-dd-view" in (await answer.json())["version"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets")
async def test_an_agent_on_a_unix_socket_gets_everything(tmp_path: Path) -> None:
    async with serving() as real:
        app = web.Application()

        async def pass_on(request: web.Request) -> web.Response:
            assert request.headers["Host"] == "localhost"
            url, body = f"{real.url}{request.rel_url}", await request.read()
            async with real.http.request(request.method, url, data=body) as answer:
                return web.json_response(await answer.json(), status=answer.status)

        app.router.add_route("*", "/{path:.*}", pass_on)
        runner = web.AppRunner(app)
        await runner.setup()
        path = tmp_path / "apm.socket"
        await web.UnixSite(runner, str(path)).start()
        async with serving(forward=f"unix://{path}") as served:
            await served.send([span("pipecat.turn", 2)])
            assert [one["id"] for one in real.store.summaries()] == ["s-1"]
            async with served.http.get(f"{served.url}/info") as answer:
                assert "pipecat-dd-view" in (await answer.json())["version"]
        await runner.cleanup()
        async with serving(forward=f"unix://{path}") as served:
            await served.send([span("pipecat.turn", 2)])  # nobody listens there any more
            assert served.store.summaries()[0]["turns"] == 1


async def test_an_agent_that_is_away_costs_the_bot_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serving(forward="http://127.0.0.1:1") as served:
        await served.send([span("pipecat.turn", 2)])
        await served.send([span("pipecat.turn", 3)])
        assert served.store.summaries()[0]["turns"] == 2
    assert capsys.readouterr().err.count("does not answer") == 1


async def test_ten_thousand_spans_are_taken_and_given_quickly() -> None:
    async with serving() as served:
        began = time.monotonic()
        for first in range(0, 10_000, 500):
            await served.send(
                [span("pipecat.frame", 10 + first + one, 2, first + one) for one in range(500)]
            )
        for first in range(0, 20_000, 1000):
            await served.send_lines(*(line(f"line {first + one}") for one in range(1000)))
        call = await served.get("/api/sessions/s-1")
        assert len(call["spans"]) == 10_000
        assert len(call["lines"]) == 20_000
        assert time.monotonic() - began < 15
        await asyncio.sleep(0)
