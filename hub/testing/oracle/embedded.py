"""The same trial for `manage.py up`: one process, SQLite, killed again and again."""

from __future__ import annotations

import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from hub.testing import hubs
from hub.testing.oracle import payload
from hub.testing.oracle.fleet import INTERVAL_S, TOKEN, Agent, environment
from hub.testing.oracle.journal import Journal
from hub.testing.oracle.judge import Row, Stored, is_drained, judge
from hub.testing.oracle.ledger import Ledger
from hub.testing.oracle.proxy import Lines, lines
from hub.testing.processes import Process, start

START_S = 180.0
FRESH_S = 60.0
DRAIN_S = 120.0
MACHINES = 3

ROWS = """
SELECT m.machine_id, s.sequence, s.time, s."values"
FROM storage_sample s JOIN machines_machine m ON m.id = s.machine_id
WHERE m.machine_id LIKE 'machine-%'
"""


class Embedded:
    """One `manage.py up` over one folder, and the agents that send to it."""

    def __init__(self, folder: Path, lines_: Lines) -> None:
        self.folder, self.lines = folder, lines_
        self.port = 0
        self._lives = 0
        self._process: Process | None = None
        self.agents: list[Agent] = []

    def recruit(self) -> None:
        for number in range(MACHINES):
            self.agents.append(Agent(self, f"machine-{number}", lane=0, hub=self))

    @property
    def process(self) -> Process:
        assert self._process
        return self._process

    @property
    def journals(self) -> dict[tuple[str, int], Journal]:
        return {(agent.machine, agent.lane): agent.journal for agent in self.agents}

    def begin(self) -> None:
        self._lives += 1
        self._process = start(
            *(*hubs.BOUND, sys.executable, hubs.ROOT / "manage.py", "up"),
            log=self.folder / f"up.{self._lives}.log",
            env=environment(
                DATA_DIR=str(self.folder / "var"),
                HTTP_PORT="0",
                GRPC_PORT="0",
                AGENT_TOKEN=TOKEN,
                LOG_FORMAT="json",
                LOG_LEVEL="INFO",
            ),
            cwd=self.folder,
        )
        self.process.wait_for_line('"grpc.listening"', within_s=START_S)
        self.port = hubs.event(self.process, "grpc.listening")["port"]

    def come_back(self) -> None:
        self.begin()
        for agent in self.agents:
            agent.line.hub_port = self.port

    def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        self.process.stop()
        # The local agent of `up` is in its session.
        self.process.end_family()

    def stored(self) -> Stored:
        place = f"file:{self.folder}/var/sysmonstm.sqlite3?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=60)) as connection:
            rows = connection.execute(ROWS).fetchall()
        return Stored([_row(*fields) for fields in rows])

    def fresh(self) -> float:
        wanted = [(agent, agent.journal.last) for agent in self.agents]

        def seen() -> bool:
            marks = self.stored().marks
            newest = {name: 0 for name, _ in marks}
            for name, mark in marks:
                newest[name] = max(newest[name], mark.tick)
            return all(newest.get(agent.machine, 0) > tick for agent, tick in wanted)

        return _wait(seen, within_s=FRESH_S)

    def drain(self) -> Stored:
        for agent in self.agents:
            agent.order("pause", "")
        time.sleep(4 * INTERVAL_S)
        _wait(lambda: is_drained(self.journals, self.stored()), within_s=DRAIN_S)
        return self.stored()

    def duplicates(self) -> int:
        place = f"file:{self.folder}/var/sysmonstm.sqlite3?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=60)) as connection:
            [(count,)] = connection.execute(
                "SELECT sum(duplicates) FROM storage_cursor"
            )
        return int(count or 0)

    def end(self) -> None:
        for agent in self.agents:
            agent.end()
        if self._process:
            self._process.stop()
            self._process.end_family()


def run(folder: Path, *, seed: int, rounds: int) -> Ledger:
    """Kill, and count; each second round the hub is asked to end instead."""
    # One process over one lock: a repeat cannot be brought about at will.
    ledger = Ledger(seed, needed=("reconnect", "replay", "sample"))
    rng = random.Random(seed)
    with lines() as lines_:
        hub = Embedded(folder, lines_)
        try:
            hub.begin()
            hub.recruit()
            hub.fresh()
            for number in range(1, rounds + 1):
                with ledger.round("kill `up`", number, rounds) as tally:
                    _round(hub, rng, ledger)
                    took_s = hub.fresh()
                    tally.slowest_s = max(tally.slowest_s, took_s)
                    if took_s >= FRESH_S:
                        ledger.faults.append("no fresh sample after a kill of `up`")
            stored = hub.drain()
            ledger.verdict = judge(hub.journals, stored)
            ledger.duplicates = hub.duplicates()
            ledger.replays = sum(one.again for one in hub.journals.values())
            ledger.reconnects = (
                sum(len(agent.welcomes) for agent in hub.agents) - MACHINES
            )
        finally:
            hub.end()
    return ledger


def _round(hub: Embedded, rng: random.Random, ledger: Ledger) -> None:
    time.sleep(rng.uniform(0, 0.5))
    if rng.random() < 0.3:
        code = hub.process.stop()
        hub.process.end_family()
        if code != 0:
            ledger.faults.append(f"`up` ended with {code} when asked to")
    else:
        hub.kill()
    hub.come_back()


def _row(machine: str, sequence: int, moment: str, values: bytes) -> Row:
    # As Django writes it: without a zone, in UTC.
    time_ms = round(datetime.fromisoformat(f"{moment}+00:00").timestamp() * 1000)
    return Row(machine, sequence, time_ms, payload.unpacked(values))


def _wait(done: Callable[[], bool], *, within_s: float) -> float:
    """Wait until done, at most so long; return how long it was."""
    began_s = time.monotonic()
    while not done() and time.monotonic() - began_s < within_s:
        time.sleep(0.1)
    return min(time.monotonic() - began_s, within_s)
