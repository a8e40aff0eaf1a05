"""Servers that a test treats badly: killed, paused, started again where they were."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import redis

from hub.testing.processes import Process, start

POLL_S = 0.02
ENDS_WITHIN_S = 60
STARTS_WITHIN_S = 120


class Unruly:
    """A server that runs already; started again, it is the same program."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self._log = pid, log
        self._again: Process | None = None
        folder = Path(f"/proc/{pid}")
        self._argv = _strings(folder / "cmdline")
        self._env = dict(one.split("=", 1) for one in _strings(folder / "environ"))
        owner = folder.stat()
        ids = [f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
        # No --pdeathsig here: it means the thread, and tests start this in short ones.
        self._prefix = ["setpriv", *ids, "--"] if owner.st_uid != os.geteuid() else []

    def pause(self) -> None:
        """Let it neither answer nor refuse: as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and its children at once, without a goodbye."""
        family = self._signal(signal.SIGKILL)
        # Nobody may take what is left of it for a running server.
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        if self._again is not None:
            self._again.stop()
        deadline = time.monotonic() + ENDS_WITHIN_S
        while any(_is_alive(pid) for pid in family):
            assert time.monotonic() < deadline, "it does not die"
            time.sleep(POLL_S)

    def start(self, *, ready: str) -> None:
        """Start it again; return once it has printed `ready`."""
        # Lines of before do not count.
        log = self._log.with_suffix(f".{time.monotonic_ns()}.log")
        argv = [*self._prefix, *self._argv]
        self._again = start(*argv, log=log, env=self._env)
        self.pid = self._again.pid
        self._again.wait_for_line(ready, within_s=STARTS_WITHIN_S)

    def end(self) -> None:
        """Leave nothing running that was started here, and nothing paused."""
        self.resume()
        if self._again is not None:
            self.kill()

    def _signal(self, number: int) -> list[int]:
        family = _family(self.pid)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return family


@contextmanager
def unruly_postgres(url: str, log: Path) -> Iterator[Unruly]:
    with psycopg.connect(url) as connection:
        postmaster = _parent(connection.info.backend_pid)
    server = Unruly(postmaster, log)
    try:
        yield server
    finally:
        server.end()


@contextmanager
def unruly_redis(url: str, log: Path) -> Iterator[Unruly]:
    with redis.Redis.from_url(url) as client:
        server = Unruly(int(client.info("server")["process_id"]), log)
    try:
        yield server
    finally:
        server.end()


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants, the eldest first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            parent = _parent(int(folder.name))
            children.setdefault(parent, []).append(int(folder.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _is_alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    """Return /proc's fields from the state on; nothing when the process is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _strings(path: Path) -> list[str]:
    return path.read_bytes().decode().rstrip("\0").split("\0")
