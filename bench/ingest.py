"""What ingesting costs: CPU-seconds per million values, from the wire to COMMIT.

    python -m bench.ingest --saturated     each machine sends as fast as it is acked
    python -m bench.ingest --ticks         each machine sends one tick at a time

Simulated machines, each on a connection of its own, speak the real wire to a real
`grpcserve` on TimescaleDB (fsync on) and Redis. The clients' own CPU is not counted:
the hub's, PostgreSQL's and Redis's is, read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psycopg
import redis
from numpy.typing import NDArray
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.limits import DEFAULT_WINDOW

from bench.figures import spread
from hub.testing import hubs, services
from hub.testing.processes import Process, running

STREAM_METRICS = "/sysmonstm.v1.MetricsService/StreamMetrics"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 120
CONNECT_S = 0.004
BUDGET = "budget: <= 0.75 x VictoriaMetrics in the same minutes, see peers"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    machines: int
    series: int
    samples: int
    # Samples in one message; and seconds between messages, 0 = at once.
    per_message: int
    interval_s: float


@dataclass(slots=True)
class Machine:
    """A simulated agent: a window of samples under way, as the wire asks."""

    number: int
    load: Load
    start_ms: int
    sent_at: dict[int, float] = field(default_factory=dict)
    waits_ms: list[float] = field(default_factory=list)
    acked: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Yield the last number of each message with its bytes."""
        chance = np.random.default_rng(self.number)
        base = chance.random(self.load.series) * 100
        for first in range(0, self.load.samples, self.load.per_message):
            last = min(first + self.load.per_message, self.load.samples)
            noise = chance.normal(0, 2, (last - first, self.load.series))
            yield last, self._message(first, (base + noise).astype("<f4"))

    def _message(self, first: int, rows: NDArray[np.float32]) -> bytes:
        batch = pb.SampleBatch(
            samples=[
                pb.Sample(
                    sequence=first + n + 1,
                    time_unix_ms=self.start_ms
                    + (first + n) * (round(self.load.interval_s * 1000) or 5000),
                    layout=1,
                    values=row.tobytes(),
                )
                for n, row in enumerate(rows)
            ]
        )
        return pb.MetricsRequest(samples=batch).SerializeToString()

    async def run(self, port: int, ready: asyncio.Barrier) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            call: Any = channel.stream_stream(
                STREAM_METRICS, response_deserializer=pb.StreamAck.FromString
            )()
            await call.write(self._hello())
            await call.write(layout(self.load.series))
            await call.read()
            prepared = list(self.messages())
            await ready.wait()
            acks = asyncio.create_task(self._acks(call))
            await self._send(call, prepared)
            await asyncio.wait_for(acks, PATIENCE_S)
            call.cancel()

    async def _send(self, call: Any, prepared: list[tuple[int, bytes]]) -> None:
        interval_s = self.load.interval_s
        # Machines tick at moments of their own.
        next_at = time.perf_counter() + interval_s * self.number / self.load.machines
        for last, message in prepared:
            if interval_s:
                await asyncio.sleep(next_at - time.perf_counter())
                next_at += interval_s
            while last - self.acked > DEFAULT_WINDOW:
                self.room.clear()
                await self.room.wait()
            self.sent_at[last] = time.perf_counter()
            await call.write(message)

    async def _acks(self, call: Any) -> None:
        while self.acked < self.load.samples:
            message = await call.read()
            now = time.perf_counter()
            if message is grpc.aio.EOF or message.HasField("refusal"):
                raise SystemExit(f"bench: the hub said {message}")
            self.acked = max(self.acked, message.ack.committed_sequence)
            self.room.set()
            for last in [last for last in self.sent_at if last <= self.acked]:
                self.waits_ms.append((now - self.sent_at.pop(last)) * 1000)

    def _hello(self) -> bytes:
        said = pb.Hello(
            machine_id=f"machine-{self.number}",
            spool_epoch=os.urandom(16),
            interval_ms=5000,
        )
        return pb.MetricsRequest(hello=said).SerializeToString()


def layout(series: int) -> bytes:
    """Return the message that describes so many series."""
    names = [f"bench.metric_{n}" for n in range(series)]
    said = pb.Layout(
        id=1,
        metrics=[pb.Metric(name=n, unit="1", kind=pb.KIND_GAUGE) for n in names],
        series=[pb.Series(metric=n) for n in range(series)],
    )
    return pb.MetricsRequest(layout=said).SerializeToString()


@dataclass(frozen=True, slots=True)
class Meter:
    """The processes whose time is counted."""

    hub: int
    postmaster: int
    redis: int

    def read(self) -> dict[str, float]:
        return {
            "hub": cpu_s(self.hub),
            "postgres": family_cpu_s(self.postmaster),
            "redis": cpu_s(self.redis),
        }


def main(arguments: Sequence[str] = ()) -> None:
    options = parse(arguments)
    load = Load(
        machines=options.machines,
        series=options.series,
        samples=options.samples or (60 if options.ticks else 1000),
        per_message=1 if options.ticks else options.per_message,
        interval_s=options.interval if options.ticks else 0,
    )
    # A connection for each machine.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = stack.enter_context(services.postgres(durable=True))
        redis_url = stack.enter_context(services.redis())
        hub, port = stack.enter_context(serving(Path(folder), database, redis_url))
        with psycopg.connect(database, autocommit=True) as connection:
            meter = Meter(hub.pid, postmaster(connection), redis_pid(redis_url))
            asyncio.run(measure(load, port, meter))
            report_disk(connection, load)
        print(f"hub RSS {rss_mib(hub.pid):.0f} MiB   {BUDGET}")
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
        "--ticks": min(load.samples, 100),
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


async def measure(load: Load, port: int, meter: Meter) -> None:
    # Ticks are of now. A backlog lies in the past, within what the hub accepts.
    past_ms = 0 if load.interval_s else load.samples * 5000
    start_ms = int(time.time() * 1000) - past_ms
    machines = [Machine(n, load, start_ms) for n in range(load.machines)]
    ready = asyncio.Barrier(load.machines + 1)
    async with asyncio.TaskGroup() as group:
        for machine in machines:
            group.create_task(machine.run(port, ready))
            # As after a restart with back-off: not all in the same instant.
            await asyncio.sleep(CONNECT_S)
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        # Connecting and learning layouts is not what is measured.
        before, began = meter.read(), time.perf_counter()
    took_s = time.perf_counter() - began
    # What is written behind belongs to the cost.
    await asyncio.sleep(3)
    report(load, before, meter.read(), took_s)
    print("ack    ", spread([wait for m in machines for wait in m.waits_ms]))


def report(
    load: Load, before: dict[str, float], after: dict[str, float], took_s: float
) -> None:
    samples = load.machines * load.samples
    millions = samples * load.series / 1e6
    parts = {name: (after[name] - before[name]) / millions for name in before}
    shown = "  ".join(f"{name} {cost:.3f}" for name, cost in parts.items())
    print(
        f"{samples:,} samples, {millions:.2f} M values in {took_s:.1f} s: "
        f"{samples / took_s:,.0f} samples/s, {millions / took_s:.2f} M values/s"
    )
    print(f"CPU-s/M {sum(parts.values()):.3f}   ({shown})")


def report_disk(connection: psycopg.Connection[Any], load: Load) -> None:
    stored = connection.execute("SELECT count(*) FROM storage_sample").fetchone()
    if stored != (load.machines * load.samples,):
        raise SystemExit(f"bench: {stored} samples are stored")
    connection.execute("CHECKPOINT")
    found = connection.execute("SELECT hypertable_size('storage_sample')").fetchone()
    size = int(found[0]) if found and found[0] else 0
    values = load.machines * load.samples * load.series
    print(f"disk    {size / values:.2f} bytes a value, with the index")


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


if __name__ == "__main__":
    main(sys.argv[1:])
