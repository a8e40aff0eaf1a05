"""What disks say of their health."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.collectors.smart import Ask, Smart
from sysmonstm_agent.drives import ata, nvme
from sysmonstm_agent.drives.drive import Asleep, Drive, Unwilling, kind
from sysmonstm_agent.files import Files

from tests.disks import (
    NvmeDisk,
    SataDisk,
    attributes,
    controller,
    health,
    identify,
)
from tests.test_values import spell

HOURS_AND_MINUTES = 12_345 | 0x1E00_0000_00
TURNING = {
    5: (100, 8),
    9: (86, HOURS_AND_MINUTES),
    194: (36, 0x0000_0015_0024),
    197: (100, 16),
    198: (100, 2),
}
SOLID = {5: (100, 0), 9: (98, 8_760), 177: (93, 71), 190: (67, 33)}


def disk() -> SataDisk:
    return SataDisk(identify("ST4000DM004-2CV104", solid=False), attributes(TURNING))


def solid() -> SataDisk:
    return SataDisk(identify("Samsung SSD 870 EVO 1TB", solid=True), attributes(SOLID))


def test_a_disk_that_turns() -> None:
    found = ata.ask(0, "sda", disk())

    assert math.isnan(found.worn)
    assert replace(found, worn=0.0) == Drive(
        id="sda",
        model="ST4000DM004-2CV104",
        failing=False,
        temperature=36.0,
        worn=0.0,
        power_on_s=12_345 * 3600.0,
        counts={
            "reallocated_sectors": 8,
            "pending_sectors": 16,
            "uncorrectable_sectors": 2,
        },
    )


def test_a_solid_disk_tells_how_worn_it_is() -> None:
    found = ata.ask(0, "sdb", solid())

    assert (found.model, found.temperature) == ("Samsung SSD 870 EVO 1TB", 33.0)
    assert found.worn == pytest.approx(0.07)
    assert found.counts == {"reallocated_sectors": 0}


@pytest.mark.parametrize(
    ("left", "failing"),
    [(ata.WELL, False), (ata.FAILING, True), ((0, 0), None)],
)
@pytest.mark.parametrize("sense", ["descriptor", "fixed"])
def test_the_disk_judges_itself(
    left: tuple[int, int], failing: bool | None, sense: str
) -> None:
    one = disk()
    one.left, one.sense = left, sense

    assert ata.ask(0, "sda", one).failing is failing


def test_a_bridge_that_returns_no_registers_leaves_the_judgement_out() -> None:
    one = disk()
    one.sense = "none"

    found = ata.ask(0, "sda", one)

    assert (found.failing, found.temperature) == (None, 36.0)


def test_a_disk_that_sleeps_is_not_woken() -> None:
    one = disk()
    one.power = 0x00

    with pytest.raises(Asleep):
        ata.ask(0, "sda", one)
    assert one.commands == [ata.CHECK_POWER_MODE]


def test_only_commands_that_read_are_ever_sent() -> None:
    one = disk()

    ata.ask(0, "sda", one)

    assert one.commands == [0xE5, 0xEC, 0xB0, 0xB0]


def test_a_disk_without_smart_and_one_that_is_garbled_are_unwilling() -> None:
    without = SataDisk(identify("OLD", solid=False, smart=False), attributes({}))
    garbled = disk()
    garbled.page = garbled.page[:100] + b"\x55" + garbled.page[101:]
    refused = disk()
    refused.host_status = 7

    for one in (without, garbled, refused):
        with pytest.raises(Unwilling):
            ata.ask(0, "sda", one)


def test_an_nvme_disk() -> None:
    log = health(kelvin=311, used=3, hours=20_000, errors=1)

    found = nvme.ask(0, "nvme0", NvmeDisk(controller("WD_BLACK SN850X 2000GB"), log))

    assert found == Drive(
        id="nvme0",
        model="WD_BLACK SN850X 2000GB",
        failing=False,
        temperature=37.85,
        worn=0.03,
        power_on_s=20_000 * 3600.0,
        counts={"media_errors": 1},
    )


@pytest.mark.parametrize(
    ("warning", "failing"),
    [(0b00001, True), (0b00010, False), (0b00100, True), (0b01000, True)],
    ids=["no spare left", "too warm", "unreliable", "read-only"],
)
def test_what_an_nvme_disk_warns_of(warning: int, failing: bool) -> None:
    found = nvme.drive("nvme0", controller("X"), health(warning=warning))

    assert found.failing is failing


def test_an_nvme_disk_that_refuses_is_unwilling() -> None:
    with pytest.raises(Unwilling, match="0x4002"):
        nvme.ask(0, "nvme0", NvmeDisk(controller("X"), health(), status=0x4002))


@pytest.mark.parametrize(
    ("name", "link", "expected"),
    [
        ("sda", "../devices/pci0/ata1/host0/block/sda", ("ata", "sda")),
        ("sdaa", "", ("ata", "sdaa")),
        ("sdb", "../devices/pci0/usb1/1-2/host6/block/sdb", None),
        ("nvme0n1", "", ("nvme", "nvme0")),
        ("nvme10c3n2", "", ("nvme", "nvme10")),
        ("vda", "", None),
        ("loop0", "", None),
        ("dm-0", "", None),
    ],
)
def test_which_disks_are_asked(
    name: str, link: str, expected: tuple[str, str] | None
) -> None:
    assert kind(name, link) == expected


# -- the collector


@pytest.fixture
def files(tmp_path: Path) -> Files:
    for name in ("sda", "sdb", "nvme0n1", "nvme0n2", "loop0"):
        (tmp_path / "sys/block" / name).mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    for name in ("sda", "sdb", "nvme0"):
        (tmp_path / "dev" / name).touch()
    return Files(str(tmp_path), str(tmp_path / "sys"), linux=True)


def asks(sata: SataDisk) -> Mapping[str, Ask]:
    log = health(warning=0b100, used=130, hours=1)
    return {
        "ata": partial(ata.ask, call=sata),
        "nvme": partial(nvme.ask, call=NvmeDisk(controller("NV<b>1"), log)),
    }


def smart(files: Files, sata: SataDisk, *, skip: str = "", every_s: float = 5) -> Smart:
    return Smart(
        files,
        f"{files.proc_root}/dev",
        skip=lambda device: device == skip,
        every_s=every_s,
        asks=asks(sata),
    )


def readings(collector: Smart, now_s: float = 100.0) -> dict[str, float]:
    return {spell(r): r.value for r in collector.collect(now_s)}


def test_each_disk_once_however_many_namespaces(files: Files) -> None:
    found = readings(smart(files, disk(), skip="sdb"))

    sda = "sda,ST4000DM004-2CV104,physical_disk"
    nvme0 = "nvme0,NV<b>1,physical_disk"
    assert found == {
        "sysmonstm.agent.collector.age{smart}": 0,
        f"hw.status{{{nvme0},predicted_failure}}": 1,
        f"hw.temperature{{{nvme0}}}": 37.85,
        f"hw.physical_disk.endurance_utilization{{{nvme0}}}": 1,
        f"hw.physical_disk.power_on_time{{{nvme0}}}": 3600,
        f"hw.physical_disk.smart{{{nvme0},media_errors}}": 0,
        f"hw.status{{{sda},predicted_failure}}": 0,
        f"hw.temperature{{{sda}}}": 36,
        f"hw.physical_disk.power_on_time{{{sda}}}": 12_345 * 3600,
        f"hw.physical_disk.smart{{{sda},reallocated_sectors}}": 8,
        f"hw.physical_disk.smart{{{sda},pending_sectors}}": 16,
        f"hw.physical_disk.smart{{{sda},uncorrectable_sectors}}": 2,
    }


def test_a_disk_that_went_to_sleep_keeps_what_it_said(files: Files) -> None:
    one = disk()
    collector = smart(files, one)
    before = readings(collector)
    one.power = 0x00

    assert readings(collector, 105.0) == before


def test_by_itself_it_asks_once_an_hour(files: Files) -> None:
    one = disk()
    collector = Smart(files, f"{files.proc_root}/dev", asks=asks(one))
    readings(collector)
    asked = len(one.commands)

    for now_s in range(105, 3700, 5):
        readings(collector, float(now_s))
    assert len(one.commands) == asked
    readings(collector, 3700.0)
    assert len(one.commands) == 2 * asked


def test_without_the_right_there_is_nothing_and_no_failure(files: Files) -> None:
    def forbidden(file: int, name: str) -> Drive:
        raise PermissionError

    collector = Smart(
        files,
        f"{files.proc_root}/dev",
        asks={"ata": forbidden, "nvme": forbidden},
    )

    with pytest.raises(NoData, match="no disk tells"):
        readings(collector)


def test_a_plain_file_in_place_of_a_disk_is_only_unwilling(files: Files) -> None:
    # With the real ioctl: the kernel says that it makes no sense there.
    collector = Smart(files, f"{files.proc_root}/dev")

    with pytest.raises(NoData, match="no disk tells"):
        readings(collector)


def test_a_link_in_place_of_a_disk_is_not_followed(
    files: Files, tmp_path: Path
) -> None:
    for name in ("sda", "sdb", "nvme0"):
        path = tmp_path / "dev" / name
        path.unlink()
        os.symlink("/dev/zero", path)
    one = disk()

    with pytest.raises(NoData):
        readings(smart(files, one))
    assert one.commands == []
