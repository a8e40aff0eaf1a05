"""CPU and memory of the processes that are measured, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Meter:
    """The processes whose time is counted."""

    hubs: Sequence[int]
    postmaster: int
    redis: int

    def read(self) -> dict[str, float]:
        return {
            "hub": sum(cpu_s(hub) for hub in self.hubs),
            "postgres": family_cpu_s(self.postmaster) if self.postmaster else 0.0,
            "redis": cpu_s(self.redis) if self.redis else 0.0,
        }


def postmaster(connection: psycopg.Connection[Any]) -> int:
    """Return the parent of our own backend."""
    return int(stat(connection.info.backend_pid)[1])


def redis_pid(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])


def cpu_s(pid: int) -> float:
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def family_cpu_s(pid: int) -> float:
    """The process's own time, that of its children, and of those that have ended."""
    fields = stat(pid)
    ended_s = (int(fields[13]) + int(fields[14])) / CLOCK_TICKS
    children = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and parent(int(folder.name)) == pid
    ]
    return cpu_s(pid) + ended_s + sum(cpu_s(child) for child in children)


def parent(pid: int) -> int:
    try:
        return int(stat(pid)[1])
    except OSError:
        return 0


def stat(pid: int) -> list[str]:
    """Return /proc's fields from the state on: what is before may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
