"""The table of processes where there is no /proc: psutil's."""

from __future__ import annotations

import psutil

from sysmonstm_agent.processes.table import Io, Row

FIELDS = ["pid", "create_time", "cpu_times", "memory_info", "name"]


class PortableTable:
    def rows(self) -> list[Row]:
        rows = []
        for process in psutil.process_iter(FIELDS):
            told = process.info
            cpu, memory = told["cpu_times"], told["memory_info"]
            # Other users' processes may say nothing but that they are there.
            if cpu is None or memory is None:
                continue
            rows.append(
                Row(
                    pid=told["pid"],
                    started=told["create_time"] or 0.0,
                    cpu_s=cpu.user + cpu.system,
                    memory_bytes=memory.rss,
                    waits=False,
                    name=told["name"] or "",
                )
            )
        return rows

    def io(self, pid: int) -> Io | None:
        try:
            counters = psutil.Process(pid).io_counters()
        except (AttributeError, psutil.Error):
            # macOS does not tell.
            return None
        return Io(counters.read_bytes, counters.write_bytes)

    def command(self, pid: int) -> list[str]:
        try:
            return psutil.Process(pid).cmdline()
        except psutil.Error:
            return []

    def user(self, pid: int) -> str:
        try:
            return psutil.Process(pid).username()
        except (psutil.Error, KeyError):
            return ""

    def started_unix_ms(self, row: Row) -> int:
        return int(row.started * 1000)
