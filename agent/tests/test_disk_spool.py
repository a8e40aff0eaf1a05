"""What a spool on disk is for: it is all there again, whatever happened."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sysmonstm_agent.disk_spool import DiskSpool
from sysmonstm_agent.sampler import Sampler
from sysmonstm_agent.spool_file import FIXED_BYTES, Bounds
from sysmonstm_agent.spool_folder import SpoolFolder

from tests.spools import (
    BOTH,
    TOP,
    Clock,
    database,
    disk_spool,
    fill,
    held,
    kill,
    sample,
    sizes,
)

# -- it is all there again


def test_epoch_numbers_and_samples_outlive_the_process(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    spool.append(sample(1))
    spool.append(sample(2, layout=BOTH))
    spool.append(sample(3))
    spool.forget(1)
    before = spool.epoch
    spool.close()

    again = disk_spool(tmp_path)

    assert (again.epoch, again.oldest, again.last) == (before, 2, 3)
    assert again.read(0, 9) == [(2, sample(2, layout=BOTH)), (3, sample(3))]
    assert again.append(sample(4)) == 4
    assert again.handed_out == 3
    again.close()


def test_what_append_returned_from_survives_a_kill(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path / "agent")
    fill(spool, 5)
    spool.forget(2)

    again = disk_spool(kill(spool, tmp_path / "agent"))

    # Acknowledgements go with the next tick; the hub knows its repeats.
    assert held(again) == [1, 2, 3, 4, 5]
    again.close()


def test_nobody_reads_a_sample_before_it_is_committed(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    seen: list[int] = []

    def at(statement: str) -> None:
        if statement == "COMMIT":
            seen.extend(held(spool))

    assert spool._file
    spool._file.connection.set_trace_callback(at)

    fill(spool, 2)

    assert seen == [1]
    spool.close()


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """A kill cannot show it, only a power cut."""
    spool = disk_spool(tmp_path)
    assert spool._file
    execute = spool._file.connection.execute

    # 2 = FULL: an fsync of the log in every commit.
    assert execute("PRAGMA synchronous").fetchone() == (2,)
    assert execute("PRAGMA journal_mode").fetchone() == ("wal",)
    spool.close()


def test_a_tick_is_one_commit_and_an_acknowledgement_none(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 50)
    statements: list[str] = []
    assert spool._file
    spool._file.connection.set_trace_callback(statements.append)

    for number in range(1, 41):
        spool.forget(number)
    assert statements == []

    fill(spool, 1)
    assert statements.count("COMMIT") == 1
    spool._file.connection.set_trace_callback(None)
    assert held(spool) == list(range(41, 52))
    spool.close()


def test_an_unchanged_layout_is_kept_once(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    for number, layout in enumerate((TOP, BOTH, TOP, BOTH, TOP), 1):
        spool.append(sample(number, layout=layout))
    spool.close()
    again = disk_spool(tmp_path)
    again.append(sample(6))

    with sqlite3.connect(database(tmp_path)) as other:
        assert other.execute("SELECT count(*) FROM layout").fetchone() == (2,)
    other.close()
    # Once nothing refers to it, it goes.
    again.forget(6)
    again.append(sample(7))
    with sqlite3.connect(database(tmp_path)) as other:
        assert other.execute("SELECT count(*) FROM layout").fetchone() == (1,)
    other.close()
    assert again.read(0, 9) == [(7, sample(7))]
    again.close()


# -- its bounds


def test_its_files_keep_to_their_size_and_give_space_back(tmp_path: Path) -> None:
    bounds = Bounds(size_bytes=FIXED_BYTES + 1024 * 1024, age_s=86_400)
    spool = DiskSpool(SpoolFolder(tmp_path / "web-1"), bounds, clock=Clock())
    largest = 0
    for number in range(1, 6_001):
        spool.append(sample(number))
        if number % 500 == 0:
            largest = max(largest, sizes(tmp_path))

    assert 1024 * 1024 < largest <= bounds.size_bytes
    assert spool.evicted > 1_000
    assert held(spool) == list(range(spool.evicted + 1, 6_001))

    spool.forget(5_999)
    for number in range(6_001, 6_041):
        spool.append(sample(number))
        spool.forget(number)
    spool.close()
    assert sizes(tmp_path) < 1.5 * 1024 * 1024


def test_large_samples_keep_to_it_too(tmp_path: Path) -> None:
    bounds = Bounds(size_bytes=FIXED_BYTES + 1024 * 1024, age_s=86_400)
    spool = DiskSpool(SpoolFolder(tmp_path / "web-1"), bounds, clock=Clock())

    for number in range(1, 301):
        spool.append(sample(number, size=8_000))

    assert sizes(tmp_path) <= bounds.size_bytes
    assert spool.oldest > 100
    spool.close()


def test_what_is_too_old_is_evicted_by_the_time_that_agents_ran(
    tmp_path: Path,
) -> None:
    clock = Clock()
    spool = disk_spool(tmp_path, age_s=3600, clock=clock)
    for _ in range(4):
        fill(spool, 1)
        clock.now_s += 800
    spool.close()

    # A night without an agent, and a machine that counts from its boot.
    clock.now_s = 5.0
    spool = disk_spool(tmp_path, age_s=3600, clock=clock)
    assert held(spool) == [1, 2, 3, 4]
    clock.now_s += 700
    fill(spool, 1)

    assert (held(spool), spool.evicted) == ([2, 3, 4, 5], 1)
    spool.close()


@pytest.mark.parametrize("jump_s", [3600, -3600, 315_576_000, -315_576_000])
def test_a_wall_clock_that_jumps_loses_and_doubles_nothing(
    tmp_path: Path, jump_s: float
) -> None:
    wall = Clock()
    wall.now_s = 1_700_000_000.0
    spool = disk_spool(tmp_path, age_s=3600)
    sampler = Sampler([], wall=wall)
    times = []
    for _ in range(3):
        spool.append(sampler.sample())
        wall.now_s += 5
    wall.now_s += jump_s
    for _ in range(3):
        times.append(int(wall.now_s * 1000))
        spool.append(sampler.sample())
        wall.now_s += 5
    spool.close()
    again = disk_spool(tmp_path, age_s=3600)

    found = again.read(0, 9)

    assert [sequence for sequence, _ in found] == [1, 2, 3, 4, 5, 6]
    assert [one.time_unix_ms for _, one in found][3:] == times
    assert again.evicted == 0
    again.close()


def test_a_long_backlog_is_removed_in_steps(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path, samples=20_000, size=280)
    fill(spool, 1)
    assert spool._file
    connection = spool._file.connection
    connection.execute("PRAGMA synchronous = OFF")
    fill(spool, 6_000)
    spool.forget(6_001)

    fill(spool, 1)

    assert connection.execute("SELECT count(*) FROM sample").fetchone()[0] == 1_002
    assert (held(spool), spool.oldest) == ([6_002], 6_002)
    fill(spool, 1)
    assert connection.execute("SELECT count(*) FROM sample").fetchone()[0] == 2
    spool.close()


def test_one_appends_while_another_reads_and_forgets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = disk_spool(tmp_path, samples=60, size=280)
    count = 600
    seen: list[int] = []
    done = threading.Event()

    def measure() -> None:
        fill(spool, count)
        done.set()

    thread = threading.Thread(target=measure)
    thread.start()
    while not done.is_set() or spool.oldest:
        for sequence, one in spool.read(seen[-1] if seen else 0, 20):
            assert one == sample(sequence)
            seen.append(sequence)
        if seen:
            spool.forget(seen[-1])
        time.sleep(0.001)
    thread.join()

    assert seen == sorted(set(seen))
    assert len(seen) <= count <= len(seen) + spool.evicted
    assert {record.message for record in caplog.records} <= {"spool.full"}
    spool.close()
