"""What ingesting costs: CPU-seconds per million values, from the wire to COMMIT.

    python -m bench.ingest --saturated     each machine sends as fast as it is acked
    python -m bench.ingest --ticks         each machine sends one tick at a time
    python -m bench.ingest --ticks --interval 5 --machines 5000 --samples 12
                                           how many agents one hub holds

Simulated machines, each on a connection of its own, speak the real wire to a real
`grpcserve` on TimescaleDB (fsync on) and Redis. The clients' own CPU is not counted:
the hub's, PostgreSQL's and Redis's is, read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from bench.agents import Agent, Load
from bench.figures import spread
from bench.meter import Meter, postmaster, redis_pid, rss_mib
from hub.rpc import room
from hub.testing import hubs, services
from hub.testing.processes import Process, running

PATIENCE_S = 120
CONNECT_S = 0.004
# Its start and what it writes behind would weigh too much over fewer.
PEER_TICKS = 60
BUDGET = "budget: <= 0.75 x VictoriaMetrics in the same minutes, see peers"


def main(arguments: Sequence[str] = ()) -> None:
    options = parse(arguments)
    load = Load(
        machines=options.machines,
        series=options.series,
        samples=options.samples or (60 if options.ticks else 1000),
        per_message=1 if options.ticks else options.per_message,
        interval_s=options.interval if options.ticks else 0,
    )
    room.make()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = stack.enter_context(services.postgres(durable=True))
        redis_url = stack.enter_context(services.redis())
        served = []
        for number in range(options.hubs):
            place = Path(folder) / str(number)
            place.mkdir()
            served.append(stack.enter_context(serving(place, database, redis_url)))
        pids = [hub.pid for hub, _ in served]
        with psycopg.connect(database, autocommit=True) as connection:
            meter = Meter(pids, postmaster(connection), redis_pid(redis_url))
            uvloop.run(measure(load, [port for _, port in served], meter))
            report_stored(connection, load)
        sizes = " + ".join(f"{rss_mib(pid):.0f}" for pid in pids)
        print(f"hub RSS {sizes} MiB   {BUDGET}")
    if options.peers:
        measure_peers(options.peers, load)


def measure_peers(script: str, load: Load) -> None:
    """Let the script measure VictoriaMetrics with our shape of load, just now."""
    command = shlex.split(script)
    if len(command) == 1:
        command.insert(0, sys.executable)
    sizes = {
        "--machines": load.machines,
        "--series": load.series,
        "--ticks": min(max(load.samples, PEER_TICKS), 100),
        # One machine a request, as agents send; or as a scraper gathers them.
        "--machines-per-request": 1 if load.interval_s else 50,
    }
    arguments = [str(part) for pair in sizes.items() for part in pair]
    sys.stdout.flush()
    subprocess.run([*command, "victoriametrics", *arguments], check=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--saturated", action="store_true", help="(the default)")
    mode.add_argument("--ticks", action="store_true")
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--series", type=int, default=60)
    parser.add_argument("--samples", type=int, default=0, help="by each machine")
    parser.add_argument("--per-message", type=int, default=64)
    parser.add_argument("--interval", type=float, default=1.0, help="of --ticks, s")
    parser.add_argument("--hubs", type=int, default=1, help="processes, a port each")
    parser.add_argument(
        "--peers",
        default=os.environ.get("PEERS", ""),
        help="a script that measures other databases, run with the same load",
    )
    return parser.parse_args(arguments)


@contextmanager
def serving(
    folder: Path, database: str, redis_url: str
) -> Iterator[tuple[Process, int]]:
    env = hubs.environment(
        DATA_DIR=str(folder),
        TIMESCALE_URL=database,
        REDIS_URL=redis_url,
        LOG_LEVEL="INFO",
    )
    manage = (sys.executable, str(hubs.ROOT / "manage.py"))
    subprocess.run([*manage, "migrate", "-v0"], env=env, cwd=folder, check=True)
    with running(
        *(*manage, "grpcserve", "--port", "0"),
        log=folder / "grpcserve.log",
        env=env,
        cwd=folder,
        within_s=20,
    ) as process:
        process.wait_for_line("grpc.listening", within_s=30)
        yield process, hubs.event(process, "grpc.listening")["port"]


async def measure(load: Load, ports: Sequence[int], meter: Meter) -> None:
    # Ticks are of now. A backlog lies in the past, within what the hub accepts.
    past_ms = 0 if load.interval_s else load.samples * 5000
    start_ms = int(time.time() * 1000) - past_ms
    agents = [Agent(n, load, start_ms) for n in range(load.machines)]
    gate = asyncio.Barrier(load.machines + 1)
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.run(ports[agent.number % len(ports)], gate))
            # As after a restart with back-off: not all in the same instant.
            await asyncio.sleep(CONNECT_S)
        await asyncio.wait_for(gate.wait(), PATIENCE_S)
        # Connecting and learning layouts is not what is measured, nor is leaving.
        before, began = meter.read(), time.perf_counter()
        await gate.wait()
        took_s = time.perf_counter() - began
        # What is written behind belongs to the cost.
        await asyncio.sleep(3)
        report(load, before, meter.read(), took_s)
        await gate.wait()
    print("ack    ", spread([wait for agent in agents for wait in agent.waits_ms]))
    print(f"lines   {sum(agent.breaks for agent in agents)} broke")


def report(
    load: Load, before: dict[str, float], after: dict[str, float], took_s: float
) -> None:
    samples = load.machines * load.samples
    millions = samples * load.series / 1e6
    parts = {name: (after[name] - before[name]) / millions for name in before}
    shown = "  ".join(f"{name} {cost:.3f}" for name, cost in parts.items())
    cores = sum(after[name] - before[name] for name in before) / took_s
    print(
        f"{samples:,} samples, {millions:.2f} M values in {took_s:.1f} s: "
        f"{samples / took_s:,.0f} samples/s, {millions / took_s:.2f} M values/s"
    )
    print(f"CPU-s/M {sum(parts.values()):.3f}   ({shown})   {cores:.2f} of a core")


def report_stored(connection: psycopg.Connection[Any], load: Load) -> None:
    produced = load.machines * load.samples
    [(stored,)] = connection.execute("SELECT count(*) FROM storage_sample").fetchall()
    print(f"lost    {produced - stored} of {produced:,}")
    if stored != produced:
        raise SystemExit(f"bench: {stored:,} samples are stored")
    values = stored * load.series
    rows, index = sizes(connection)
    print(
        f"disk    {(rows + index) / values:.2f} bytes a value"
        f"  (rows {rows / values:.2f}  index {index / values:.2f})"
    )


def sizes(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Return what the rows and their index take, bytes."""
    connection.execute("CHECKPOINT")
    [(rows, index)] = connection.execute(
        "SELECT total_bytes - index_bytes, index_bytes"
        " FROM hypertable_detailed_size('storage_sample')"
    ).fetchall()
    return int(rows), int(index)


if __name__ == "__main__":
    main(sys.argv[1:])
