"""Lines that cannot be sent now lie on disk, within bounds, and outlive the process."""

import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.export.logs import unconfigure_logging
from pipecat_dd.export.shipping import Reason, batches, counting, shipping_counts, spool, worker
from pipecat_dd.export.shipping.batches import Batch
from pipecat_dd.export.shipping.counting import Counters
from pipecat_dd.export.shipping.spool import Spool
from tests.export.shipping.conftest import ShipTo, check_sum
from tests.export.shipping.test_trouble import stopped, wait_until, write
from tests.support.intake import Intake, Reply, always, first, running_intake
from tests.support.ports import free_server_port


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_SPOOL_SECS", 0.02)


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_lines_of_an_outage_are_sent_in_order_when_it_is_over(
    intake: Intake, ship_to: ShipTo, tmp_path: Path
) -> None:
    intake.script = always(503)
    ship_to(intake, spool_dir=tmp_path)
    messages = [str(n) for n in range(3_000)]
    write(*messages[:1_500])
    wait_until(lambda: shipping_counts().spooled >= 1_500)
    write(*messages[1_500:2_000])
    wait_until(lambda: shipping_counts().spooled >= 2_000)
    assert shipping_counts().waiting == 0
    intake.script = always()
    write(*messages[2_000:])
    intake.wait_for_lines(3_000)
    unconfigure_logging()
    assert intake.messages == messages
    assert not files(tmp_path)
    counted = check_sum()
    assert counted.shipped == counted.written == 3_000
    assert counted.spooled == counted.unspooled


@pytest.mark.usefixtures("impatient")
def test_what_is_left_at_the_end_is_sent_by_the_next_process(
    ship_to: ShipTo, tmp_path: Path
) -> None:
    port = free_server_port()
    ship_to(stopped(port), spool_dir=tmp_path)
    write("one", "two")
    unconfigure_logging()
    assert check_sum().spooled == 2
    assert not shipping_counts().dropped
    counting.COUNTERS.reset()  # as in a process that is started anew
    with running_intake(port=port) as up:
        ship_to(up, spool_dir=tmp_path)
        up.wait_for_lines(2)
        wait_until(lambda: shipping_counts().shipped == 2)
        assert up.messages == ["one", "two"]
        counted = check_sum()
    assert (counted.written, counted.unspooled, counted.shipped) == (0, 2, 2)
    assert not files(tmp_path)


def test_lines_wait_on_disk_for_a_key_that_is_put_right(
    intake: Intake, ship_to: ShipTo, tmp_path: Path
) -> None:
    intake.script = always(403)
    ship_to(intake, spool_dir=tmp_path)
    write("one")
    wait_until(lambda: shipping_counts().requests >= 3)
    write("two")
    unconfigure_logging()
    assert not check_sum().dropped
    intake.script = always()
    ship_to(intake, spool_dir=tmp_path)
    assert [line["message"] for line in intake.wait_for_lines(2)] == ["one", "two"]


def test_nobody_else_can_read_it(intake: Intake, ship_to: ShipTo, tmp_path: Path) -> None:
    intake.script = always(503)
    ship_to(intake, spool_dir=tmp_path / "made" / "here")
    write("one")
    wait_until(lambda: shipping_counts().spooled == 1)
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_disk_is_bounded_and_the_newest_lines_stay(tmp_path: Path) -> None:
    counters = Counters()
    kept = Spool(tmp_path, "host", 100_000, counters)
    for number in range(20):
        counters.written += 10
        kept.put(Batch(tuple(os.urandom(1_000).hex().encode() for _ in range(10))))
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 100_000, number
    counted = check_sum(counters.snapshot())
    assert counted.dropped[Reason.SPOOL_FULL] == 200 - 10 * len(files(tmp_path))
    names = [file.name for file in files(tmp_path)]
    assert [name.split("-")[2] for name in names] == [f"{n:08d}" for n in range(20)][-len(names) :]


def test_what_is_being_sent_is_not_sent_or_removed_by_another(tmp_path: Path) -> None:
    one, other = (Spool(tmp_path, "host", 2**22, Counters()) for _ in range(2))
    one.put(Batch((b'{"n":1}',)))
    one.put(Batch((b'{"n":2}',)))
    first_, second = one.claim_oldest(own=True), other.claim_oldest(own=False)
    assert first_ is not None
    assert second is not None
    assert first_.batch.lines + second.batch.lines == (b'{"n":1}', b'{"n":2}')
    assert other.claim_oldest(own=False) is None
    first_.release()
    second.done()
    again = other.claim_oldest(own=False)
    assert again is not None
    assert again.batch.lines == (b'{"n":1}',)
    again.done()
    assert not files(tmp_path)


def test_what_another_has_just_sent_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Spool(tmp_path, "host", 2**22, Counters())
    kept.put(Batch((b"{}",)))
    lock = spool.fcntl.flock

    def after_another(descriptor: int, how: int) -> None:
        files(tmp_path)[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(spool.fcntl, "flock", after_another)
    assert kept.claim_oldest(own=True) is None


def test_a_damaged_file_is_counted_and_does_not_stop_the_rest(
    intake: Intake, ship_to: ShipTo, tmp_path: Path
) -> None:
    left = Spool(tmp_path, f"127.0.0.1:{intake.port}", 2**22, Counters())
    left.put(Batch((b'{"message":"cut"}',) * 3))
    (damaged,) = files(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:-12])
    left.put(Batch((b'{"message":"whole"}',)))
    (damaged.parent / "of somebody else's").touch()
    ship_to(intake, spool_dir=tmp_path)
    intake.wait_for_lines(1)
    assert intake.messages == ["whole"]
    wait_until(lambda: shipping_counts().shipped == 1)
    assert check_sum().dropped == {Reason.SPOOL_UNREADABLE: 3}


def test_what_the_intake_would_not_take_for_its_age_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = Counters()
    kept = Spool(tmp_path, "host", 2**22, counters)
    kept.put(Batch((b"{}", b"{}")))
    monkeypatch.setattr(spool, "_MAX_AGE_SECS", -1)
    assert kept.claim_oldest(own=False) is None
    assert counters.snapshot().dropped == {Reason.TOO_OLD: 2}
    assert not files(tmp_path)


def test_what_a_killed_process_had_begun_to_write_is_cleared_away(tmp_path: Path) -> None:
    kept = Spool(tmp_path, "host", 2**22, Counters())
    begun = tmp_path / "host" / ".begun"
    fresh = tmp_path / "host" / ".fresh"
    for path in (begun, fresh):
        path.touch()
    os.utime(begun, (time.time() - 7_200,) * 2)
    assert kept.claim_oldest(own=False) is None
    assert files(tmp_path) == [fresh]


def test_a_full_disk_leaves_lines_in_memory(
    intake: Intake, ship_to: ShipTo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Spool, batch: Batch) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "put", full)
    intake.script = first(*[Reply(503)] * 3)
    sink = ship_to(intake, spool_dir=tmp_path)
    write("one")
    intake.wait_for_requests(1)
    write("two")
    intake.wait_for_lines(2)
    unconfigure_logging()
    assert intake.messages == ["one", "two"]
    assert not check_sum().dropped
    assert "No space left on device" in sink.text


def test_a_directory_that_cannot_be_used_is_refused_at_the_start(
    intake: Intake, ship_to: ShipTo, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ValueError, match=r"spool_dir='.*file': must be the path of a directory that can be written"
    ):
        ship_to(intake, spool_dir=tmp_path / "file")


def test_too_large_on_disk_goes_in_halves(intake: Intake, ship_to: ShipTo, tmp_path: Path) -> None:
    left = Spool(tmp_path, f"127.0.0.1:{intake.port}", 2**22, Counters())
    left.put(Batch(tuple(b'{"message":"%d"}' % n for n in range(9))))
    intake.script = lambda number, lines: Reply(413 if len(lines) > 2 else 202)
    ship_to(intake, spool_dir=tmp_path)
    intake.wait_for_lines(9)
    assert intake.messages == [str(n) for n in range(9)]
    wait_until(lambda: shipping_counts().shipped == 9)
    check_sum()


def _send_and_write(url: str, directory: Path, process: int, results: Any) -> None:
    """Of each of several processes: lines in an outage, then an intake that is there."""
    from pipecat_dd.export.shipping import Shipping, retry
    from pipecat_dd.export.shipping.settings import Settings
    from pipecat_dd.export.shipping.shipper import Shipper
    from tests.support.intake import KEY

    retry.FIRST_WAIT_SECS = retry.LONGEST_WAIT_SECS = 0.05
    worker._SPOOL_SECS = 0.01  # type: ignore[misc]
    worker._SPOOL_CHECK_SECS = 0.05  # type: ignore[misc]
    counters = Counters()
    shipper = Shipper(
        Settings.of(Shipping(url=url, api_key=KEY, spool_dir=directory, flush_interval_secs=0.01)),
        counters,
    )
    for number in range(500):
        shipper.put(f'{{"message":"{process} {number}"}}')
        time.sleep(0.001)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (counters.snapshot().waiting or any(files(directory))):
        time.sleep(0.02)
    shipper.close()
    counted = check_sum(counters.snapshot())
    results.put((counted.written, counted.shipped, counted.dropped_in_all))


def test_processes_that_share_a_directory_send_each_line_once(tmp_path: Path) -> None:
    fails_at_first = lambda number, lines: Reply(503 if number < 20 else 202)  # noqa: E731
    context = multiprocessing.get_context("fork")
    with running_intake(fails_at_first) as intake:
        results = context.Queue()
        processes = [
            context.Process(target=_send_and_write, args=(intake.url, tmp_path, n, results))
            for n in range(3)
        ]
        for process in processes:
            process.start()
        counted = [results.get(timeout=40) for _ in processes]
        for process in processes:
            process.join(10)
    assert sum(written for written, _, _ in counted) == 1_500
    assert sum(shipped for _, shipped, _ in counted) == 1_500
    assert sorted(intake.messages) == sorted(f"{p} {n}" for p in range(3) for n in range(500))


def test_a_file_holds_what_a_request_does() -> None:
    lines = tuple(f'{{"n":{n},"t":"é\\n"}}'.encode() for n in range(50))
    assert batches.unpacked(Batch(lines).packed()).lines == lines
