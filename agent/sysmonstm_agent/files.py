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

READ_BYTES = 64 * 1024


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
        # Files of /proc that stay open: opening takes as long as reading. None: one
        # that failed, and is opened anew each time.
        self._open: dict[str, int | None] = {}

    def __del__(self) -> None:
        for number in self._open.values():
            if number is not None:
                os.close(number)

    def proc(self, name: str) -> str:
        """Read a file that is there as long as the machine runs."""
        path = f"{self.proc_root}/{name}"
        number = self._open.get(path)
        if number is None:
            if path in self._open:
                return read(path)
            number = self._keep(path)
        try:
            return whole(number)
        except OSError:
            # Not closed: another thread may be reading it.
            self._open[path] = None
            return read(path)

    def _keep(self, path: str) -> int:
        number = opened(path)
        kept = self._open.setdefault(path, number)
        if kept is number or kept is None:
            return number
        os.close(number)
        return kept

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
    number = opened(path)
    try:
        return whole(number)
    finally:
        os.close(number)


def opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoData(path) from None


def whole(number: int) -> str:
    # The kernel writes these files as they are read, and one large read is one
    # moment. A file object would take twice as long.
    raw = os.pread(number, READ_BYTES, 0)
    while more := os.pread(number, READ_BYTES, len(raw)):
        raw += more
    return raw.decode("utf-8", "surrogateescape")
