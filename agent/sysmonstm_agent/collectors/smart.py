"""What disks say of their own health (S.M.A.R.T.), at most once an hour.

Asking takes a right that an agent seldom has (CAP_SYS_RAWIO for SATA disks,
CAP_SYS_ADMIN for NVMe): without it there is none of this. No program is run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from sysmonstm_agent.background import AGE, Background
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.drives import ata, nvme
from sysmonstm_agent.drives.drive import (
    Asleep,
    Drive,
    Unwilling,
    kind,
    open_device,
)
from sysmonstm_agent.files import Files
from sysmonstm_agent.hardware import TEMPERATURE
from sysmonstm_agent.log import log
from sysmonstm_agent.metric import Metric, Reading

STATUS = Metric("hw.status", "1", "1 while the hardware is in this state.")
WORN = Metric(
    "hw.physical_disk.endurance_utilization",
    "1",
    "Share that is used up of the life that a solid-state disk was made for.",
)
POWER_ON = Metric(
    "hw.physical_disk.power_on_time", "s", "How long the disk has been switched on."
)
SMART = Metric(
    "hw.physical_disk.smart",
    "{count}",
    "What has gone wrong on a disk, by its S.M.A.R.T. attribute.",
)

EVERY_S = 3600.0
# Each question has 10 s, and a disk that wakes up needs them.
OVERDUE_S = 600.0
MAX_DRIVES = 64
Ask = Callable[[int, str], Drive]
ASK: Mapping[str, Ask] = {"ata": ata.ask, "nvme": nvme.ask}


class Smart:
    name = "smart"
    metrics = (AGE, STATUS, TEMPERATURE, WORN, POWER_ON, SMART)

    def __init__(
        self,
        files: Files,
        devices: str,
        *,
        skip: Callable[[str], bool] = lambda device: False,
        every_s: float = EVERY_S,
        asks: Mapping[str, Ask] = ASK,
    ) -> None:
        """`devices` is where the device files are; "" = none is to be asked."""
        self._devices = devices
        self._skip = skip
        self._looking = files.looks.get(
            self.name,
            lambda: Background[list[Drive]](
                Drives(files, devices, asks).look,
                name=self.name,
                every_s=every_s,
                overdue_s=OVERDUE_S,
                absent_s=every_s,
            ),
        )

    def collect(self, now_s: float) -> Iterator[Reading]:
        if not self._devices:
            raise NoData("no disks are to be asked")
        drives, age_s = self._looking.newest(now_s)
        yield Reading(AGE, age_s, {"collector": self.name})
        for drive in drives:
            if not self._skip(drive.id):
                yield from readings(drive)


class Drives:
    """Belongs to the thread that looks."""

    def __init__(
        self,
        files: Files,
        devices: str,
        asks: Mapping[str, Ask],
    ) -> None:
        self._files = files
        self._devices = devices
        self._asks = asks
        # What those said that are asleep now.
        self._known: dict[str, Drive] = {}
        self._unwilling: set[str] = set()

    def look(self) -> list[Drive]:
        """Raises NoData when no disk may be, or wants to be, asked."""
        known, self._known = self._known, {}
        for how, name in self._disks():
            drive = self._ask(how, name, known.get(name))
            if drive is not None:
                self._known[name] = drive
        if not self._known:
            raise NoData("no disk tells of its health")
        return list(self._known.values())

    def _ask(self, how: str, name: str, known: Drive | None) -> Drive | None:
        try:
            file = open_device(f"{self._devices}/{name}")
            try:
                return self._asks[how](file, name)
            finally:
                os.close(file)
        except Asleep:
            return known
        except (Unwilling, OSError) as error:
            if name not in self._unwilling:
                self._unwilling.add(name)
                log.debug("smart.unwilling", device=name, reason=str(error))
            return None

    def _disks(self) -> list[tuple[str, str]]:
        found: dict[tuple[str, str], None] = {}
        for name in self._files.sys_names("block"):
            path = f"{self._files.sys_root}/block/{name}"
            link = os.readlink(path) if os.path.islink(path) else ""
            if how := kind(name, link):
                # Two namespaces of one NVMe disk are one disk.
                found[how] = None
        return list(found)[:MAX_DRIVES]


def readings(drive: Drive) -> Iterator[Reading]:
    place = {"hw.id": drive.id, "hw.name": drive.model, "hw.type": "physical_disk"}
    if drive.failing is not None:
        yield Reading(STATUS, drive.failing, {**place, "hw.state": "predicted_failure"})
    told = (
        (TEMPERATURE, drive.temperature),
        # It is a promise, and disks live on after it.
        (WORN, min(1.0, drive.worn) if drive.worn == drive.worn else drive.worn),
        (POWER_ON, drive.power_on_s),
    )
    for metric, value in told:
        if value == value:
            yield Reading(metric, value, place)
    for name, count in drive.counts.items():
        yield Reading(SMART, count, {**place, "hw.physical_disk.smart_attribute": name})
