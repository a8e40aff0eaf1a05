from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sysmonstm_agent.collectors.filesystem import Filesystem
from sysmonstm_agent.files import Files
from sysmonstm_agent.mounts import mounts
from sysmonstm_agent.probe import MAX_SLOW, Probe

from tests.conftest import Moving, Statvfs, machine, room
from tests.patience import PATIENCE_S, wait_until
from tests.test_values import now


class Nas:
    """A server behind one mount point, which can go away and come back."""

    def __init__(self, point: str = "/mnt/nas") -> None:
        self._point = point
        self._answers = threading.Event()
        self.asked = 0

    def statvfs(self, point: str) -> os.statvfs_result:
        if point.startswith(self._point):
            self.asked += 1
            self._answers.wait(2 * PATIENCE_S)
        return room()

    def come_back(self) -> None:
        self._answers.set()


class Others:
    """The threads that tests before left behind: an agent goes when Python likes."""

    threads: set[threading.Thread] = set()


def helpers() -> int:
    now = {thread for thread in threading.enumerate() if thread.name == "statvfs"}
    return len(now - Others.threads)


@pytest.fixture(autouse=True)
def _others() -> None:
    Others.threads = set(threading.enumerate())


@pytest.fixture
def nas() -> Iterator[Nas]:
    nas = Nas()
    yield nas
    nas.come_back()


def test_room_and_inodes_of_each_real_mount(web: Moving, statvfs: Statvfs) -> None:
    readings = now(Filesystem(web, statvfs=statvfs))

    assert {k: v for k, v in readings.items() if "{/" in k and "nas" in k} == {
        "sysmonstm.agent.filesystem.unresponsive{/mnt/nas}": 0,
        "system.filesystem.usage{/mnt/nas,nas.example:/export,nfs4,used}": 500 * 4096,
        "system.filesystem.usage{/mnt/nas,nas.example:/export,nfs4,free}": 400 * 4096,
        "system.filesystem.utilization{/mnt/nas,nas.example:/export,nfs4}": 5 / 9,
        "system.filesystem.inode.utilization{/mnt/nas}": 0.25,
    }


def test_pseudo_file_systems_and_second_mounts_are_left_out() -> None:
    text = machine("web").proc("self/mountinfo")

    assert [(mount.point, mount.device, mount.type) for mount in mounts(text)] == [
        ("/", "/dev/sda1", "ext4"),
        ("/mnt/my disk", "/dev/nvme0n1p1", "xfs"),
        ("/mnt/nas", "nas.example:/export", "nfs4"),
        ("/home/private", "me@there:/", "fuse.sshfs"),
    ]


def test_a_container_shows_its_root_and_its_volumes() -> None:
    text = machine("old").proc("self/mountinfo")

    assert [mount.point for mount in mounts(text)] == ["/", "/data"]


def test_what_is_mounted_over_something_hides_it() -> None:
    text = "1 0 8:1 / /m rw - ext4 /dev/a rw\n2 1 8:2 / /m rw - xfs /dev/b rw\n"

    assert [mount.device for mount in mounts(text)] == ["/dev/b"]


def test_file_systems_without_inodes_have_no_share_of_them(web: Moving) -> None:
    readings = now(Filesystem(web, statvfs=lambda point: room(files=0, files_free=0)))

    assert not [name for name in readings if "inode" in name]


def test_a_private_mount_is_left_out(web: Moving) -> None:
    def statvfs(point: str) -> os.statvfs_result:
        if point == "/home/private":
            raise PermissionError(13, "no", point)
        return room()

    readings = now(Filesystem(web, statvfs=statvfs))

    assert not [name for name in readings if "private" in name]


def test_a_mount_that_answers_with_an_error_is_said_to(web: Moving) -> None:
    def statvfs(point: str) -> os.statvfs_result:
        if point == "/mnt/nas":
            raise OSError(116, "stale file handle", point)
        return room()

    readings = now(Filesystem(web, statvfs=statvfs))

    assert readings["sysmonstm.agent.filesystem.unresponsive{/mnt/nas}"] == 1
    assert readings["sysmonstm.agent.filesystem.unresponsive{/}"] == 0


def test_a_hung_mount_delays_no_tick_and_hides_no_other(web: Moving, nas: Nas) -> None:
    filesystem = Filesystem(web, statvfs=nas.statvfs, deadline_s=1)
    started = time.monotonic()

    ticks = [now(filesystem) for _ in range(20)]

    # One deadline, for finding out, and not one for each.
    assert time.monotonic() - started < 10
    assert nas.asked == 1
    for readings in ticks:
        assert readings["sysmonstm.agent.filesystem.unresponsive{/mnt/nas}"] == 1
        assert readings["sysmonstm.agent.filesystem.unresponsive{/home/private}"] == 0
        assert readings["system.filesystem.inode.utilization{/home/private}"] == 0.25
        assert math.isnan(readings["system.filesystem.inode.utilization{/mnt/nas}"])


def test_a_mount_that_comes_back_is_read_again(web: Moving, nas: Nas) -> None:
    filesystem = Filesystem(web, statvfs=nas.statvfs, deadline_s=0.05)
    now(filesystem)

    nas.come_back()

    def is_read() -> bool:
        readings = now(filesystem)
        used = readings["system.filesystem.inode.utilization{/mnt/nas}"]
        hangs = readings["sysmonstm.agent.filesystem.unresponsive{/mnt/nas}"]
        return (used, hangs) == (0.25, 0)

    wait_until(is_read)


def test_mounts_that_hang_at_once_are_each_left_alone(nas: Nas) -> None:
    probe = Probe(nas.statvfs, deadline_s=0.5)
    points = ["/", "/mnt/nas/a", "/home", "/mnt/nas/b", "/srv"]

    first, second = probe.ask(points), probe.ask(points)

    assert set(first) == set(second) == {"/", "/home", "/srv"}
    assert nas.asked == 2
    nas.come_back()
    wait_until(lambda: set(probe.ask(points)) == set(points))


def test_many_slow_mounts_are_all_read_as_long_as_each_is_in_time() -> None:
    def statvfs(point: str) -> os.statvfs_result:
        time.sleep(0.5)
        return room()

    points = [f"/mnt/{number}" for number in range(10)]

    assert set(Probe(statvfs, deadline_s=3).ask(points)) == set(points)


def test_hung_mounts_take_no_more_threads_than_allowed() -> None:
    nas = Nas("/")
    probe = Probe(nas.statvfs, deadline_s=0.001)

    answers = probe.ask([f"/mnt/{number}" for number in range(50)])

    assert answers == {}
    assert helpers() == MAX_SLOW
    nas.come_back()


def test_a_mount_that_was_taken_away_frees_its_thread() -> None:
    nas = Nas()
    probe = Probe(nas.statvfs, deadline_s=0.001)
    probe.ask(["/mnt/nas"])

    probe.ask([])
    nas.come_back()

    wait_until(lambda: not helpers())


def test_a_probe_that_is_gone_leaves_no_thread() -> None:
    for _ in range(20):
        Probe(lambda point: room(), deadline_s=0.25).ask(["/", "/home"])

    wait_until(lambda: not helpers())


def test_probes_that_come_and_go_send_one_thread_to_a_dead_mount(nas: Nas) -> None:
    """Each page that is opened brings its own."""
    for _ in range(20):
        answers = Probe(nas.statvfs, deadline_s=0.5).ask(["/mnt/nas", "/"])
        assert set(answers) == {"/"}

    assert nas.asked == 1
    nas.come_back()
    wait_until(lambda: not helpers())
    assert set(Probe(nas.statvfs, deadline_s=PATIENCE_S).ask(["/mnt/nas"])) == {
        "/mnt/nas"
    }


def test_this_machine_has_a_root() -> None:
    assert "sysmonstm.agent.filesystem.unresponsive{/}" in now(Filesystem(Files()))


def test_what_is_mounted_later_is_seen(tmp_path: Path, statvfs: Statvfs) -> None:
    (tmp_path / "self").mkdir()
    mountinfo = tmp_path / "self" / "mountinfo"
    line = "{0} 1 8:{0} / /disk{0} rw - ext4 /dev/sd{0} rw\n"
    mountinfo.write_text(line.format(1))
    filesystem = Filesystem(Files(str(tmp_path), linux=True), statvfs=statvfs)
    now(filesystem)

    mountinfo.write_text(line.format(1) + line.format(2))

    unresponsive = "sysmonstm.agent.filesystem.unresponsive{/disk2}"
    assert now(filesystem)[unresponsive] == 0


def test_collectors_that_are_dropped_leave_no_thread_behind(statvfs: Statvfs) -> None:
    before = helpers()
    for _ in range(20):
        list(Filesystem(machine("web"), statvfs=statvfs).collect(100.0))

    wait_until(lambda: helpers() <= before)
