"""What of ingestion's cost is gRPC's own: servers that do less of the hub's work.

    python -m bench.stages --machines 1000 --samples 20

Each stage serves the same call to the same simulated agents, one tick at a time, in
the same event loop with the same options as `grpcserve`:

    read      takes each message and answers only the last
    ack       acknowledges each message, in bursts, as after a COMMIT
    decode    and has parsed and checked it

What the hub adds to the last is COPY and COMMIT, hot state, events and the account.
`--plain` is gRPC as it comes: uvloop's own loop, and none of its experiments off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.limits import DEFAULT_WINDOW

from bench.agents import STREAM_METRICS, Load
from bench.ingest import measure
from bench.meter import Meter
from hub.rpc import room
from hub.rpc.wakes import Loop
from hub.testing import hubs
from hub.testing.processes import running
from manage import GRPC_EXPERIMENTS

STAGES = ("read", "ack", "decode")
# As long as the writer waits for others where there are many.
BURST_S = 0.2


def main(arguments: Sequence[str] = ()) -> None:
    options = parse(arguments)
    room.make()
    if options.serve:
        factory = uvloop.new_event_loop if options.plain else Loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve(options.serve, options.samples))
        return
    load = Load(options.machines, options.series, options.samples, 1, options.interval)
    for stage in [options.stage] if options.stage else STAGES:
        with serving(stage, load, is_plain=options.plain) as (pid, port):
            print(f"-- {stage}", flush=True)
            uvloop.run(measure(load, [port], Meter([pid], 0, 0)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--series", type=int, default=60)
    parser.add_argument("--samples", type=int, default=20, help="by each machine")
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--stage", choices=STAGES, help="only this one")
    parser.add_argument("--plain", action="store_true", help="gRPC as it comes")
    parser.add_argument("--serve", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.samples > DEFAULT_WINDOW:
        parser.error(f"--samples: {DEFAULT_WINDOW} at most; `read` acknowledges none")
    return options


@contextmanager
def serving(stage: str, load: Load, *, is_plain: bool) -> Iterator[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        env = hubs.environment(DATA_DIR=folder)
        if not is_plain:
            env["GRPC_EXPERIMENTS"] = GRPC_EXPERIMENTS
        flags = ["--plain"] if is_plain else []
        with running(
            *(sys.executable, "-m", "bench.stages", "--serve", stage),
            *("--samples", str(load.samples), *flags),
            log=Path(folder) / "log",
            env=env,
            cwd=hubs.ROOT,
            within_s=20,
        ) as process:
            process.wait_for_line("port ", within_s=30)
            yield process.pid, int(process.output().split("port ")[1].split()[0])


async def serve(stage: str, samples: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    import django

    django.setup()
    from hub.rpc.server import OPTIONS

    server = grpc.aio.server(options=OPTIONS)
    bursts = Bursts()
    served = Stage(stage, samples, bursts)
    handler = grpc.stream_stream_rpc_method_handler(
        served.stream,
        request_deserializer=served.deserializer,
        response_serializer=pb.StreamAck.SerializeToString,
    )
    service, _, method = STREAM_METRICS[1:].partition("/")
    methods: dict[str, Any] = {method: handler}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, methods),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"port {port}", flush=True)
    await bursts.run()


class Bursts:
    """Tells the streams how far they are, a few times a second."""

    def __init__(self) -> None:
        self._due: dict[Any, int] = {}

    def add(self, context: Any, reached: int) -> None:
        self._due[context] = reached

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BURST_S)
            due, self._due = self._due, {}
            told = (ack(context, reached) for context, reached in due.items())
            await asyncio.gather(*told, return_exceptions=True)


class Stage:
    """The hub's servicer with little in it."""

    def __init__(self, stage: str, samples: int, bursts: Bursts) -> None:
        parses = stage == "decode"
        self._samples, self._bursts = samples, bursts
        self._take = self._check if parses else self._count
        self._answers = stage != "read"
        self.deserializer = pb.MetricsRequest.FromString if parses else None

    async def stream(self, requests: object, context: Any) -> None:
        """Serve one agent; what comes first is Hello and Layout."""
        await context.read()
        await context.write(pb.StreamAck(welcome=pb.Welcome(window=DEFAULT_WINDOW)))
        await context.read()
        reached = 0
        while (request := await context.read()) is not grpc.aio.EOF:
            reached = self._take(request, reached)
            if self._answers or reached == self._samples:
                self._bursts.add(context, reached)

    def _count(self, request: Any, reached: int) -> int:
        return reached + 1

    def _check(self, request: Any, reached: int) -> int:
        from hub.ingest import decode

        size = len(request.samples.samples[0].values)
        return decode.samples(
            request.samples.samples,
            decode.Source(1, b""),
            {1: decode.Known(1, size)},
            last=reached,
            now_ms=time.time_ns() // 1_000_000,
        ).last


async def ack(context: Any, reached: int) -> None:
    await context.write(pb.StreamAck(ack=pb.Ack(committed_sequence=reached)))


if __name__ == "__main__":
    main(sys.argv[1:])
