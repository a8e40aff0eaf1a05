"""A fleet, its lines, its hubs, their servers: everything that can break."""

from __future__ import annotations

import json
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from hub.testing import hubs
from hub.testing.oracle import journal, payload
from hub.testing.oracle.fleet import INTERVAL_S, TOKEN, Agent, environment
from hub.testing.oracle.judge import Row, Stored, is_drained
from hub.testing.oracle.ledger import Ledger
from hub.testing.oracle.proxy import Lines, lines
from hub.testing.oracle.residents import Cache, Database, cache, database
from hub.testing.processes import NotReady, Process, start

POLL_S = 0.05

# A busy machine has taken 60 s to migrate an empty database.
START_S = 240.0
# grpcserve promises 15 s for its end; a busy machine gets more.
LEAVE_S = 60.0
# What a whole backlog may take, once all is well.
DRAIN_S = 120.0

ROWS = """
SELECT m.machine_id, s.sequence, (extract(epoch FROM s.time) * 1000)::bigint, s.values
FROM storage_sample s JOIN machines_machine m ON m.id = s.machine_id
"""
NEWEST = ROWS + "WHERE m.machine_id = %s ORDER BY s.time DESC, s.sequence DESC LIMIT 1"


class Hub:
    """One `manage.py grpcserve`, again and again, on whatever port it gets."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.port = 0
        self._process: Process | None = None
        self._lives = 0

    @property
    def process(self) -> Process:
        assert self._process
        return self._process

    def start(self) -> None:
        self._lives += 1
        self._process = start(
            *(*hubs.BOUND, sys.executable, hubs.ROOT / "manage.py", "grpcserve"),
            *("--port", "0"),
            log=self._world.folder / f"{self.name}.{self._lives}.log",
            env=self._world.environment,
            cwd=self._world.folder,
        )
        self.process.wait_for_line('"grpc.listening"', within_s=START_S)
        self.port = hubs.event(self.process, "grpc.listening")["port"]
        for agent in self._world.agents.values():
            if agent.hub is self:
                agent.line.hub_port = self.port

    def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        self.process.stop()

    def leave(self) -> None:
        """SIGTERM, as a rolling restart does; it must end well and in time."""
        began_s = time.monotonic()
        code = self.process.stop(within_s=LEAVE_S + 5)
        took_s = time.monotonic() - began_s
        if code != 0 or took_s > LEAVE_S:
            said = f"{self.name}: ended with {code} after {took_s:.1f} s"
            self._world.ledger.faults.append(said)

    def end(self) -> None:
        if self._process:
            self._process.send(signal.SIGCONT)
            self._process.stop(within_s=LEAVE_S)
            self._process.end_family()

    def logs(self) -> str:
        paths = sorted(self._world.folder.glob(f"{self.name}.*.log"))
        return "".join(path.read_text(errors="replace") for path in paths)


class World:
    """Made by `world`, in one thread; random choices come from `rng` alone."""

    def __init__(
        self,
        folder: Path,
        rng: random.Random,
        ledger: Ledger,
        servers: tuple[Database, Cache, Lines],
    ) -> None:
        self.folder, self.rng, self.ledger = folder, rng, ledger
        self.database, self.cache, self.lines = servers
        self.hubs: list[Hub] = []
        self.agents: dict[str, Agent] = {}
        self._connection: psycopg.Connection[Any] | None = None
        # How long a line may stay broken.
        self.longest_s = 2.5
        self.environment = environment(
            DATA_DIR=str(folder / "var"),
            TIMESCALE_URL=self.database.url,
            REDIS_URL=self.cache.url,
            SECRET_KEY=secrets.token_hex(32),
            AGENT_TOKEN=TOKEN,
            LOG_FORMAT="json",
            LOG_LEVEL="INFO",
        )

    def manage(self, *command: str) -> str:
        """Run a command of the hub to its end; return what it printed."""
        done = subprocess.run(
            [sys.executable, hubs.ROOT / "manage.py", *command],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        if done.returncode:
            raise NotReady(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def recruit(
        self, machine: str, *, hub: int, lane: int = 0, spool_age_s: int | None = None
    ) -> Agent:
        hub_ = self.hubs[hub]
        agent = Agent(self, machine, lane=lane, hub=hub_, spool_age_s=spool_age_s)
        self.agents[agent.name] = agent
        return agent

    def sleep(self, low_s: float, high_s: float) -> None:
        """Let a random while pass."""
        time.sleep(self.rng.uniform(low_s, high_s))

    @property
    def fleet(self) -> list[Agent]:
        """The agents that ought to be well."""
        return [agent for agent in self.agents.values() if not agent.away]

    @property
    def journals(self) -> dict[tuple[str, int], journal.Journal]:
        return {(a.machine, a.lane): a.journal for a in self.agents.values()}

    # -- what is stored

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the database. Raises psycopg.Error while it is away."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self.database.url, autocommit=True, connect_timeout=2
                )
            return self._connection.execute(statement, parameters).fetchall()
        except psycopg.Error:
            if self._connection:
                self._connection.close()
            self._connection = None
            raise

    def newest(self, agent: Agent) -> int:
        """Return the tick that its newest stored row holds; 0 = none of this agent."""
        for _, _, _, values in self.query(NEWEST, agent.machine):
            mark = payload.read(agent.machine, payload.unpacked(values))
            if mark and mark.lane == agent.lane:
                return mark.tick
        return 0

    def stored(self) -> Stored:
        return Stored(
            [
                Row(machine, sequence, time_ms, payload.unpacked(values))
                for machine, sequence, time_ms, values in self.query(ROWS)
            ]
        )

    def duplicates(self) -> int:
        """Return how many samples came again and were absorbed."""
        table = self.query("SELECT to_regclass('storage_pastspool') IS NOT NULL")[0][0]
        past = " + (SELECT coalesce(sum(duplicates), 0) FROM storage_pastspool)"
        now = "SELECT (SELECT coalesce(sum(duplicates), 0) FROM storage_cursor)"
        return int(self.query(now + (past if table else ""))[0][0])

    # -- waiting

    def fresh(self, agents: Iterable[Agent], *, within_s: float) -> float:
        """Wait until a sample of now is stored of each; return how long that took."""
        began_s = time.monotonic()
        waiting = {agent: agent.journal.last for agent in agents}
        while waiting:
            for agent, tick in list(waiting.items()):
                if self._newest_or_none(agent) > tick:
                    del waiting[agent]
            if time.monotonic() - began_s > within_s:
                names = ", ".join(agent.name for agent in waiting)
                raise TooLate(f"no fresh sample of {names} within {within_s:.0f} s")
            time.sleep(POLL_S)
        return time.monotonic() - began_s

    def settle(self, agent: Agent, *, within_s: float) -> None:
        """Have it produce nothing, and wait until all it has is stored."""
        agent.order("pause", "")
        time.sleep(4 * INTERVAL_S)
        began_s = time.monotonic()
        whose = (agent.machine, agent.lane)
        while not is_drained({whose: agent.journal}, self.stored()):
            if time.monotonic() - began_s > within_s:
                raise TooLate(f"{agent.name} is not drained within {within_s:.0f} s")
            time.sleep(0.2)

    def _newest_or_none(self, agent: Agent) -> int:
        try:
            return self.newest(agent)
        except psycopg.Error:
            return 0

    def drain(self) -> Stored:
        """Produce nothing more; wait until all is stored, or no more comes."""
        for agent in self.agents.values():
            agent.order("pause", "")
        time.sleep(4 * INTERVAL_S)
        began_s = moved_s = time.monotonic()
        count = -1
        while True:
            stored = self.stored()
            if is_drained(self.journals, stored):
                return stored
            now_s = time.monotonic()
            if len(stored.rows) != count:
                count, moved_s = len(stored.rows), now_s
            # Longer than any pause between two tries of an agent or a writer.
            if now_s - moved_s > 15 or now_s - began_s > DRAIN_S:
                return stored
            time.sleep(0.2)

    # -- the end

    def welcomes(self) -> int:
        return sum(len(agent.welcomes) for agent in self.agents.values())

    def cries(self) -> Iterator[str]:
        """Yield what no log may hold: tracebacks, and tasks that nobody awaited."""
        for path in sorted(self.folder.rglob("*log")):
            text = path.read_text(errors="replace")
            for cry in re.findall(CRY, text)[:3]:
                yield f"{path.relative_to(self.folder)}: {cry[:200]}"

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return the hub's own account of each machine."""
        printed = self.manage("shell", "-v", "0", "-c", ACCOUNTS)
        return dict(json.loads(printed.splitlines()[-1]))

    def end(self) -> None:
        if self._connection:
            self._connection.close()
        for agent in self.agents.values():
            agent.end()
        for hub in self.hubs:
            hub.end()


CRY = r"(?:was never retrieved|was never awaited|[\w.]*\.died|client\.failed)[^\n]*"

ACCOUNTS = """
import dataclasses, json
from hub.machines.models import Machine
from hub.storage.account import account
found = ((m.machine_id, account(m)) for m in Machine.objects.all())
told = {name: dataclasses.asdict(one) for name, one in found if one}
print(json.dumps(told, default=str))
"""


class TooLate(Exception):
    """The world did not become well in time."""


@contextmanager
def world(
    folder: Path, rng: random.Random, ledger: Ledger, *, hub_names: Sequence[str]
) -> Iterator[World]:
    with ExitStack() as stack:
        servers = (
            stack.enter_context(database(folder)),
            stack.enter_context(cache(folder)),
            stack.enter_context(lines()),
        )
        made = World(folder, rng, ledger, servers)
        stack.callback(made.end)
        made.manage("migrate", "-v", "0")
        for name in hub_names:
            made.hubs.append(Hub(made, name))
            made.hubs[-1].start()
        yield made
