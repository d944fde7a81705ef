"""Real bots under ``pipecat-dd view``: they run as alone, and all they have is on the page."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from pipecat_dd.cli.view.bot_process import SETUP_FILE, BotProcess, environment_for
from tests.cli.view.bots import PLAIN_BOT, environment, viewing

OUTPUT = """
import os, sys
sys.stdout.write(sys.stdin.read().upper())
sys.stderr.write(f"tty {os.isatty(0)} {os.getpgrp() == os.getpgid(os.getppid())}\\n")
sys.stderr.write(f"{os.environ['DD_SERVICE']} {os.environ.get('DD_TRACE_API_VERSION')}\\n")
"""


async def test_conversations_of_any_bot_are_there_once_each_and_its_terminal_is_its_own() -> None:
    calls = "plain,plain,observer,subclass,class,later,pair"
    bot = (*PLAIN_BOT, "--logging=sink,basic", f"--calls={calls}")
    # The page is asked when the bot has ended: the view stays.
    async with viewing(*bot, options=("--stay",)) as viewed:
        await viewed.until_said(b"the bot has ended (exit code 0); the page stays")
        sessions = (await viewed.get("/api/sessions"))["sessions"]
        names = sorted(one["name"] for one in sessions)
        # The class in an instance's place is the bot's mistake, which a line names.
        assert names == ["later", "observer", "somebody", "somebody", "somebody", "subclass"]
        said = []
        for one in sessions:
            assert (one["turns"], one["end_reason"]) == (1, "ended"), one
            call = await viewed.get(f"/api/sessions/{one['id']}")
            kinds = [span.get("kind") for span in call["spans"]]
            for kind in ("session", "turn", "user_speech", "stt", "llm", "tts", "bot_speech"):
                assert kinds.count(kind) == 1, kind
            known = {span["id"] for span in call["spans"]}
            assert {line["span"] for line in call["lines"]} <= known
            said += [line["msg"] for line in call["lines"] if line["msg"].endswith("is over")]
        # Lines of the bots' own functions after their runs, too.
        assert sorted(said) == sorted(
            f"{one} is over" for one in calls.split(",") if one != "class"
        )
        viewed.signal(signal.SIGINT)
        code, _, errors = await viewed.end()
    assert code == 0
    assert "OWN INFO plain is over {}" in errors
    assert "BASIC a warning of logging" in errors
    assert '"session_id"' not in errors
    assert "two DatadogObservers" not in errors


async def test_a_turn_is_on_the_page_soon_and_ctrl_c_ends_the_bot_in_order() -> None:
    async with viewing(*PLAIN_BOT, "--end=waits", "--turns=2") as viewed:
        await viewed.until(b"TALKED")
        async with asyncio.timeout(2.5):
            while True:
                (summary,) = (await viewed.get("/api/sessions"))["sessions"]
                call = await viewed.get(f"/api/sessions/{summary['id']}")
                spoken = [one for one in call["spans"] if one.get("kind") == "bot_speech"]
                if len(spoken) == 2:
                    break
                await asyncio.sleep(0.05)
        turns = [one for one in call["spans"] if one.get("kind") == "turn"]
        assert [one["id"] for one in turns] == [one["turn"] for one in spoken]
        assert summary["is_live"] is True
        # As a terminal does: to the whole group. The bot's runner handles it.
        os.killpg(viewed.process.pid, signal.SIGINT)
        code, out, _ = await viewed.end()
    assert "END" in out
    assert code == 0


async def test_signals_codes_and_streams_are_the_bots() -> None:
    plain = "import sys; sys.exit(7)"
    killed = "import os; os.kill(os.getpid(), 9)"
    waits = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(3)); "
        "print('READY', flush=True); time.sleep(60)"
    )
    dies = "import time; print('READY', flush=True); time.sleep(60)"

    async def ends(program: str, number: int | None = None) -> int:
        async with viewing(sys.executable, "-c", program) as viewed:
            if number is not None:
                await viewed.until(b"READY")
                viewed.signal(number)
            return (await viewed.end())[0]

    assert await asyncio.gather(
        ends(plain), ends(killed), ends(waits, signal.SIGTERM), ends(dies, signal.SIGTERM)
    ) == [7, -9, 3, -15]
    async with viewing("no-such-program") as viewed:
        assert (await viewed.end())[0] == 127
    async with viewing(sys.executable, "-c", OUTPUT, DD_TRACE_AGENT_URL="http://x:1") as viewed:
        assert viewed.process.stdin is not None
        viewed.process.stdin.write(b"said to the bot")
        code, out, errors = await viewed.end()
    assert (code, out) == (0, "SAID TO THE BOT")
    assert "tty False True" in errors
    assert "somebody None" in errors


INHERITS = """
import os, signal, sys
print(*(signal.getsignal(one) == signal.SIG_IGN for one in (1, 2, 3, 15)), flush=True)
print(os.read(int(sys.argv[1]), 9).decode(), flush=True)
signal.signal(1, lambda *_: sys.exit(8))
signal.signal(3, lambda *_: sys.exit(9))
print("READY", flush=True)
signal.pause()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 8), (signal.SIGQUIT, 9)])
async def test_ignored_signals_and_open_files_are_inherited(number: int, code: int) -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    os.write(write, b"a config")
    command = [sys.executable, "-m", "pipecat_dd.cli", "view", "--no-open", "--"]
    command += [sys.executable, "-c", INHERITS, str(read)]
    # As `nohup` does for a hang-up, and a script's shell in the background for the keys.
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        'trap "" HUP INT; exec "$@"',
        "sh",
        *command,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[read],
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            said = [await process.stdout.readline() for _ in range(3)]
            assert said == [b"True True False False\n", b"a config\n", b"READY\n"]
            # A bot that does not ignore it after all gets it.
            process.send_signal(number)
            assert await process.wait() == code
    finally:
        os.close(read)
        os.close(write)
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@pytest.mark.skipif(os.name != "posix", reason="scripts of a shell")
async def test_scripts_run_as_from_a_shell(tmp_path: Path) -> None:
    plain, lost = tmp_path / "plain one", tmp_path / "lost"
    plain.write_text('echo "$1"; exit 4\n')
    lost.write_text("#!/no/such/interpreter\n")
    for script in (plain, lost):
        script.chmod(0o755)
    async with viewing(str(plain), "a word") as viewed:
        assert (await viewed.end())[:2] == (4, "a word\n")
    async with viewing(str(lost)) as viewed:
        code, _, errors = await viewed.end()
    assert code == 127
    assert "lost: its interpreter is missing" in errors


async def test_what_a_browser_prints_is_not_in_the_bots_output(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho "in an existing session" | tee -a /dev/stderr\necho "$1" > {opened}'
    )
    browser.chmod(0o755)
    bot = f"import os, time\nwhile not os.path.exists({str(opened)!r}): time.sleep(0.01)\nprint(1)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pipecat_dd.cli", "view", "--", sys.executable, "-c", bot),
        env=environment(BROWSER=str(browser)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert (process.returncode, out) == (0, b"1\n")
    assert b"existing" not in errors
    assert opened.read_text().strip() in errors.decode()


async def test_a_signal_while_the_bot_starts_reaches_it() -> None:
    bot = BotProcess([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
    bot.pass_on(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await bot.run() == -signal.SIGTERM


def test_what_is_set_stays_and_our_file_is_the_last() -> None:
    given = {
        "PIPECAT_SETUP_FILES": "/a.py:/b.py",
        "DD_TRACE_WRITER_INTERVAL_SECONDS": "3",
        "DD_SERVICE": "own",
        "HTTP_PROXY": "http://proxy",
        "NO_PROXY": "internal",
    }
    made = environment_for("http://127.0.0.1:9", "key", given, is_forwarded=False)
    assert made["PIPECAT_SETUP_FILES"] == f"/a.py:/b.py:{SETUP_FILE}"
    assert made["DD_TRACE_WRITER_INTERVAL_SECONDS"] == "3"
    assert made["DD_SERVICE"] == "own"
    assert made["DD_TRACE_AGENT_URL"] == "http://127.0.0.1:9"
    assert made["NO_PROXY"] == "internal,127.0.0.1,localhost"
    # A program that reads the other name is not to lose what is listed.
    assert made["no_proxy"] == made["NO_PROXY"]
    again = environment_for("http://127.0.0.1:9", "key", made, is_forwarded=False)
    assert again["PIPECAT_SETUP_FILES"] == made["PIPECAT_SETUP_FILES"]
    assert "DD_TRACE_API_VERSION" not in made


def test_a_file_of_variables_does_not_keep_spans_from_the_page() -> None:
    # python-dotenv leaves what is set.
    made = environment_for("http://127.0.0.1:9", "key", {}, is_forwarded=False)
    assert made["DD_TRACE_ENABLED"] == "true"
    # A real Agent gets nothing that was not sent before.
    made = environment_for("http://127.0.0.1:9", "key", {}, is_forwarded=True)
    assert "DD_TRACE_ENABLED" not in made


async def test_a_bot_that_sends_no_spans_is_no_riddle() -> None:
    async with viewing(sys.executable, "-c", "", DD_TRACE_ENABLED="False") as viewed:
        code, _, errors = await viewed.end()
    assert code == 0
    assert "DD_TRACE_ENABLED=False" in errors
    async with viewing(sys.executable, "-c", "") as viewed:
        _, _, errors = await viewed.end()
    assert "DD_TRACE_ENABLED" not in errors


async def test_a_log_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").touch()
    logs = (f"--log={tmp_path}/there.jsonl", f"--log={tmp_path}/typo.jsonl")
    async with viewing(sys.executable, "-c", "", options=logs) as viewed:
        _, _, errors = await viewed.end()
    assert "typo.jsonl is not there yet" in errors
    assert "/there.jsonl" not in errors


async def test_alone_it_listens_where_an_agent_would_and_follows_a_log(tmp_path: Path) -> None:
    log = tmp_path / "bot.jsonl"
    kept = tmp_path / "kept"
    options = ("--port=0", f"--log={log}", f"--keep={kept}")
    async with viewing(options=options) as viewed:
        stamp = "2026-11-29T10:00:00.000Z"
        log.write_text(
            "no JSON\n" + json.dumps({"session_id": "s", "message": "one", "timestamp": stamp})
        )
        with log.open("a") as file:
            file.write("\n" + json.dumps({"session_id": "s", "message": "two"}) + "\n{")
        async with asyncio.timeout(10):
            while not (sessions := (await viewed.get("/api/sessions"))["sessions"]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            while sessions[0]["line_count"] < 2:
                sessions = (await viewed.get("/api/sessions"))["sessions"]
                await asyncio.sleep(0.05)
        log.write_text(json.dumps({"session_id": "s", "message": "three"}) + "\n")
        async with asyncio.timeout(10):
            while sessions[0]["line_count"] < 3:
                sessions = (await viewed.get("/api/sessions"))["sessions"]
                await asyncio.sleep(0.05)
        viewed.signal(signal.SIGTERM)
        assert (await viewed.end())[0] == 0
    assert len((kept / "lines.jsonl").read_text().splitlines()) == 3
    assert (kept / "lines.jsonl").stat().st_mode & 0o077 == 0


async def test_a_taken_port_is_said_in_one_line() -> None:
    async with viewing(options=("--port=0",)) as viewed:
        port = viewed.url.rpartition(":")[2]
        other = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipecat_dd.cli", "view", "--no-open", f"--port={port}"),
            env=environment(),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await asyncio.wait_for(other.communicate(), 20)
    assert other.returncode == 1
    assert b"cannot listen on 127.0.0.1" in errors
    assert b"Traceback" not in errors
