"""A spool whose disk is full, whose file is damaged, whose folder is gone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from sysmonstm_agent.disk_spool import RETRY_S
from sysmonstm_agent.spool_database import VERSION
from sysmonstm_agent.spool_folder import MAX_DAMAGED

from tests.spools import (
    Clock,
    database,
    disk_spool,
    fill,
    held,
    kill,
    no_space,
    sample,
)

# -- a disk that takes nothing


def test_a_full_disk_is_survived_in_memory_and_recovered_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    spool = disk_spool(tmp_path)
    fill(spool, 3)

    with no_space():
        fill(spool, 4)
        # They are sent all the same.
        assert held(spool) == [1, 2, 3, 4, 5, 6, 7]
        assert "the disk does not take them" in spool.degraded
        spool.forget(2)

    fill(spool, 1)
    assert spool.degraded == ""
    again = disk_spool(kill(spool, tmp_path))
    assert held(again) == [3, 4, 5, 6, 7, 8]
    assert (again.evicted, again.produced) == (0, 8)
    again.close()
    events = [record.message for record in caplog.records]
    assert events == ["spool.degraded", "spool.recovered"]


def test_memory_stays_bounded_while_the_disk_is_full(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path, memory_capacity_bytes=5 * (280 + 160))
    fill(spool, 3)

    with no_space():
        fill(spool, 20)
        assert held(spool) == [1, 2, 3, 19, 20, 21, 22, 23]
        assert spool.evicted == 15
    fill(spool, 1)

    assert (spool.evicted, spool.produced) == (15, 24)
    spool.close()
    again = disk_spool(tmp_path)
    assert held(again) == [1, 2, 3, 19, 20, 21, 22, 23, 24]
    assert again.evicted == 15
    again.close()


def test_a_disk_that_is_full_at_the_start_can_still_be_read(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 3)
    epoch = spool.epoch
    spool.close()

    clock = Clock()
    with no_space():
        again = disk_spool(tmp_path, clock=clock)
        assert again.degraded
        fill(again, 2)
        assert (again.epoch, held(again)) == (epoch, [1, 2, 3, 4, 5])
    clock.now_s += RETRY_S
    fill(again, 1)

    assert again.degraded == ""
    after = disk_spool(kill(again, tmp_path))
    assert held(after) == [1, 2, 3, 4, 5, 6]
    after.close()


def test_a_folder_that_cannot_be_made_yet_is_made_later(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "state").write_text("in the way")
    spool = disk_spool(tmp_path / "state", clock=clock)
    fill(spool, 3)
    assert spool.degraded
    spool.forget(1)
    epoch = spool.epoch

    (tmp_path / "state").unlink()
    clock.now_s += RETRY_S
    fill(spool, 1)

    assert (spool.degraded, spool.epoch) == ("", epoch)
    again = disk_spool(kill(spool, tmp_path / "state"))
    assert (held(again), again.evicted, again.lost) == ([2, 3, 4], 0, 0)
    again.close()


def test_numbers_that_a_kill_took_back_are_not_given_twice(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 3)
    with no_space():
        fill(spool, 2)
        # The hub has 4 and 5, which are nowhere on disk.
        assert held(spool)[-1] == 5
    again = disk_spool(kill(spool, tmp_path))
    # Whatever is taken before the hub is reached.
    fill(again, 9)

    # What Stream looks at: the hub's cursor, 5, is beyond.
    assert again.handed_out == 3
    again.forget(again.handed_out)
    epoch = again.epoch
    again.renew()

    assert again.epoch != epoch
    assert [one for _, one in again.read(0, 99)] == [sample(n) for n in range(4, 13)]
    again.close()


# -- a file that is damaged


def test_the_last_commit_cut_off_at_any_byte_is_undone_whole(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path / "agent")
    fill(spool, 3)
    log = Path(f"{database(tmp_path / 'agent')}-wal")
    before = log.stat().st_size
    fill(spool, 1)
    whole = log.read_bytes()
    after = kill(spool, tmp_path / "agent")
    main = database(after).read_bytes()
    step = int(os.environ.get("SPOOL_CUT_STEP", "97"))

    for cut in (*range(before, len(whole), step), len(whole) - 1):
        shutil.rmtree(after)
        (after / "web-1").mkdir(parents=True)
        database(after).write_bytes(main)
        Path(f"{database(after)}-wal").write_bytes(whole[:cut])
        again = disk_spool(after)
        assert (held(again), again.evicted, again.lost) == ([1, 2, 3], 0, 0)
        again.close()


def test_one_wrong_bit_loses_one_sample_and_counts_it(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 40)
    spool.close()
    content = database(tmp_path).read_bytes()

    for number in range(1, 41, 3):
        flipped = bytearray(content)
        flipped[content.index(sample(number).values) + 100] ^= 4
        database(tmp_path).write_bytes(flipped)
        again = disk_spool(tmp_path)
        assert held(again) == [n for n in range(1, 41) if n != number]
        assert (again.evicted, again.produced) == (1, 40)
        again.close()
        # Counted once, however often it is read.
        again = disk_spool(tmp_path)
        assert (len(held(again)), again.evicted) == (39, 1)
        again.close()


def test_a_broken_page_loses_what_was_on_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 100)
    epoch = spool.epoch
    spool.close()
    content = bytearray(database(tmp_path).read_bytes())
    page = content.index(sample(50).values) // 4096 * 4096
    content[page : page + 4096] = bytes(4096)
    database(tmp_path).write_bytes(content)

    again = disk_spool(tmp_path)

    there = held(again)
    assert 50 not in there
    assert 80 <= len(there) < 100
    assert again.evicted == 100 - len(there)
    assert (again.epoch, again.last, again.lost) == (epoch, 100, 0)
    assert again.append(sample(101)) == 101
    assert "spool.saved" in [record.message for record in caplog.records]
    again.close()


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all" * 500, bytes(20_000)]
)
def test_what_is_no_spool_at_all_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 10)
    epoch = spool.epoch
    spool.close()
    database(tmp_path).write_bytes(content)

    again = disk_spool(tmp_path)

    assert again.epoch != epoch
    assert again.append(sample(1)) == 1
    kept = list((tmp_path / "web-1" / "damaged").glob("*.db"))
    assert [path.read_bytes() for path in kept] == [content]
    again.close()


def test_without_its_epoch_nothing_is_sent_again_and_all_is_counted(
    tmp_path: Path,
) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 10)
    spool.forget(4)
    spool.close()
    with sqlite3.connect(database(tmp_path)) as other:
        other.execute("UPDATE origin SET epoch = zeroblob(16)")
    other.close()

    again = disk_spool(tmp_path)

    assert (held(again), again.last, again.lost) == ([], 0, 6)
    again.close()
    again = disk_spool(tmp_path)
    assert again.lost == 6
    again.close()


def test_a_newer_version_is_not_guessed_at(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    spool.close()
    with sqlite3.connect(database(tmp_path)) as other:
        other.execute(f"PRAGMA user_version = {VERSION + 1}")
    other.close()

    again = disk_spool(tmp_path)

    assert (tmp_path / "web-1" / "damaged" / "1.db").exists()
    assert again.degraded == ""
    again.close()


def test_few_damaged_ones_are_kept(tmp_path: Path) -> None:
    for number in range(MAX_DAMAGED + 3):
        disk_spool(tmp_path).close()
        database(tmp_path).write_bytes(f"damage {number}".encode())
    disk_spool(tmp_path).close()

    kept = sorted((tmp_path / "web-1" / "damaged").iterdir())
    assert [path.read_bytes() for path in kept] == [b"damage 3", b"damage 4"]


def test_damage_under_a_running_agent_is_mended(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 300)
    assert spool._file
    spool._file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    content = database(tmp_path).read_bytes()
    page = content.index(sample(50).values) // 4096 * 4096
    with open(database(tmp_path), "r+b") as file:
        file.seek(page)
        file.write(b"\xff" * 4096)

    # The reader meets it, and does not go past it.
    there = held(spool)
    assert len(there) < 50
    fill(spool, 1)
    there = held(spool)

    assert 280 <= len(there) < 301
    assert spool.evicted == 301 - len(there)
    assert spool.degraded == ""
    spool.close()


def test_a_folder_that_is_removed_comes_back_with_all_in_it(tmp_path: Path) -> None:
    spool = disk_spool(tmp_path)
    fill(spool, 300)
    shutil.rmtree(tmp_path / "web-1")

    fill(spool, 1)

    assert held(spool) == list(range(1, 302))
    again = disk_spool(kill(spool, tmp_path))
    assert held(again) == list(range(1, 302))
    again.close()
