"""What a restart of the hub is like: every agent connects in the same instant.

    python -m bench.storm --machines 1000

Each simulated agent says Hello, and tries again with jitter when it is refused, as
real ones do. Reported is how long it takes until all are welcome, the first time
(machines unknown) and the second (the hub was restarted).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from sysmonstm_proto import metrics_pb2 as pb

from bench.agents import STREAM_METRICS, layout
from bench.figures import spread
from bench.ingest import serving
from bench.meter import cpu_s
from hub.rpc import room
from hub.testing import services

BUDGET = "budget: all within 30 s"
PATIENCE_S = 60
PAUSE_S = 2.0


async def connect(
    port: int, number: int, epoch: bytes, errors: Counter[str], all_in: asyncio.Barrier
) -> float:
    """Say Hello until welcome; return how long that took, when all are."""
    began = time.perf_counter()
    hello = pb.Hello(machine_id=f"machine-{number}", spool_epoch=epoch)
    while True:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            call: Any = channel.stream_stream(
                STREAM_METRICS, response_deserializer=pb.StreamAck.FromString
            )()
            try:
                await call.write(pb.MetricsRequest(hello=hello).SerializeToString())
                await call.write(layout(60))
                answer = await call.read()
                if answer is not grpc.aio.EOF and answer.HasField("welcome"):
                    took_s = time.perf_counter() - began
                    await all_in.wait()
                    return took_s
                errors["no welcome"] += 1
            except grpc.aio.AioRpcError as error:
                errors[f"{error.code().name}: {error.details()}"] += 1
        await asyncio.sleep(random.uniform(0, PAUSE_S))


async def storm(port: int, epochs: Sequence[bytes]) -> None:
    errors: Counter[str] = Counter()
    all_in = asyncio.Barrier(len(epochs))
    agents = [connect(port, n, epoch, errors, all_in) for n, epoch in enumerate(epochs)]
    try:
        waits = await asyncio.wait_for(asyncio.gather(*agents), PATIENCE_S)
    except TimeoutError:
        raise SystemExit(f"{all_in.n_waiting} were welcome; {errors}") from None
    print(f"all {len(waits)} welcome within {max(waits):.1f} s")
    print("welcome", spread([wait * 1000 for wait in waits]))
    for said, count in errors.most_common(5):
        print(f"  {count} x {said}")


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=1000)
    options = parser.parse_args(arguments)
    room.make()
    epochs = [os.urandom(16) for _ in range(options.machines)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = stack.enter_context(services.postgres(durable=True))
        redis_url = stack.enter_context(services.redis())
        for name in ("unknown", "known"):
            place = Path(folder) / name
            place.mkdir()
            with serving(place, database, redis_url) as (hub, port):
                before = cpu_s(hub.pid)
                print(f"-- machines {name}")
                asyncio.run(storm(port, epochs))
                print(f"hub CPU {cpu_s(hub.pid) - before:.1f} s   {BUDGET}")


if __name__ == "__main__":
    main(sys.argv[1:])
