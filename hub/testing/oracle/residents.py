"""Servers that are killed without warning, and come back as they were."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import redis

from hub.testing import hubs, services
from hub.testing.install import SERVICES
from hub.testing.packages import environment
from hub.testing.processes import NotReady, Process, free_port, start

START_S = 180.0
POLL_S = 0.05


class Resident:
    """A server that somebody else started: known by its process."""

    def __init__(self, pid: int, log: Path) -> None:
        self._log = log
        place = Path(f"/proc/{pid}")
        self._argv = place.joinpath("cmdline").read_bytes().split(b"\0")[:-1]
        pairs = place.joinpath("environ").read_bytes().split(b"\0")
        self._environment = dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)
        self._cwd = os.readlink(place / "cwd")
        self._user = place.stat().st_uid
        self._again: subprocess.Popen[bytes] | None = None
        self.pid = pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        if self._again:
            self._again.wait()
        else:
            # Its starter is this process too, and does not look. A dead server
            # that nobody took note of still bars the next one's way.
            os.waitpid(self.pid, 0)

    def signal_all(self, number: int) -> None:
        """Send it to the server and to the children that serve its connections."""
        for pid in (self.pid, *_children(self.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def start(self) -> None:
        """Start the same program again; it may not be ready yet."""
        ids = [f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups"]
        ordinary = ids if os.geteuid() == 0 and self._user else []
        with self._log.open("ab") as log:
            self._again = subprocess.Popen(
                ["setpriv", *ordinary, "--pdeathsig", "INT", "--", *self._argv],
                env=self._environment,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._again.pid

    @property
    def is_running(self) -> bool:
        return self._again is None or self._again.poll() is None

    def end(self) -> None:
        """End what `start` began; the first process is its starter's."""
        if self._again and self._again.poll() is None:
            self._again.send_signal(signal.SIGINT)
            try:
                self._again.wait(15)
            except subprocess.TimeoutExpired:
                self._again.kill()
                self._again.wait()


class Database:
    """A PostgreSQL that keeps what it has committed, whatever happens to it."""

    def __init__(self, admin: str, log: Path) -> None:
        self._admin = admin
        self._resident = Resident(_postmaster(admin), log)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE DATABASE oracle")
        self.url = f"{admin.rpartition('/')[0]}/oracle"

    def kill(self) -> None:
        self._resident.kill()

    def start(self) -> None:
        """Start until it stays: the dead one's children may hold its memory yet."""
        deadline_s = time.monotonic() + START_S
        while True:
            self._resident.start()
            while self._resident.is_running:
                if _answers(self._admin):
                    return
                if time.monotonic() > deadline_s:
                    raise NotReady("PostgreSQL does not come back")
                time.sleep(POLL_S)
            time.sleep(POLL_S)

    def pause(self) -> None:
        self._resident.signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._resident.signal_all(signal.SIGCONT)

    def end(self) -> None:
        self._resident.end()


class Cache:
    """A Redis that forgets everything when it is killed.

    It hides how it was started, so it is started here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._tree = folder, SERVICES / "redis"
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: Process | None = None
        self.start()

    def kill(self) -> None:
        assert self._process
        self._process.send(signal.SIGKILL)
        self._process.stop()

    def start(self) -> None:
        keeping = ("--save", "", "--appendonly", "no", "--dir", self._folder)
        self._process = start(
            *(*hubs.BOUND, self._tree / "usr/bin/redis-server", *keeping),
            *("--port", str(self._port), "--bind", "127.0.0.1", "--databases", "64"),
            log=self._folder / "redis.out",
            env=environment(self._tree),
        )
        self._process.wait_until(self._answers, "answer", within_s=START_S)

    def end(self) -> None:
        if self._process:
            self._process.stop()

    def _answers(self) -> bool:
        client = redis.Redis.from_url(
            self.url, socket_timeout=2, socket_connect_timeout=2
        )
        with suppress(redis.RedisError), closing(client):
            return bool(client.ping())
        return False


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    with services.postgres(durable=True) as admin:
        made = Database(admin, folder / "postgresql.out")
        try:
            yield made
        finally:
            made.end()


@contextmanager
def cache(folder: Path) -> Iterator[Cache]:
    made = Cache(folder)
    try:
        yield made
    finally:
        made.end()


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit():
                # The name stands in brackets and may hold anything, brackets too.
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == parent:
                    yield int(folder.name)


def _postmaster(url: str) -> int:
    with psycopg.connect(url) as connection:
        [(folder,)] = connection.execute("SHOW data_directory").fetchall()
    return int(Path(folder, "postmaster.pid").read_text().splitlines()[0])


def _answers(url: str) -> bool:
    with suppress(psycopg.Error), psycopg.connect(url, connect_timeout=2) as connection:
        connection.execute("SELECT 1")
        return True
    return False
