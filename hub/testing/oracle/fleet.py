"""The agents of a world, each a real process on a line of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hub.testing import compose, hubs
from hub.testing.oracle import journal
from hub.testing.oracle.proxy import Lines, Proxy
from hub.testing.processes import Process, start

INTERVAL_S = 0.05

TOKEN = "only-for-the-oracle-0123456789"


class Serving(Protocol):
    """Where an agent is sent: a hub, whatever port it has now."""

    port: int


class Grounds(Protocol):
    @property
    def folder(self) -> Path: ...

    @property
    def lines(self) -> Lines: ...


class Agent:
    """One real agent on a line of its own."""

    def __init__(
        self,
        grounds: Grounds,
        machine: str,
        *,
        lane: int,
        hub: Serving,
        spool_age_s: int | None = None,
    ) -> None:
        age = {} if spool_age_s is None else {"ORACLE_SPOOL_AGE_S": str(spool_age_s)}
        self._more = age
        self.machine, self.lane, self.hub = machine, lane, hub
        self.name = f"{machine}.{lane}"
        self.folder = grounds.folder / self.name
        self.folder.mkdir()
        self.line = Proxy(grounds.lines, hub.port)
        self._process: Process | None = None
        # Cut off or stopped on purpose: nobody waits for it.
        self.away = False
        self.start()

    @property
    def process(self) -> Process:
        assert self._process
        return self._process

    def start(self) -> None:
        env = environment(
            COLLECTOR_AGGREGATOR_URL=f"127.0.0.1:{self.line.port}",
            COLLECTOR_MACHINE_ID=self.machine,
            COLLECTOR_TOKEN=TOKEN,
            COLLECTOR_SPOOL_DIR=str(self.folder / "spool"),
            STATE_DIRECTORY=str(self.folder / "state"),
            ORACLE_FOLDER=str(self.folder),
            ORACLE_LANE=str(self.lane),
            ORACLE_INTERVAL_S=str(INTERVAL_S),
            **self._more,
        )
        (self.folder / "state").mkdir(exist_ok=True)
        self._process = start(
            *(*hubs.BOUND, sys.executable, "-m", "hub.testing.oracle.agent"),
            log=self.folder / "log",
            env=env,
            cwd=self.folder,
        )

    def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        self.process.stop()

    def order(self, name: str, text: str) -> None:
        """Lay an order down; it is read whole or not at all."""
        made = self.folder / f".{name}"
        made.write_text(text)
        made.rename(self.folder / name)

    def move_to(self, hub: Serving) -> None:
        """Send its next connection there, and cut the present one."""
        self.hub = hub
        self.line.hub_port = hub.port
        self.line.cut()

    @property
    def journal(self) -> journal.Journal:
        return journal.read(self.folder / "journal")

    @property
    def welcomes(self) -> list[float]:
        """When the hub welcomed it, each time: Unix seconds."""
        log = (self.folder / "log").read_text(errors="replace")
        return [
            datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
            for line in log.splitlines()
            if '"hub.connected"' in line
        ]

    def end(self) -> None:
        self.process.stop()
        self.process.end_family()


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which this checkout's code is run.

    The installed packages may lead to another one.
    """
    places = (compose.ROOT / part for part in (".", "agent", "proto"))
    return hubs.environment(PYTHONPATH=os.pathsep.join(map(str, places)), **more)
