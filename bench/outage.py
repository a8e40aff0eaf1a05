"""Does anybody cry wolf? A fleet on the real wire, and a hub that is away for real.

    python -m bench.outage [--machines 1000] [--away 300] [--cut 300] [--stopped 100]

Simulated agents stream to a real grpcserve; alertserve, worker and beat run beside it
on TimescaleDB and Redis, with the default rule for machines that are down and one
webhook. First all of the hub's processes are killed, and started again when the time
is over. Then some agents say goodbye, and others lose their network: nothing is
closed, nothing arrives. At last that comes back. Ends with 1 when the hub told
anything else than it should have.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import numpy as np
import psycopg
from sysmonstm_proto import metrics_pb2 as pb

from bench.agents import STREAM_METRICS, layout
from hub.rpc import room
from hub.testing import hubs, services
from hub.testing.blackhole import blackhole
from hub.testing.processes import Process, free_port, start
from hub.testing.progress import say

SERIES = 60
INTERVAL_S = 5.0
# As real agents do: again after a while, and not all at once.
PAUSE_S = 4.0
READY_S = 120
# The hub grants two minutes to come back, and the rule a minute of silence.
SETTLE_S = 200
TELL_S = 150
MANAGE = (sys.executable, str(hubs.ROOT / "manage.py"))
CELERY = (sys.executable, "-m", "celery", "--quiet", "--app=hub")
PROGRAMS = {
    "alertserve": (*MANAGE, "alertserve"),
    "worker": (*CELERY, "worker", "--concurrency=2", "--without-mingle"),
    "beat": (*CELERY, "beat", "--scheduler=celery.beat.Scheduler"),
}
SEED = """
from hub.alerts.models import Contact, Rule
Rule.objects.filter(kind="down").update(enabled=True)
to = Contact(name="pager", kind="webhook", may_reach_private=True)
to.reach({url!r})
to.save()
"""


@dataclass(slots=True)
class Agent:
    """Keeps what is not acknowledged, and comes back with it."""

    number: int
    port: int
    epoch: bytes = field(default_factory=lambda: os.urandom(16))
    produced: int = 0
    kept: dict[int, bytes] = field(default_factory=dict)
    is_welcome: bool = False
    stops: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        ticking = asyncio.create_task(self._tick())
        try:
            while not self.stops.is_set():
                try:
                    await self._connection()
                # The line broke, or the hub is away.
                except* (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    pass
                self.is_welcome = False
                await asyncio.sleep(random.uniform(0, PAUSE_S))
        finally:
            ticking.cancel()

    async def _tick(self) -> None:
        chance = np.random.default_rng(self.number)
        await asyncio.sleep(INTERVAL_S * chance.random())
        while not self.stops.is_set():
            self.produced += 1
            sample = pb.Sample(
                sequence=self.produced,
                time_unix_ms=time.time_ns() // 1_000_000,
                layout=1,
                values=chance.random(SERIES).astype("<f4").tobytes(),
            )
            self.kept[self.produced] = sample.SerializeToString()
            await asyncio.sleep(INTERVAL_S)

    async def _connection(self) -> None:
        # A host that is gone is noticed by pings: as real agents have them.
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        where = f"127.0.0.1:{self.port}"
        async with grpc.aio.insecure_channel(where, options) as channel:
            call: Any = channel.stream_stream(
                STREAM_METRICS, response_deserializer=pb.StreamAck.FromString
            )()
            await call.write(self._hello())
            await call.write(layout(SERIES))
            answer = await call.read()
            if answer is grpc.aio.EOF or not answer.HasField("welcome"):
                return
            self.is_welcome = True
            self._forget(answer.welcome.committed_sequence)
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(call))
                await self._hear(call)
                sending.cancel()

    def _hello(self) -> bytes:
        hello = pb.Hello(
            machine_id=f"machine-{self.number}",
            spool_epoch=self.epoch,
            clock_unix_ms=time.time_ns() // 1_000_000,
            interval_ms=int(INTERVAL_S * 1000),
        )
        return pb.MetricsRequest(hello=hello).SerializeToString()

    async def _send(self, call: Any) -> None:
        sent = 0
        while not self.stops.is_set():
            new = [number for number in self.kept if number > sent]
            if new:
                samples = [pb.Sample.FromString(self.kept[n]) for n in new[:64]]
                batch = pb.SampleBatch(samples=samples)
                await call.write(pb.MetricsRequest(samples=batch).SerializeToString())
                sent = new[:64][-1]
            await asyncio.sleep(0.2)
        bye = pb.Goodbye(reason="stopped")
        await call.write(pb.MetricsRequest(goodbye=bye).SerializeToString())
        await call.done_writing()

    async def _hear(self, call: Any) -> None:
        while (answer := await call.read()) is not grpc.aio.EOF:
            if answer.HasField("ack"):
                self._forget(answer.ack.committed_sequence)

    def _forget(self, until: int) -> None:
        for number in [number for number in self.kept if number <= until]:
            del self.kept[number]


@dataclass(slots=True)
class Hub:
    """Its processes: killed and started again, on the same port."""

    folder: Path
    env: dict[str, str]
    port: int
    processes: list[Process] = field(default_factory=list)

    def start(self) -> None:
        serve = (*MANAGE, "grpcserve", "--port", str(self.port))
        for name, program in {"grpcserve": serve, **PROGRAMS}.items():
            log = self.folder / f"{name}.{time.monotonic():.0f}.log"
            process = start(
                *(*hubs.BOUND, *program), log=log, env=self.env, cwd=hubs.ROOT
            )
            self.processes.append(process)
        self.processes[0].wait_for_line("grpc.listening", within_s=READY_S)

    def kill(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.stop()
        self.processes.clear()


@dataclass(slots=True)
class Inbox:
    """What the webhook was told: the reasons of each message's alerts."""

    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)

    def said(self, since: int) -> list[str]:
        found = []
        for one in self.messages[since:]:
            reasons = [alert["reason"] for alert in one["alerts"]]
            told = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
            found.append(", ".join(f"{n} {reason}" for reason, n in told.items()))
        return found


@contextmanager
def inbox() -> Iterator[Inbox]:
    made = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            made.messages.append(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: what came is told at the end."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(slots=True)
class Course:
    """One run: what happens, what was expected, what came of it."""

    hub: Hub
    told: Inbox
    store: psycopg.Connection[Any]
    wrong: int = 0

    def expect(self, what: str, found: object, wanted: object) -> None:
        is_well = found == wanted
        self.wrong += not is_well
        end = "" if is_well else f"   WRONG: {wanted} were expected"
        say(f"   {what}: {found}{end}")

    def count(self, query: str) -> int:
        found = self.store.execute(query.encode()).fetchone()
        return int(found[0]) if found else 0

    async def until_welcome(self, agents: Sequence[Agent]) -> None:
        began = time.monotonic()
        # Those who have not noticed yet that the hub was gone are not.
        await asyncio.sleep(1)
        while not all(agent.is_welcome for agent in agents):
            if time.monotonic() - began > READY_S:
                here = sum(agent.is_welcome for agent in agents)
                raise SystemExit(f"bench: {here} of {len(agents)} are welcome")
            await asyncio.sleep(0.1)
        took_s = time.monotonic() - began
        say(f"   all {len(agents)} agents welcome within {took_s:.1f} s")

    async def hub_away(self, agents: Sequence[Agent], away_s: float) -> None:
        say(f"-- the hub's processes are killed, and away for {away_s:g} s")
        self.hub.kill()
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.hub.start)
        await self.until_welcome(agents)
        await asyncio.sleep(SETTLE_S)
        kept = sum(len(agent.kept) > 3 for agent in agents)
        self.expect("alerts", self.count("SELECT count(*) FROM alerts_alert"), 0)
        markers = self.count("SELECT count(*) FROM alerts_blindness")
        self.expect("markers that the hub was blind", markers, 1)
        self.expect("messages", self.told.said(0), [])
        self.expect("agents with a backlog", kept, 0)

    async def agents_away(
        self, stopped: Sequence[Agent], cut: Sequence[Agent], proxy: Any
    ) -> None:
        say(f"-- {len(stopped)} agents stop as planned, {len(cut)} lose their network")
        for agent in stopped:
            agent.stops.set()
        proxy.go_silent()
        await asyncio.sleep(TELL_S)
        opened = self.count("SELECT count(*) FROM alerts_alert")
        self.expect("alerts", opened, len(cut))
        self.expect("messages", self.told.said(0), [f"{len(cut)} opened"])
        say("-- their network is back")
        proxy.speak_again()
        await asyncio.sleep(TELL_S)
        firing = "SELECT count(*) FROM alerts_alert WHERE state = 'firing'"
        self.expect("alerts still firing", self.count(firing), 0)
        self.expect("messages since", self.told.said(1), [f"{len(cut)} resolved"])
        planned = "SELECT count(*) FROM machines_machine WHERE left_at IS NOT NULL"
        self.expect("machines stopped as planned", self.count(planned), len(stopped))


async def run(course: Course, told: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(blackhole(course.hub.port))
        agents = [
            Agent(number, proxy.port if number < told.cut else course.hub.port)
            for number in range(told.machines)
        ]
        tasks = [asyncio.create_task(agent.run()) for agent in agents]
        try:
            await course.until_welcome(agents)
            await asyncio.sleep(60)
            await course.hub_away(agents, told.away)
            stopped = agents[told.cut : told.cut + told.stopped]
            await course.agents_away(stopped, agents[: told.cut], proxy)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--away", type=float, default=300, help="seconds")
    parser.add_argument("--cut", type=int, default=300)
    parser.add_argument("--stopped", type=int, default=100)
    told = parser.parse_args(arguments)
    room.make()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(services.postgres(durable=True))
        env = hubs.environment(
            DATA_DIR=str(folder),
            TIMESCALE_URL=database,
            REDIS_URL=stack.enter_context(services.redis()),
            LOG_LEVEL="INFO",
        )
        post = stack.enter_context(inbox())
        seed = f"import django; django.setup(); {SEED.format(url=post.url)}"
        env["DJANGO_SETTINGS_MODULE"] = "hub.settings"
        for command in ((*MANAGE, "migrate", "-v0"), (sys.executable, "-c", seed)):
            subprocess.run(command, env=env, cwd=hubs.ROOT, check=True)
        hub = Hub(folder, env, free_port())
        stack.callback(hub.kill)
        hub.start()
        store = stack.enter_context(psycopg.connect(database, autocommit=True))
        course = Course(hub, post, store)
        asyncio.run(run(course, told))
    raise SystemExit(1 if course.wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
