"""What happens to a world. Each leaves it healed and names who must be well again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from hub.testing.oracle.fleet import INTERVAL_S, Agent
from hub.testing.oracle.proxy import Mode
from hub.testing.oracle.world import World
from hub.testing.patience import PATIENCE_S

HOUR_MS = 3600 * 1000
YEAR_MS = 365 * 24 * HOUR_MS

# The one whose spool reaches back only so far.
FORGETFUL = "forgetful"
SPOOL_AGE_S = 3


class Length(NamedTuple):
    """How often, and how long a fault lasts at most."""

    short: int
    long: int


Scenario = Callable[[World], list[Agent]]


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    run: Scenario
    rounds: Length


def kill_agents(world: World) -> list[Agent]:
    """Kill -9 a few agents, each at its own moment of a tick."""
    agents = world.rng.sample(world.fleet, 3)
    for agent in agents:
        world.sleep(0, 2 * INTERVAL_S)
        agent.kill()
    world.sleep(0, 0.3)
    for agent in agents:
        agent.start()
    return agents


def kill_hub(world: World) -> list[Agent]:
    hub = world.rng.choice(world.hubs)
    world.sleep(0, 0.3)
    hub.kill()
    world.sleep(0, 0.5)
    hub.start()
    return world.fleet


def kill_hub_at_commit(world: World) -> list[Agent]:
    """Let samples pile up before COMMIT, let go, and kill it within some 50 ms."""
    hub = world.rng.choice(world.hubs)
    with slow_commit(world):
        world.sleep(0.3, 0.6)
    world.sleep(0, 0.05)
    hub.kill()
    hub.start()
    return world.fleet


def stop_hub(world: World) -> list[Agent]:
    """SIGSTOP: alive to the kernel, dead to everybody else."""
    hub = world.rng.choice(world.hubs)
    hub.process.send(signal.SIGSTOP)
    world.sleep(1, 2)
    hub.process.send(signal.SIGCONT)
    return world.fleet


def move_while_stopped(world: World) -> list[Agent]:
    """Two hubs hold the same samples: one is stopped, the agents go to the other."""
    first, second = world.rng.sample(world.hubs, 2)
    moved = [agent for agent in world.fleet if agent.hub is first]
    with slow_commit(world):
        world.sleep(0.3, 0.6)
        first.process.send(signal.SIGSTOP)
    for agent in moved:
        agent.move_to(second)
    world.sleep(1.5, 2.5)
    first.process.send(signal.SIGCONT)
    world.sleep(0.2, 0.5)
    for agent in moved:
        agent.move_to(first)
    return world.fleet


def kill_database(world: World) -> list[Agent]:
    world.sleep(0, 0.3)
    world.database.kill()
    world.sleep(0.5, 2)
    world.database.start()
    return world.fleet


def pause_database(world: World) -> list[Agent]:
    """Nothing is refused, nothing answers."""
    world.database.pause()
    world.sleep(1, 2)
    world.database.go_on()
    return world.fleet


def kill_redis(world: World) -> list[Agent]:
    """Twice in a row; samples must go on meanwhile."""
    for _ in range(2):
        world.cache.kill()
        world.fresh(world.fleet, within_s=PATIENCE_S)
        world.cache.start()
        world.sleep(0.2, 0.6)
    return world.fleet


def partition(world: World) -> list[Agent]:
    agents = some(world)
    for agent in agents:
        agent.line.set(world.rng.choice((Mode.BLACKHOLE, Mode.RESET)))
    world.sleep(0.5, world.longest_s)
    for agent in agents:
        agent.line.set(Mode.PASS)
    return agents


def overflow(world: World) -> list[Agent]:
    """Keep a line broken for longer than its agent's spool reaches back."""
    agent = world.agents[f"{FORGETFUL}.0"]
    agent.line.set(Mode.RESET)
    world.sleep(SPOOL_AGE_S + 1.5, SPOOL_AGE_S + 3)
    agent.line.set(Mode.PASS)
    return [agent]


def lose_acks(world: World) -> list[Agent]:
    agents = some(world)
    for agent in agents:
        agent.line.set(Mode.DEAF)
    world.sleep(1, 2)
    for agent in agents:
        agent.line.set(Mode.PASS)
    return agents


def repeat(world: World) -> list[Agent]:
    """Cut lines while COMMIT waits: the cursor that Welcome tells is behind."""
    agents = some(world)
    with slow_commit(world):
        world.sleep(0.3, 0.5)
        for agent in agents:
            agent.line.cut()
        world.sleep(1, 1.5)
    return agents


def slow_line(world: World) -> list[Agent]:
    agents = some(world)
    for agent in agents:
        agent.line.latency_s = world.rng.uniform(0.05, 0.3)
        agent.line.bandwidth = world.rng.choice((0, 4_000, 16_000))
    world.sleep(1.5, 2.5)
    for agent in agents:
        agent.line.latency_s, agent.line.bandwidth = 0.0, 0
    return agents


def shift_clocks(world: World) -> list[Agent]:
    agents = some(world)
    for shift_ms in (-HOUR_MS, HOUR_MS, -10 * YEAR_MS, 10 * YEAR_MS, 0):
        for agent in agents:
            agent.order("shift_ms", str(shift_ms))
        world.sleep(0.2, 0.4)
    return agents


def restart_rolling(world: World) -> list[Agent]:
    """SIGTERM each hub in turn; its agents come back by themselves."""
    for hub in world.hubs:
        hub.leave()
        hub.start()
        mine = [agent for agent in world.fleet if agent.hub is hub]
        world.fresh(mine, within_s=PATIENCE_S)
    return world.fleet


def rival(world: World) -> list[Agent]:
    """Two agents with one name: each newer stream ends the other's."""
    agent = world.fleet[0]
    name = f"{agent.machine}.1"
    if other := world.agents.get(name):
        (other.folder / "pause").unlink()
        other.start()
    else:
        other = world.recruit(agent.machine, hub=1, lane=1)
    other.away = True
    world.sleep(2, 4)
    # Each alone, for what it still has; its numbers say nothing to the other's.
    agent.process.stop()
    world.settle(other, within_s=PATIENCE_S)
    other.process.stop()
    agent.start()
    return [agent]


KINDS = (
    Kind("kill agents", kill_agents, Length(2, 67)),
    Kind("kill a hub", kill_hub, Length(1, 50)),
    Kind("kill a hub round COMMIT", kill_hub_at_commit, Length(1, 50)),
    Kind("stop a hub for a while", stop_hub, Length(1, 10)),
    Kind("two hubs, same samples", move_while_stopped, Length(1, 20)),
    Kind("kill the database", kill_database, Length(1, 20)),
    Kind("stop the database", pause_database, Length(1, 10)),
    Kind("kill Redis twice in a row", kill_redis, Length(1, 10)),
    Kind("partition", partition, Length(2, 40)),
    Kind("spool overflows", overflow, Length(1, 20)),
    Kind("lost acks only", lose_acks, Length(1, 20)),
    Kind("repeats on the wire", repeat, Length(1, 20)),
    Kind("slow line", slow_line, Length(1, 10)),
    Kind("clocks off", shift_clocks, Length(1, 10)),
    Kind("rolling restart", restart_rolling, Length(1, 10)),
    Kind("two agents, one name", rival, Length(1, 10)),
)


def some(world: World) -> list[Agent]:
    return world.rng.sample(world.fleet, 2)


@contextmanager
def slow_commit(world: World) -> Iterator[None]:
    """Hold every machine's cursor: transactions wait, nothing fails."""
    with psycopg.connect(world.database.url) as connection:
        connection.execute(
            "SELECT 1 FROM storage_cursor ORDER BY machine_id FOR UPDATE"
        )
        yield
        connection.rollback()
