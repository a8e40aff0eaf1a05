"""Sample taken -> the same sample in a WebSocket frame, with real agents.

    python -m bench.latency [embedded|production|crowd] [--agents 5] [--seconds 60]

Everything runs on this machine, so that one clock is read at both ends. In a crowd
the agents are five of a thousand: the others are simulated, a sample each 5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import connect

from bench.agents import Agent, Load
from bench.figures import spread
from bench.ingest import CONNECT_S, serving
from hub.events.ending import end
from hub.rpc import room
from hub.testing import hubs, services
from hub.testing.processes import free_port, running

BUDGET = "budget: p50 <= 150 ms, p99 <= 500 ms"

# The first samples meet a hub that has just started.
WARM_UP_S = 5.0

# How the machines are called whose samples are timed.
OURS = "bench-"
# Between two samples of those beside them.
INTERVAL_S = 5.0

MAKE_TOKEN = ("manage.py", "apitoken", "create", "bench")


@dataclass(frozen=True, slots=True)
class Hub:
    web: str
    grpc: str
    # Of a person, for the WebSocket.
    token: str
    # What agents are told besides.
    way_in: Mapping[str, str] = field(default_factory=dict)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(STARTS))
    parser.add_argument("--agents", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--beside", type=int, default=1000, help="of a crowd")
    options = parser.parse_args(arguments)
    for kind in options.kinds:
        beside = options.beside if kind == "crowd" else 0
        taken = run(kind, options.agents, options.seconds, beside)
        print(f"{kind:<10}  {spread(taken)}  {BUDGET}", flush=True)


def run(kind: str, agents: int, seconds: float, beside: int) -> list[float]:
    """Return the age in ms of every sample when its frame arrived."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hub = stack.enter_context(STARTS[kind](folder))
        for number in range(agents):
            name, log = f"{OURS}{number}", folder / f"agent-{number}.log"
            stack.enter_context(hubs.agent(hub.grpc, name, log, **hub.way_in))
            # Real agents do not tick together.
            time.sleep(1 / agents)
        return asyncio.run(watch(hub, seconds, beside))


@contextmanager
def embedded(folder: Path) -> Iterator[Hub]:
    with hubs.first_start(folder / "var", LOG_LEVEL="INFO") as hub:
        yield Hub(hub.web, hub.grpc, make_token(folder, DATA_DIR=str(folder / "var")))


def make_token(folder: Path, **settings: str) -> str:
    """Make an API token at the hub with these settings."""
    return subprocess.run(
        [sys.executable, hubs.ROOT / MAKE_TOKEN[0], *MAKE_TOKEN[1:]],
        env=hubs.environment(**settings),
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()


@contextmanager
def production(folder: Path) -> Iterator[Hub]:
    with hubs.production(folder) as hub, ExitStack() as stack:
        hub.finish("migrate")
        for name, port in (("grpcserve", hub.grpc_port), ("web", hub.http_port)):
            process = stack.enter_context(hub.run(name))
            process.wait_for_port(port, within_s=hubs.READY_S)
        token = hub.finish("web", "python", *MAKE_TOKEN).strip()
        web = f"http://127.0.0.1:{hub.http_port}"
        yield Hub(web, f"127.0.0.1:{hub.grpc_port}", token, hub.way_in())


@contextmanager
def crowd(folder: Path) -> Iterator[Hub]:
    """The same processes in plain text, which is what simulated agents speak."""
    room.make()
    with services.postgres(durable=True) as database, services.redis() as redis_url:
        settings = {
            "DATA_DIR": str(folder),
            "TIMESCALE_URL": database,
            "REDIS_URL": redis_url,
        }
        port = free_port()
        daphne = ("daphne", "-b", "127.0.0.1", "-p", str(port), "hub.asgi:application")
        with (
            serving(folder, database, redis_url) as (_, grpc_port),
            running(
                *(sys.executable, "-m", *daphne),
                log=folder / "web.log",
                env=hubs.environment(PYTHONPATH=str(hubs.ROOT), **settings),
                cwd=folder,
            ) as web,
        ):
            web.wait_for_port(port, within_s=hubs.READY_S)
            token = make_token(folder, **settings)
            yield Hub(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}", token)


STARTS = {"embedded": embedded, "production": production, "crowd": crowd}


async def watch(hub: Hub, seconds: float, beside: int) -> list[float]:
    """Listen beside so many simulated agents."""
    turns = math.ceil((WARM_UP_S + seconds) / INTERVAL_S) + 1
    load = Load(beside, 60, turns, 1, INTERVAL_S)
    port, now_ms = int(hub.grpc.rpartition(":")[2]), int(time.time() * 1000)
    gate = asyncio.Barrier(beside + 1)
    others = []
    for number in range(beside):
        agent = Agent(number, load, now_ms)
        others.append(asyncio.create_task(agent.run(port, gate)))
        await asyncio.sleep(CONNECT_S)
    try:
        await gate.wait()
        return await listen(hub.web, hub.token, seconds)
    finally:
        await end(others)


async def listen(web: str, token: str, seconds: float) -> list[float]:
    taken: list[float] = []
    async with connect(
        f"{web.replace('http', 'ws')}/ws?view=summary",
        additional_headers={"Authorization": f"Bearer {token}"},
    ) as socket:
        start = time.monotonic() + WARM_UP_S
        while time.monotonic() < start + seconds:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 30))
            now_ms = time.time() * 1000
            await socket.send(json.dumps({"type": "ack", "n": frame["n"]}))
            if frame["type"] == "changes" and time.monotonic() >= start:
                taken += [
                    now_ms - machine["time"]
                    for machine in frame["machines"]
                    if machine["id"].startswith(OURS)
                ]
    return taken


if __name__ == "__main__":
    main(sys.argv[1:])
