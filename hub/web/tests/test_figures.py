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
