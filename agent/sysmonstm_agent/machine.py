"""What the agent tells of its machine when it says Hello."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files


@dataclass(frozen=True, slots=True)
class Machine:
    os: str
    kernel: str
    architecture: str
    boot_time_unix_ms: int


def machine(files: Files) -> Machine:
    uname = os.uname()
    return Machine(
        os=os_name(),
        kernel=uname.release,
        architecture=uname.machine,
        boot_time_unix_ms=boot_time_unix_ms(files),
    )


def os_name() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def boot_time_unix_ms(files: Files) -> int:
    """Return when the machine booted; 0 = unknown."""
    if not files.linux:
        import psutil

        return int(psutil.boot_time() * 1000)
    try:
        stat = files.proc("stat")
    except (NoData, OSError):
        return 0
    for line in stat.splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) * 1000
    return 0
