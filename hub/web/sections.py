"""Which metrics belong together on a machine's page, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hub.storage.layouts import SeriesInfo

MOUNT = "system.filesystem.mountpoint"
DEVICE = "system.device"
INTERFACE = "network.interface.name"
UNIT = "systemd.unit.name"
UNIT_STATE = "systemd.unit.active_state"
# What these call themselves is shown as it is, without a capital of ours.
NAMES = ("sensor", UNIT)


class Label(NamedTuple):
    """What a metric is called; `attribute` tells its series apart."""

    text: str
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Metrics shown together; `entity` makes it a table with a row for each.

    It names the attributes, parted by a space, that make the row's name.
    """

    title: str
    labels: dict[str, Label]
    entity: str = ""
    heading: str = ""
    # Only of series with this attribute.
    only: tuple[str, str] = ("", "")
    # Columns in the order of the labels; else as the machine sends them, which is
    # enough where all rows have all of them.
    ordered: bool = False

    def takes(self, series: SeriesInfo) -> bool:
        key, _ = self.only
        return series.metric in self.labels and (
            not key or self.only in series.attributes
        )


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
    Section(
        "Containers",
        {
            "container.state": Label("State"),
            "container.unhealthy": Label("Healthy"),
            "container.cpu.usage": Label("CPU"),
            "container.memory.usage": Label("Memory"),
            "container.memory.utilization": Label("Of its limit"),
            "container.network.io": Label("", "network.io.direction"),
            "container.disk.io": Label("", "disk.io.direction"),
            "container.restarts": Label("Restarts"),
            "container.uptime": Label("Up for"),
        },
        entity="container.name",
        heading="Container",
        ordered=True,
    ),
    Section(
        "Containers by state",
        {
            "container.count": Label("", "container.state"),
            "sysmonstm.agent.container.omitted": Label("Not in the table"),
        },
    ),
    Section(
        "GPUs",
        {
            "hw.gpu.utilization": Label("Busy"),
            "hw.gpu.memory.utilization": Label("Memory in use"),
            "hw.gpu.memory.usage": Label("Memory"),
            "hw.gpu.memory.limit": Label("Installed"),
            "hw.temperature": Label("Temperature"),
            "hw.power": Label("Power"),
        },
        entity="hw.id hw.name",
        heading="GPU",
        only=("hw.type", "gpu"),
        ordered=True,
    ),
    Section(
        "Health of disks",
        {
            "hw.status": Label("Healthy"),
            "hw.temperature": Label("Temperature"),
            "hw.physical_disk.endurance_utilization": Label("Worn"),
            "hw.physical_disk.smart": Label("", "hw.physical_disk.smart_attribute"),
            "hw.physical_disk.power_on_time": Label("Switched on for"),
        },
        entity="hw.id hw.name",
        heading="Disk",
        only=("hw.type", "physical_disk"),
        ordered=True,
    ),
    Section("Units by state", {"systemd.unit.count": Label("", UNIT_STATE)}),
    Section("Units that failed", {"systemd.unit.failed": Label("", UNIT)}),
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
            "sysmonstm.agent.collector.age": Label("Looked before"),
            "sysmonstm.agent.collector.omitted": Label("Left out"),
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
        "steal": "Stolen",
    },
    "system.disk.io": {"read": "Read", "write": "Written"},
    "system.disk.operations": {"read": "Reads", "write": "Writes"},
    "system.network.io": {"receive": "Received", "transmit": "Sent"},
    "container.network.io": {"receive": "Received", "transmit": "Sent"},
    "container.disk.io": {"read": "Read", "write": "Written"},
    "hw.physical_disk.smart": {
        "reallocated_sectors": "Reallocated sectors",
        "pending_sectors": "Pending sectors",
        "uncorrectable_sectors": "Uncorrectable sectors",
        "media_errors": "Media errors",
    },
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
# Shown otherwise than their unit says: as words for what is true or not, and a
# count of cores as a share of one.
SHOWN_AS = {
    "sysmonstm.agent.filesystem.unresponsive": "bad",
    "sysmonstm.agent.collector.success": "good",
    "container.state": "container",
    "container.cpu.usage": "core",
    "container.unhealthy": "bad",
    "systemd.unit.failed": "failed",
    # What is told of is always a state that nobody wants.
    "hw.status": "bad",
}
