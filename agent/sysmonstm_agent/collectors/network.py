"""Network interfaces: traffic, errors, drops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading
from sysmonstm_agent.rates import Rates

IO = Metric("system.network.io", "By/s", "Bytes through an interface.")
PACKETS = Metric("system.network.packets", "{packet}/s", "Packets through it.")
ERRORS = Metric("system.network.errors", "{error}/s", "Packets damaged on the way.")
DROPPED = Metric(
    "system.network.dropped",
    "{packet}/s",
    "Packets thrown away for want of room.",
)


class Counts(NamedTuple):
    bytes: float
    packets: float
    errors: float
    dropped: float


METRICS = (IO, PACKETS, ERRORS, DROPPED)


class Network:
    name = "network"
    metrics = METRICS

    def __init__(
        self, files: Files, *, skip: Callable[[str], bool] = lambda name: False
    ) -> None:
        self._files = files
        self._skip = skip
        self._rates = Rates()

    def collect(self, now_s: float) -> Iterator[Reading]:
        interfaces = self._linux() if self._files.linux else portable()
        if not interfaces:
            raise NoData("no interfaces")
        self._rates.tick(now_s)
        for (name, direction), counts in interfaces.items():
            if self._skip(name):
                continue
            attributes = {
                "network.interface.name": name,
                "network.io.direction": direction,
            }
            for metric, count in zip(METRICS, counts, strict=True):
                rate = self._rates.rate((name, direction, metric.name), count)
                yield Reading(metric, rate, attributes)

    def _linux(self) -> dict[tuple[str, str], Counts]:
        interfaces = {}
        for line in self._files.proc("net/dev").splitlines()[2:]:
            name, _, columns = line.strip().rpartition(":")
            counts = [float(column) for column in columns.split()]
            if skipped(name) or not any(counts):
                continue
            interfaces[name, "receive"] = Counts(*counts[0:4])
            interfaces[name, "transmit"] = Counts(*counts[8:12])
        return interfaces


def skipped(name: str) -> bool:
    # veth: the near ends of containers' cables, a new name for each container
    # that starts, for traffic that the bridge counts too.
    return name in ("lo", "lo0") or name.startswith("veth")


def portable() -> dict[tuple[str, str], Counts]:
    import psutil

    interfaces = {}
    for name, nic in psutil.net_io_counters(pernic=True).items():
        if skipped(name) or not nic.bytes_recv + nic.bytes_sent:
            continue
        interfaces[name, "receive"] = Counts(
            nic.bytes_recv, nic.packets_recv, nic.errin, nic.dropin
        )
        interfaces[name, "transmit"] = Counts(
            nic.bytes_sent, nic.packets_sent, nic.errout, nic.dropout
        )
    return interfaces
