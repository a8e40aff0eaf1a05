"""What an agent costs its machine, beside Prometheus' node_exporter.

    python -m bench.agent [--seconds 60] [--interval 5]

The agent streams to a real hub; node_exporter (Debian's prometheus-node-exporter,
left out when it is not installed) is scraped as often. CPU and memory are read
from /proc, all threads.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.testing import hubs
from hub.testing.processes import Process, free_port, running

WARM_UP_S = 10.0
BUDGET = "budget: <= 0.1 % of a core, <= 36 MB"


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_s: float
    memory_mb: float


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours = stack.enter_context(agent(Path(folder), options.interval))
        theirs = stack.enter_context(node_exporter(Path(folder)))
        scrape(theirs, options.interval, WARM_UP_S)
        before = cost(ours.pid), theirs and cost(theirs[0].pid)
        took_s = scrape(theirs, options.interval, options.seconds)
        report("agent", before[0], cost(ours.pid), took_s, BUDGET)
        if theirs and before[1]:
            report("node_exporter", before[1], cost(theirs[0].pid), took_s, "")
        else:
            print("node_exporter is not installed: apt install", PACKAGE)


def report(name: str, before: Cost, after: Cost, took_s: float, note: str) -> None:
    percent = (after.cpu_s - before.cpu_s) / took_s * 100
    print(f"{name:<14} {percent:6.3f} % of a core  {after.memory_mb:5.1f} MB  {note}")


@contextmanager
def agent(folder: Path, interval_s: float) -> Iterator[Process]:
    with (
        hubs.embedded(folder / "var") as hub,
        hubs.agent(
            hub.grpc,
            "bench",
            folder / "agent.log",
            COLLECTOR_COLLECTION_INTERVAL=f"{interval_s:g}",
        ) as process,
    ):
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
