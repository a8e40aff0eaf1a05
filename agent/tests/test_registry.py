"""Which collectors an agent has, as its settings say."""

from __future__ import annotations

from pathlib import Path

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.registry import NAMES, collectors
from sysmonstm_agent.sampler import Sampler
from sysmonstm_agent.settings import Settings
from sysmonstm_agent.sources import Sources

from tests.conftest import machine


def told(settings: Settings) -> set[str]:
    """Return the values of all attributes that a sample has."""
    readings = Sampler(collectors(machine("web"), settings)).readings()
    return {value for reading in readings for value in reading.attributes.values()}


def test_names_are_those_that_the_collectors_go_by() -> None:
    assert tuple(one.name for one in collectors(machine("web"))) == NAMES


def test_a_collector_that_is_switched_off_is_not_made() -> None:
    off = Settings(collectors={"disk": False, "containers": False, "cpu": True})

    names = [one.name for one in collectors(machine("web"), off)]

    assert set(NAMES) - set(names) == {"disk", "containers"}


def test_what_is_to_be_skipped_is_not_told_of() -> None:
    everything = told(Settings())
    skipping = told(
        Settings(
            skip_devices=("sd?",), skip_interfaces=("eth*",), skip_mounts=("/data*",)
        )
    )

    gone = everything - skipping
    assert {"sda", "eth0"} <= gone
    assert not any(value.startswith("/data") for value in skipping)
    assert "nvme0n1" in skipping


def test_a_mount_that_is_skipped_is_not_even_touched() -> None:
    from sysmonstm_agent.collectors.filesystem import Filesystem

    touched: list[str] = []

    def statvfs(point: str) -> object:
        touched.append(point)
        raise OSError

    collector = Filesystem(
        machine("web"),
        statvfs=statvfs,  # type: ignore[arg-type]
        skip=lambda point: point != "/",
    )
    list(collector.collect(100.0))

    assert touched == ["/"]


def test_by_itself_nothing_of_the_machine_is_met(tmp_path: Path) -> None:
    """Without sources there is no engine, no bus, no GPU, no disk and no folder."""
    files = Files(str(tmp_path), str(tmp_path), linux=True)
    extra = ("containers", "systemd", "gpu", "smart", "textfile")

    for one in collectors(files, Settings(), Sources()):
        if one.name not in extra:
            continue
        try:
            readings = list(one.collect(100.0))
        except NoData:
            readings = []
        assert readings == [], one.name
