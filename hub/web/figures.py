"""Every reading of a machine, arranged for people: the current-state table.

A layout says only which series there are; here it is said which belong
together and what they are called. A metric that nobody thought of still
appears, under "Other". Each cell knows its place in the vector, so that the
browser writes new numbers by place alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.web.templatetags import units

MOUNT = "system.filesystem.mountpoint"
DEVICE = "system.device"
INTERFACE = "network.interface.name"


class Label(NamedTuple):
    """What a metric is called; `attribute` tells its series apart."""

    text: str
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Metrics shown together; `entity` makes it a table with a row for each."""

    title: str
    labels: dict[str, Label]
    entity: str = ""
    heading: str = ""


CORE = "cpu.logical_number"
CORES = Section("Cores", {})
SECTIONS = (
    Section(
        "Processor",
        {
            "system.cpu.utilization": Label("All cores"),
            "system.cpu.logical.count": Label("Cores"),
            "system.cpu.load_average.1m": Label("Load, 1 min"),
            "system.cpu.load_average.5m": Label("Load, 5 min"),
            "system.cpu.load_average.15m": Label("Load, 15 min"),
        },
    ),
    Section(
        "Memory",
        {
            "system.memory.utilization": Label("In use"),
            "system.memory.limit": Label("Installed"),
            "system.memory.usage": Label("", "system.memory.state"),
            "system.paging.utilization": Label("Swap in use"),
            "system.paging.usage": Label("Swap", "system.paging.state"),
        },
    ),
    Section(
        "Filesystems",
        {
            "system.filesystem.utilization": Label("In use"),
            "system.filesystem.usage": Label("", "system.filesystem.state"),
            "system.filesystem.inode.utilization": Label("Inodes"),
            "sysmonstm.agent.filesystem.unresponsive": Label("Answers"),
        },
        entity=MOUNT,
        heading="Mount",
    ),
    Section(
        "Disks",
        {
            "system.disk.io": Label("", "disk.io.direction"),
            "system.disk.operations": Label("", "disk.io.direction"),
            "system.disk.utilization": Label("Busy"),
        },
        entity=DEVICE,
        heading="Disk",
    ),
    Section(
        "Network",
        {
            "system.network.io": Label("", "network.io.direction"),
            "system.network.packets": Label("Packets", "network.io.direction"),
            "system.network.errors": Label("Errors", "network.io.direction"),
            "system.network.dropped": Label("Dropped", "network.io.direction"),
        },
        entity=INTERFACE,
        heading="Interface",
    ),
    Section("Temperature", {"system.temperature": Label("", "sensor")}),
    Section(
        "Pressure",
        {
            "system.pressure.some": Label("Some wait for", "resource"),
            "system.pressure.full": Label("All wait for", "resource"),
        },
    ),
    Section(
        "System",
        {
            "system.uptime": Label("Up for"),
            "system.process.count": Label("Processes"),
            "system.network.connection.count": Label("", "network.transport"),
        },
    ),
    Section(
        "Agent",
        {
            "sysmonstm.agent.collector.success": Label("Works"),
            "sysmonstm.agent.collector.duration": Label("Takes"),
        },
        entity="collector",
        heading="Collector",
    ),
)
OTHER = Section("Other", {})
WORDS = {
    "system.cpu.utilization": {
        "interrupt": "Interrupts",
        "iowait": "Waiting for disks",
    },
    "system.disk.io": {"read": "Read", "write": "Written"},
    "system.disk.operations": {"read": "Reads", "write": "Writes"},
    "system.network.io": {"receive": "Received", "transmit": "Sent"},
    "system.network.packets": {"receive": "in", "transmit": "out"},
    "system.network.errors": {"receive": "in", "transmit": "out"},
    "system.network.dropped": {"receive": "in", "transmit": "out"},
    "system.network.connection.count": {
        "tcp": "TCP connections",
        "udp": "UDP connections",
    },
    "system.pressure.some": {"cpu": "CPU", "io": "disks"},
    "system.pressure.full": {"cpu": "CPU", "io": "disks"},
}
# True or not: shown as a word, not as "100 %".
FLAGS = {
    "sysmonstm.agent.filesystem.unresponsive": "bad",
    "sysmonstm.agent.collector.success": "good",
}


class Cell(NamedTuple):
    place: int
    unit: str
    number: str
    mark: str


@dataclass(slots=True)
class Group:
    """One section of a machine: columns and rows, or with no columns pairs."""

    title: str
    heading: str
    columns: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)

    @property
    def is_long(self) -> bool:
        """Whether the pairs need more room than one column of many."""
        return not self.columns and self.title in (CORES.title, OTHER.title)

    @property
    def table(self) -> Iterator[tuple[str, list[Cell | None]]]:
        for name, cells in self.rows.items():
            yield name, [cells.get(column) for column in self.columns]

    @property
    def pairs(self) -> Iterator[tuple[str, Cell]]:
        for name, cells in self.rows.items():
            yield name, next(iter(cells.values()))


def groups(layout: LayoutInfo, values: list[float | None]) -> list[Group]:
    """Arrange a vector into the sections that it has readings for."""
    found: dict[str, Group] = {}
    for place, series in enumerate(layout.series):
        section = _section(series)
        group = found.setdefault(section.title, Group(section.title, section.heading))
        row, column = _where(section, series)
        if column and column not in group.columns:
            group.columns.append(column)
        group.rows.setdefault(row, {})[column] = cell(place, series, values[place])
    # Short lists first: they flow in columns above the tables.
    order = [section.title for section in (*SECTIONS, OTHER, CORES)]
    return sorted(
        found.values(),
        key=lambda group: (bool(group.columns), order.index(group.title)),
    )


def cell(place: int, series: SeriesInfo, value: float | None) -> Cell:
    unit = FLAGS.get(series.metric, series.unit)
    return Cell(place, unit, *units.parts(value, unit))


def _section(series: SeriesInfo) -> Section:
    if any(key == CORE for key, _ in series.attributes):
        return CORES
    for section in SECTIONS:
        if series.metric in section.labels:
            return section
    return OTHER


def _where(section: Section, series: SeriesInfo) -> tuple[str, str]:
    """Return the row and column a series belongs to; no column in pairs."""
    attributes = dict(series.attributes)
    if section is CORES:
        return f"Core {attributes[CORE]}", ""
    if section is OTHER:
        told = ", ".join(attributes.values())
        return f"{series.metric} {told}".strip(), ""
    label = section.labels[series.metric]
    told = attributes.get(label.attribute or "cpu.mode", "")
    told = WORDS.get(series.metric, {}).get(told, told)
    text = (
        f"{label.text} {told}" if label.attribute and label.text else told or label.text
    )
    # Ours begin with a capital; what a sensor calls itself stays as it is.
    if label.attribute != "sensor":
        text = text[:1].upper() + text[1:]
    return (attributes.get(section.entity, ""), text) if section.entity else (text, "")
