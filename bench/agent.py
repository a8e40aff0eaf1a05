"""What an agent costs its machine, beside Prometheus' node_exporter.

    python -m bench.agent [--seconds 60] [--interval 5]

Two agents stream to a real hub: one as it is, one with everything on (see
`everything.py`). Then somebody opens the page of the second, and it is measured
again in live mode. node_exporter (Debian's prometheus-node-exporter, left out when
it is not installed) is scraped as often as the first samples. CPU and memory are
read from /proc, all threads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect

from bench.everything import LABEL, everything
from bench.latency import make_token
from hub.testing import hubs
from hub.testing.processes import Process, free_port, running

WARM_UP_S = 10.0
EVERYTHING = "everything on"
MACHINES = {"agent": "bench", EVERYTHING: "bench-everything"}
NOTES = {"agent": "budget: <= 0.1 % of a core, <= 36 MB", EVERYTHING: LABEL}


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_s: float
    memory_mb: float


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        hub = stack.enter_context(hubs.embedded(folder / "var"))
        programs = {
            "agent": stack.enter_context(agent(hub, folder, options.interval, {})),
            EVERYTHING: stack.enter_context(
                agent(
                    hub,
                    folder,
                    options.interval,
                    stack.enter_context(everything(folder)),
                )
            ),
        }
        exporter = stack.enter_context(node_exporter(folder))
        if exporter:
            programs["node_exporter"] = exporter[0]
        else:
            print("node_exporter is not installed: apt install", PACKAGE)
        scrape(exporter, options.interval, WARM_UP_S)
        measure(programs, lambda: scrape(exporter, options.interval, options.seconds))
        token = make_token(folder)
        live = {"live mode": programs[EVERYTHING]}
        measure(live, lambda: watch(hub.web, token, options.seconds))


def measure(programs: Mapping[str, Process], wait: Callable[[], float]) -> None:
    before = {name: cost(process.pid) for name, process in programs.items()}
    took_s = wait()
    for name, process in programs.items():
        report(name, before[name], cost(process.pid), took_s, NOTES.get(name, ""))


def watch(web: str, token: str, seconds: float) -> float:
    """Have the page of the second agent open for a while; return how long."""
    return asyncio.run(_watch(web, token, seconds))


async def _watch(web: str, token: str, seconds: float) -> float:
    frames = 0
    async with connect(
        f"{web.replace('http', 'ws')}/ws?view=full&machine={MACHINES[EVERYTHING]}",
        additional_headers={"Authorization": f"Bearer {token}"},
    ) as socket:
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 30))
            await socket.send(json.dumps({"type": "ack", "n": frame["n"]}))
            frames += 1
        took_s = time.monotonic() - started
    # Without the second of every sample this would not be live mode.
    print(f"{'':<14} {frames / took_s:.2f} frames a second while watched")
    return took_s


def report(name: str, before: Cost, after: Cost, took_s: float, note: str) -> None:
    percent = (after.cpu_s - before.cpu_s) / took_s * 100
    print(f"{name:<14} {percent:6.3f} % of a core  {after.memory_mb:5.1f} MB  {note}")


@contextmanager
def agent(
    hub: hubs.Embedded, folder: Path, interval_s: float, settings: Mapping[str, str]
) -> Iterator[Process]:
    name = EVERYTHING if settings else "agent"
    own = folder / MACHINES[name]
    own.mkdir()
    with hubs.agent(
        hub.grpc,
        MACHINES[name],
        own / "agent.log",
        COLLECTOR_COLLECTION_INTERVAL=f"{interval_s:g}",
        **settings,
    ) as process:
        yield process


PACKAGE = "prometheus-node-exporter"


@contextmanager
def node_exporter(folder: Path) -> Iterator[tuple[Process, str] | None]:
    if not shutil.which(PACKAGE):
        yield None
        return
    address = f"127.0.0.1:{free_port()}"
    with running(
        PACKAGE, f"--web.listen-address={address}", log=folder / "exporter.log"
    ) as process:
        process.wait_for_port(int(address.rpartition(":")[2]), within_s=10)
        yield process, f"http://{address}/metrics"


def scrape(
    exporter: tuple[Process, str] | None, interval_s: float, seconds: float
) -> float:
    """Let the time pass, asking the exporter once an interval; return it."""
    started = time.monotonic()
    while (left_s := started + seconds - time.monotonic()) > 0:
        if exporter:
            with urllib.request.urlopen(exporter[1], timeout=10) as answer:
                answer.read()
        time.sleep(min(interval_s, left_s))
    return time.monotonic() - started


def cost(pid: int) -> Cost:
    # In nanoseconds; /proc/PID/stat counts ticks of 10 ms, too coarse for either.
    spent_ns = sum(
        int((thread / "schedstat").read_text().split()[0])
        for thread in Path(f"/proc/{pid}/task").iterdir()
    )
    [resident] = [
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return Cost(spent_ns / 1e9, resident * 1024 / 1e6)


if __name__ == "__main__":
    main(sys.argv[1:])
