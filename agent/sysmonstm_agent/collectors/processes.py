"""How many processes there are."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading

COUNT = Metric("system.process.count", "{process}", "Processes, threads not counted.")


class Processes:
    name = "processes"
    metrics = (COUNT,)

    def __init__(self, files: Files) -> None:
        self._files = files
        self._folders = 0

    def collect(self, now_s: float) -> Iterator[Reading]:
        count = self._linux() if self._files.linux else portable()
        if not count:
            # At least the one that asks is there.
            raise NoData("no /proc")
        yield Reading(COUNT, count)

    def _linux(self) -> int:
        root = self._files.proc_root
        # As in any folder, the link count of /proc is 2 and one for each folder
        # in it, and the kernel adds its own count of processes: one call instead
        # of a listing that grows with them.
        links = os.stat(root).st_nlink
        if not self._folders:
            self._folders = count_folders(root)
        count = links - 2 - self._folders
        return count if count > 0 else len(list_processes(root))


def count_folders(root: str) -> int:
    with os.scandir(root) as entries:
        return sum(
            entry.is_dir(follow_symlinks=False) and not entry.name.isdigit()
            for entry in entries
        )


def list_processes(root: str) -> list[str]:
    return [name for name in os.listdir(root) if name.isdigit()]


def portable() -> int:
    import psutil

    return len(psutil.pids())
