"""The kernel's files, under roots that a container or a test may move.

Collectors read /proc and /sys themselves on Linux. One read of /proc/stat gives
all cores and all modes, where psutil needs two; /proc/meminfo serves memory and
swap in a fifth of the time; PSI, inode counts and sockets by kernel counter
psutil does not have at all; and not importing it saves an agent 1.5 MB.
Elsewhere `linux` is false and they ask psutil, imported where it is used.
"""

from __future__ import annotations

import os
import sys

from sysmonstm_agent.background import Looks
from sysmonstm_agent.collector import NoData


class Files:
    def __init__(
        self,
        proc: str = "/proc",
        sys_: str = "/sys",
        *,
        linux: bool = sys.platform == "linux",
    ) -> None:
        self.proc_root = proc
        self.sys_root = sys_
        self.linux = linux
        # What is found out in the background about the machine that has them.
        self.looks = Looks()

    def proc(self, name: str) -> str:
        return read(f"{self.proc_root}/{name}")

    def sys(self, name: str) -> str:
        return read(f"{self.sys_root}/{name}")

    def sys_names(self, folder: str) -> list[str]:
        """Return the names in a folder of /sys, sorted; none if it is not there."""
        try:
            return sorted(os.listdir(f"{self.sys_root}/{folder}"))
        except FileNotFoundError:
            return []


def read(path: str) -> str:
    """Return a small kernel file in one piece. Raises NoData if it is not there."""
    try:
        # Unbuffered: the kernel writes these files as they are read, and one
        # large read is one moment.
        with open(path, "rb", buffering=0) as file:
            return file.readall().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        raise NoData(path) from None
