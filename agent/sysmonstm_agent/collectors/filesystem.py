"""File systems: room and inodes, per mount."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import NAN, Metric, Reading
from sysmonstm_agent.mounts import Mount, mounts
from sysmonstm_agent.probe import Probe

USAGE = Metric(
    "system.filesystem.usage", "By", "Room by state; free is what users can still fill."
)
UTILIZATION = Metric(
    "system.filesystem.utilization",
    "1",
    "Share in use of the room that users can fill.",
)
INODES = Metric(
    "system.filesystem.inode.utilization", "1", "Share of the inodes in use."
)
UNRESPONSIVE = Metric(
    "sysmonstm.agent.filesystem.unresponsive",
    "1",
    "1 while the mount does not answer in time, or answers with an error.",
)


class Filesystem:
    name = "filesystem"
    metrics = (USAGE, UTILIZATION, INODES, UNRESPONSIVE)

    def __init__(
        self,
        files: Files,
        *,
        statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
        deadline_s: float = 0.25,
        skip: Callable[[str], bool] = lambda point: False,
    ) -> None:
        self._files = files
        self._skip = skip
        self._probe = Probe(statvfs, deadline_s=deadline_s)
        # What the kernel said was mounted, and what that means.
        self._mountinfo = ""
        self._mounted: list[Mount] = []

    def collect(self, now_s: float) -> Iterator[Reading]:
        # What is skipped is not even touched: it may be what hangs.
        places = {m.point: m for m in self._mounts() if not self._skip(m.point)}
        answers = self._probe.ask(places)
        shown = False
        for point, mount in places.items():
            answer = answers.get(point)
            if isinstance(answer, PermissionError):
                continue  # Another user's private mount.
            room = None if isinstance(answer, OSError) else answer
            if room and not room.f_blocks:
                continue  # Keeps nothing: a pseudo file system after all.
            shown = True
            place = {"system.filesystem.mountpoint": point}
            yield Reading(UNRESPONSIVE, room is None, place)
            yield from readings(mount, room)
        if not shown:
            raise NoData("no file systems")

    def _mounts(self) -> list[Mount]:
        if not self._files.linux:
            return portable()
        mountinfo = self._files.proc("self/mountinfo")
        if mountinfo != self._mountinfo:
            self._mountinfo, self._mounted = mountinfo, mounts(mountinfo)
        return self._mounted


def readings(mount: Mount, room: os.statvfs_result | None) -> Iterator[Reading]:
    """Yield what statvfs said; without an answer the same series without numbers."""
    used = free = inodes = NAN
    if room:
        used = float((room.f_blocks - room.f_bfree) * room.f_frsize)
        free = float(room.f_bavail * room.f_frsize)
        # btrfs and others make inodes as they need them, and say 0.
        inodes = 1 - room.f_ffree / room.f_files if room.f_files else NAN
    place = {"system.filesystem.mountpoint": mount.point}
    device = place | {
        "system.device": mount.device,
        "system.filesystem.type": mount.type,
    }
    state = "system.filesystem.state"
    yield Reading(USAGE, used, device | {state: "used"})
    yield Reading(USAGE, free, device | {state: "free"})
    # As df(1) counts: what is kept back for root is neither used nor free.
    total = used + free
    yield Reading(UTILIZATION, used / total if total else NAN, device)
    if not room or room.f_files:
        yield Reading(INODES, inodes, place)


def portable() -> list[Mount]:
    import psutil

    return [
        Mount(part.mountpoint, part.device, part.fstype)
        for part in psutil.disk_partitions(all=False)
    ]
