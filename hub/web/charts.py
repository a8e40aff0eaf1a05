"""Which charts a machine has. `describe.py` fits them to what it really sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.storage.window import Selector


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `vary` names the attribute that tells its lines apart."""

    id: str
    title: str
    metric: str
    vary: str = ""
    # lines, stack, mirror (two directions about zero), spread (of too many).
    shape: str = "lines"
    # Lines in this order and no others; empty = all.
    values: Mapping[str, str] = field(default_factory=dict)
    # A fixed top of the axis, such as 1 for a ratio; None = as data needs.
    top: float | None = None
    # The axis ends at the sum of these, such as installed memory.
    ceiling: tuple[tuple[str, Mapping[str, str]], ...] = ()
    # Mirror: the attribute of the direction, and its two values.
    direction: tuple[str, str, str] = ("", "", "")
    # A thin line to compare with.
    mark: tuple[str, str] = ("", "")
    # How numbers are written, where not as the metric's own unit says.
    unit: str = ""
    # Further metrics drawn as lines of their own, with their labels.
    metrics: tuple[tuple[str, str], ...] = ()


CHARTS = (
    Chart(
        "cpu",
        "CPU",
        "system.cpu.utilization",
        vary="cpu.mode",
        shape="stack",
        values={
            "user": "user",
            "system": "system",
            "iowait": "waiting for disks",
            "interrupt": "interrupts",
            "nice": "nice",
            "steal": "stolen",
        },
        top=1,
    ),
    Chart(
        "memory",
        "Memory",
        "system.memory.usage",
        vary="system.memory.state",
        shape="stack",
        values={"used": "used", "buffers": "buffers", "cached": "cached"},
        ceiling=(("system.memory.limit", {}),),
    ),
    Chart(
        "load",
        "Load",
        "",
        metrics=(
            ("system.cpu.load_average.1m", "1 min"),
            ("system.cpu.load_average.5m", "5 min"),
            ("system.cpu.load_average.15m", "15 min"),
        ),
        mark=("system.cpu.logical.count", "cores"),
    ),
    Chart(
        "cores",
        "CPU cores",
        "system.cpu.utilization",
        vary="cpu.logical_number",
        shape="spread",
        top=1,
    ),
    Chart(
        "filesystems",
        "Filesystems",
        "system.filesystem.utilization",
        vary="system.filesystem.mountpoint",
        top=1,
    ),
    Chart(
        "network",
        "Network",
        "system.network.io",
        vary="network.interface.name",
        shape="mirror",
        direction=("network.io.direction", "receive", "transmit"),
    ),
    Chart(
        "disks",
        "Disk throughput",
        "system.disk.io",
        vary="system.device",
        shape="mirror",
        direction=("disk.io.direction", "read", "write"),
    ),
    Chart(
        "busy",
        "Disk busy",
        "system.disk.utilization",
        vary="system.device",
        top=1,
    ),
    Chart(
        "swap",
        "Swap",
        "system.paging.usage",
        vary="system.paging.state",
        values={"used": "used"},
        shape="stack",
        ceiling=(
            ("system.paging.usage", {"system.paging.state": "used"}),
            ("system.paging.usage", {"system.paging.state": "free"}),
        ),
    ),
    Chart(
        "container-cpu",
        "Containers: CPU, of one core",
        "container.cpu.usage",
        vary="container.name",
        unit="core",
    ),
    Chart(
        "container-memory",
        "Containers: memory",
        "container.memory.usage",
        vary="container.name",
    ),
    Chart("gpu", "GPUs busy", "hw.gpu.utilization", vary="hw.id", top=1),
    Chart(
        "gpu-memory",
        "GPUs: memory in use",
        "hw.gpu.memory.utilization",
        vary="hw.id",
        top=1,
    ),
    Chart("temperature", "Temperatures", "system.temperature", vary="sensor"),
    Chart(
        "pressure",
        "Pressure: share of time in which something waited",
        "system.pressure.some",
        vary="resource",
        values={"cpu": "CPU", "memory": "memory", "io": "disks"},
        top=1,
    ),
    Chart(
        "processes",
        "Processes",
        "",
        metrics=(("system.process.count", "processes"),),
    ),
    Chart(
        "connections",
        "Connections",
        "system.network.connection.count",
        vary="network.transport",
        values={"tcp": "TCP", "udp": "UDP"},
    ),
)
DIRECTIONS = {
    "receive": "received",
    "transmit": "sent",
    "read": "read",
    "write": "written",
}


def selectors() -> list[Selector]:
    """Return what to ask the store for: every metric of a chart, once."""
    names = {chart.metric for chart in CHARTS} | {chart.mark[0] for chart in CHARTS}
    names |= {name for chart in CHARTS for name, _ in chart.metrics}
    names |= {name for chart in CHARTS for name, _ in chart.ceiling}
    return [Selector(name) for name in sorted(names - {""})]
