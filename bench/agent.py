"""What an agent costs its machine, beside Prometheus' node_exporter.

    python -m bench.agent [--seconds 60] [--interval 5]

Two agents stream to a real hub: one as it is, one with everything on (see
`everything.py`). Then somebody opens the page of the second, and it is measured
again in live mode. Beside them runs `floor.py`, a Python program with grpc that only
sends, and node_exporter (Debian's prometheus-node-exporter, left out when it is not
installed), which is scraped as often as the first samples.

All of them run in a virtual environment that has what an agent needs and no more.
CPU and memory are read from /proc, all threads. "own" is memory that is this
process's alone; the rest are pages of files that the kernel may drop and share.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import importlib.util
import json
import shutil
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect

from bench.everything import LABEL, everything
from bench.latency import make_token
from hub.testing import hubs
from hub.testing.processes import Process, free_port, running

WARM_UP_S = 20.0
# What `pip install sysmonstm-agent` puts there.
PACKAGES = (
    *("sysmonstm_agent", "sysmonstm_proto", "grpc", "google", "psutil"),
    "typing_extensions",
)
FLOOR, FLOOR_SERIES = "floor", 80
EVERYTHING = "everything on"
MACHINES = {"agent": "bench", EVERYTHING: "bench-everything"}
NOTES = {
    "agent": "budget: <= 0.1 % of a core, <= 36 MB",
    EVERYTHING: LABEL,
    FLOOR: "Python with grpc that sends a vector, and does nothing else",
}


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_s: float
    memory_mb: float
    own_mb: float


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        hub = stack.enter_context(hubs.first_start(folder / "var"))
        python = alone(folder / "venv")
        programs = {
            "agent": stack.enter_context(
                agent(python, hub, folder, options.interval, {})
            ),
            EVERYTHING: stack.enter_context(
                agent(
                    python,
                    hub,
                    folder,
                    options.interval,
                    stack.enter_context(everything(folder)),
                )
            ),
            FLOOR: stack.enter_context(floor(python, hub, folder, options.interval)),
        }
        exporter = stack.enter_context(node_exporter(folder))
        if exporter:
            programs["node_exporter"] = exporter[0]
        else:
            print("node_exporter is not installed: apt install", PACKAGE)
        scrape(exporter, options.interval, WARM_UP_S)
        measure(programs, lambda: scrape(exporter, options.interval, options.seconds))
        token = make_token(folder, DATA_DIR=str(folder / "var"))
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
    print(
        f"{name:<14} {percent:6.3f} % of a core  {after.memory_mb:5.1f} MB"
        f" ({after.own_mb:4.1f} own)  {note}",
        flush=True,
    )


def alone(folder: Path) -> Path:
    """Make a virtual environment with only what an agent needs; return its Python.

    From this one's packages, so that nothing is fetched.
    """
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec, name
        if spec.submodule_search_locations:
            whole = Path(next(iter(spec.submodule_search_locations)))
            shutil.copytree(whole, packages / whole.name)
        else:
            shutil.copy(str(spec.origin), packages)
    # As pip does: to compile at each start costs memory for ever.
    compileall.compile_dir(packages, quiet=1)
    return folder / "bin" / "python"


@contextmanager
def agent(
    python: Path,
    hub: hubs.Embedded,
    folder: Path,
    interval_s: float,
    settings: Mapping[str, str],
) -> Iterator[Process]:
    name = EVERYTHING if settings else "agent"
    own = folder / MACHINES[name]
    own.mkdir()
    env = hubs.environment(
        COLLECTOR_AGGREGATOR_URL=hub.grpc,
        COLLECTOR_MACHINE_ID=MACHINES[name],
        COLLECTOR_COLLECTION_INTERVAL=f"{interval_s:g}",
        COLLECTOR_STATE_DIR=str(own),
        **settings,
    )
    command = (python, "-m", "sysmonstm_agent")
    with running(*command, log=own / "agent.log", env=env) as process:
        yield process


@contextmanager
def floor(
    python: Path, hub: hubs.Embedded, folder: Path, interval_s: float
) -> Iterator[Process]:
    words = (hub.grpc, "bench-floor", f"{interval_s:g}", str(FLOOR_SERIES))
    command = (python, Path(__file__).with_name("floor.py"), *words)
    with running(*command, log=folder / "floor.log", env=hubs.environment()) as process:
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
    status = Path(f"/proc/{pid}/status").read_text()
    resident, own = (
        int(line.split()[1]) * 1024 / 1e6
        for name in ("VmRSS:", "RssAnon:")
        for line in status.splitlines()
        if line.startswith(name)
    )
    return Cost(spent_ns / 1e9, resident, own)


if __name__ == "__main__":
    main(sys.argv[1:])
