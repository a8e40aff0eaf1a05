from __future__ import annotations

from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.web import figures
from hub.web.figures import Group


def arrange(*series: tuple[str, str, float | None, dict[str, str]]) -> list[Group]:
    infos = tuple(
        SeriesInfo(metric, unit, "gauge", "", tuple(sorted(told.items())))
        for metric, unit, _, told in series
    )
    return figures.groups(LayoutInfo(1, infos), [value for _, _, value, _ in series])


def test_mounts_are_rows_and_their_numbers_columns() -> None:
    root = {"system.filesystem.mountpoint": "/"}
    used = {**root, "system.filesystem.state": "used"}
    data = {"system.filesystem.mountpoint": "/data"}

    [group] = arrange(
        ("system.filesystem.usage", "By", 2**30, used),
        ("system.filesystem.utilization", "1", 0.5, root),
        ("system.filesystem.utilization", "1", None, data),
    )

    assert (group.title, group.heading) == ("Filesystems", "Mount")
    assert group.columns == ["Used", "In use"]
    [(first, cells), (second, others)] = group.table
    assert first == "/"
    assert [cell and cell.number for cell in cells] == ["1.0", "50"]
    assert second == "/data"
    assert others[0] is None
    assert others[1]
    assert others[1].number == "–"  # noqa: RUF001 - the dash of the page


def test_a_cell_knows_its_place_in_the_vector() -> None:
    [group] = arrange(
        ("system.uptime", "s", 60, {}), ("system.process.count", "{process}", 3, {})
    )

    assert [(name, cell.place) for name, cell in group.pairs] == [
        ("Up for", 0),
        ("Processes", 1),
    ]


def test_a_metric_that_nobody_thought_of_is_shown_all_the_same() -> None:
    [group] = arrange(("garage.door.open", "1", 1, {"door": "left"}))

    assert group.title == "Other"
    assert [name for name, _ in group.pairs] == ["garage.door.open left"]


def test_cores_stand_apart_from_modes() -> None:
    cpu = "system.cpu.utilization"
    found = arrange(
        (cpu, "1", 0.5, {}),
        (cpu, "1", 0.2, {"cpu.mode": "user"}),
        (cpu, "1", 0.9, {"cpu.logical_number": "3"}),
    )

    assert [(g.title, [name for name, _ in g.pairs]) for g in found] == [
        ("Processor", ["All cores", "User"]),
        ("Cores", ["Core 3"]),
    ]


def test_true_or_not_is_a_word() -> None:
    [group] = arrange(
        (
            "sysmonstm.agent.filesystem.unresponsive",
            "1",
            1,
            {"system.filesystem.mountpoint": "/nfs"},
        )
    )

    [(_, [cell])] = group.table
    assert cell
    assert (cell.number, cell.mark) == ("no", "")


def test_a_sensor_keeps_the_name_it_gives_itself() -> None:
    [group] = arrange(("system.temperature", "Cel", 54.2, {"sensor": "k10temp Tctl"}))

    [(name, cell)] = group.pairs
    assert name == "k10temp Tctl"
    assert (cell.number, cell.mark) == ("54", "°C")


def test_containers_are_a_table_in_the_order_that_matters() -> None:
    web = {"container.name": "web"}
    job = {"container.name": "<script>alert(1)</script>"}
    found = arrange(
        ("container.state", "{state}", 4, job),
        ("container.restarts", "{restart}", 0, job),
        ("container.state", "{state}", 0, web),
        ("container.unhealthy", "1", 1, web),
        ("container.restarts", "{restart}", 2, web),
        ("container.cpu.usage", "{cpu}", 0.043, web),
        (
            "container.network.io",
            "By/s",
            10,
            {**web, "network.io.direction": "receive"},
        ),
        ("container.count", "{container}", 1, {"container.state": "running"}),
    )

    counts, table = found
    assert [name for name, _ in counts.pairs] == ["Running"]
    assert table.columns == ["State", "Healthy", "CPU", "Received", "Restarts"]
    rows = {name: [c and c.number for c in cells] for name, cells in table.table}
    assert rows == {
        "<script>alert(1)</script>": ["exited", None, None, None, "0"],
        "web": ["running", "no", "4.3", "10", "2"],
    }


def test_disks_and_gpus_share_a_metric_and_no_table() -> None:
    gpu = {"hw.id": "0", "hw.name": "NVIDIA H200", "hw.type": "gpu"}
    disk = {"hw.id": "sda", "hw.name": "ST4000DM004", "hw.type": "physical_disk"}
    found = arrange(
        ("hw.temperature", "Cel", 41, gpu),
        ("hw.gpu.utilization", "1", 0.37, gpu),
        ("hw.temperature", "Cel", 36, disk),
        ("hw.status", "1", 1, {**disk, "hw.state": "predicted_failure"}),
        (
            "hw.physical_disk.smart",
            "{count}",
            8,
            {**disk, "hw.physical_disk.smart_attribute": "reallocated_sectors"},
        ),
    )

    tables = {group.title: (group.columns, list(group.rows)) for group in found}
    assert tables == {
        "GPUs": (["Busy", "Temperature"], ["0 NVIDIA H200"]),
        "Health of disks": (
            ["Healthy", "Temperature", "Reallocated sectors"],
            ["sda ST4000DM004"],
        ),
    }
    [healthy] = (
        g.rows["sda ST4000DM004"]["Healthy"]
        for g in found
        if g.rows.keys() & {"sda ST4000DM004"}
    )
    assert healthy.number == "no"


def test_units_that_failed_are_named_as_they_are() -> None:
    units, failed = arrange(
        ("systemd.unit.count", "{unit}", 1, {"systemd.unit.active_state": "failed"}),
        ("systemd.unit.failed", "1", 1, {"systemd.unit.name": "backup.service"}),
        ("systemd.unit.failed", "1", 0, {"systemd.unit.name": "cron.service"}),
    )

    assert [(name, cell.number) for name, cell in units.pairs] == [("Failed", "1")]
    assert [(name, cell.number) for name, cell in failed.pairs] == [
        ("backup.service", "failed"),
        ("cron.service", "well again"),
    ]
