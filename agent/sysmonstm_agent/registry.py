"""Which collectors there are."""

from __future__ import annotations

from collections.abc import Callable

from sysmonstm_agent.collector import Collector
from sysmonstm_agent.collectors.connections import Connections
from sysmonstm_agent.collectors.containers import Containers
from sysmonstm_agent.collectors.cpu import Cpu
from sysmonstm_agent.collectors.disk import Disk
from sysmonstm_agent.collectors.filesystem import Filesystem
from sysmonstm_agent.collectors.gpu import Gpus, nvml
from sysmonstm_agent.collectors.load import Load
from sysmonstm_agent.collectors.memory import Memory
from sysmonstm_agent.collectors.network import Network
from sysmonstm_agent.collectors.pressure import Pressure
from sysmonstm_agent.collectors.processes import Processes
from sysmonstm_agent.collectors.smart import Smart
from sysmonstm_agent.collectors.swap import Swap
from sysmonstm_agent.collectors.systemd import Systemd
from sysmonstm_agent.collectors.temperature import Temperature
from sysmonstm_agent.collectors.textfile import Textfile
from sysmonstm_agent.collectors.uptime import Uptime
from sysmonstm_agent.files import Files
from sysmonstm_agent.settings import DEFAULT, Settings, matcher
from sysmonstm_agent.sources import NOTHING, Sources

Make = Callable[[Files, Settings, Sources], Collector]

# In the order of the layout. Those whose series are few and fixed come first: of
# names so long that they do not fit one message, the last are cut off.
COLLECTORS: dict[str, Make] = {
    "load": lambda files, settings, sources: Load(files),
    "memory": lambda files, settings, sources: Memory(files),
    "swap": lambda files, settings, sources: Swap(files),
    "processes": lambda files, settings, sources: Processes(files),
    "uptime": lambda files, settings, sources: Uptime(files),
    "pressure": lambda files, settings, sources: Pressure(files),
    "connections": lambda files, settings, sources: Connections(files),
    "filesystem": lambda files, settings, sources: Filesystem(
        files, skip=matcher(settings.skip_mounts)
    ),
    "disk": lambda files, settings, sources: Disk(
        files, skip=matcher(settings.skip_devices)
    ),
    "network": lambda files, settings, sources: Network(
        files, skip=matcher(settings.skip_interfaces)
    ),
    "temperature": lambda files, settings, sources: Temperature(files),
    "systemd": lambda files, settings, sources: Systemd(files, sources.system_bus),
    "gpu": lambda files, settings, sources: Gpus(
        files, load=nvml() if sources.devices else None
    ),
    "smart": lambda files, settings, sources: Smart(
        files, sources.devices, skip=matcher(settings.skip_devices)
    ),
    "cpu": lambda files, settings, sources: Cpu(files),
    "containers": lambda files, settings, sources: Containers(
        files, sources.container_sockets
    ),
    "textfile": lambda files, settings, sources: Textfile(
        sources.textfile_dir, max_age_s=sources.textfile_max_age_s
    ),
}
# What settings may switch on and off.
NAMES = tuple(COLLECTORS)


def collectors(
    files: Files, settings: Settings = DEFAULT, sources: Sources = NOTHING
) -> list[Collector]:
    """Make one of each that is not switched off, in the order of the layout."""
    return [
        make(files, settings, sources)
        for name, make in COLLECTORS.items()
        if settings.collectors.get(name, True)
    ]
