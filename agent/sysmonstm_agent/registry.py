"""Which collectors there are."""

from __future__ import annotations

from sysmonstm_agent.collector import Collector
from sysmonstm_agent.collectors.connections import Connections
from sysmonstm_agent.collectors.cpu import Cpu
from sysmonstm_agent.collectors.disk import Disk
from sysmonstm_agent.collectors.filesystem import Filesystem
from sysmonstm_agent.collectors.load import Load
from sysmonstm_agent.collectors.memory import Memory
from sysmonstm_agent.collectors.network import Network
from sysmonstm_agent.collectors.pressure import Pressure
from sysmonstm_agent.collectors.processes import Processes
from sysmonstm_agent.collectors.swap import Swap
from sysmonstm_agent.collectors.temperature import Temperature
from sysmonstm_agent.collectors.uptime import Uptime
from sysmonstm_agent.files import Files


def collectors(files: Files) -> list[Collector]:
    """Make one of each, in the order of the layout.

    Those whose series are few and fixed come first: where a machine has more
    series than the wire allows, the last are cut off.
    """
    return [
        Load(files),
        Memory(files),
        Swap(files),
        Processes(files),
        Uptime(files),
        Pressure(files),
        Connections(files),
        Filesystem(files),
        Disk(files),
        Network(files),
        Temperature(files),
        Cpu(files),
    ]
