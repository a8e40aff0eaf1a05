"""Sample taken -> the same sample in a WebSocket frame, with real agents.

    python -m bench.latency [embedded|production] [--agents 5] [--seconds 60]

Everything runs on this machine, so that one clock is read at both ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from websockets.asyncio.client import connect

from bench.figures import spread
from hub.testing import hubs

BUDGET = "budget: p50 <= 150 ms, p99 <= 500 ms"

# The first samples meet a hub that has just started.
WARM_UP_S = 5.0

MAKE_TOKEN = ("manage.py", "apitoken", "create", "bench")


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["embedded", "production"])
    parser.add_argument("--agents", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args(arguments)
    for kind in options.kinds:
        taken = run(kind, options.agents, options.seconds)
        print(f"{kind:<10}  {spread(taken)}  {BUDGET}", flush=True)


def run(kind: str, agents: int, seconds: float) -> list[float]:
    """Return the age in ms of every sample when its frame arrived."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = embedded if kind == "embedded" else production
        web, grpc, hub_token, token = stack.enter_context(start(folder))
        for number in range(agents):
            log = folder / f"agent-{number}.log"
            settings = {"COLLECTOR_TOKEN": hub_token}
            stack.enter_context(hubs.agent(grpc, f"bench-{number}", log, **settings))
            # Real agents do not tick together.
            time.sleep(1 / agents)
        return asyncio.run(listen(web, token, seconds))


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    with hubs.first_start(folder / "var", LOG_LEVEL="INFO") as hub:
        yield hub.web, hub.grpc, "", make_token(folder)


def make_token(folder: Path) -> str:
    """Make an API token at the hub that has its data in `var` there."""
    return subprocess.run(
        [sys.executable, hubs.ROOT / MAKE_TOKEN[0], *MAKE_TOKEN[1:]],
        env=hubs.environment(DATA_DIR=str(folder / "var")),
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()


@contextmanager
def production(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    with hubs.production(folder) as hub, ExitStack() as stack:
        hub.finish("migrate")
        for name, port in (("grpcserve", hub.grpc_port), ("web", hub.http_port)):
            process = stack.enter_context(hub.run(name))
            process.wait_for_port(port, within_s=hubs.READY_S)
        token = hub.finish("web", "python", *MAKE_TOKEN).strip()
        yield (
            f"http://127.0.0.1:{hub.http_port}",
            hub.way_in()["COLLECTOR_AGGREGATOR_URL"],
            hub.services["web"]["environment"]["AGENT_TOKEN"],
            token,
        )


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
                taken += [now_ms - machine["time"] for machine in frame["machines"]]
    return taken


if __name__ == "__main__":
    main(sys.argv[1:])
