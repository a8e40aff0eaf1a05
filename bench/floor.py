"""The least that a Python program with grpc can cost: one vector, again and again.

    python bench/floor.py HUB MACHINE INTERVAL_S SERIES

It measures nothing and keeps nothing; what an agent costs beyond it is the agent's
own. `bench.agent` runs it beside one.
"""

# ruff: noqa: E402 (see below)

from __future__ import annotations

import os
import sys

# Both as the agent does: see `sysmonstm_agent.service`.
sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client")

import asyncio
import time
from array import array

from grpc import aio
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceStub

QUIET = (("grpc.keepalive_time_ms", 30_000), ("grpc.http2.bdp_probe", 0))


async def main(hub: str, machine: str, interval_s: float, series: int) -> None:
    async with aio.insecure_channel(hub, QUIET) as channel:
        call = MetricsServiceStub(channel).StreamMetrics()
        hearing = asyncio.create_task(hear(call))
        hello = pb.Hello(
            machine_id=machine,
            agent_version="floor",
            spool_epoch=os.urandom(16),
            interval_ms=round(interval_s * 1000),
        )
        await call.write(pb.MetricsRequest(hello=hello))
        await call.write(pb.MetricsRequest(layout=layout(series)))
        for sequence in range(1, sys.maxsize):
            sample = pb.Sample(
                sequence=sequence,
                time_unix_ms=int(time.time() * 1000),
                layout=1,
                values=array("f", [float(sequence)] * series).tobytes(),
            )
            batch = pb.SampleBatch(samples=[sample])
            await call.write(pb.MetricsRequest(samples=batch))
            await asyncio.wait({hearing}, timeout=interval_s)
            if hearing.done():
                await hearing
                sys.exit("the hub ended the stream")


async def hear(call: aio.StreamStreamCall[pb.MetricsRequest, pb.StreamAck]) -> None:
    async for answer in call:
        if answer.HasField("refusal"):
            sys.exit(f"the hub refuses: {answer.refusal.detail}")


def layout(series: int) -> pb.Layout:
    return pb.Layout(
        id=1,
        metrics=[pb.Metric(name="floor.value", unit="1", kind=pb.KIND_GAUGE)],
        series=[
            pb.Series(metric=0, attributes={"number": str(n)}) for n in range(series)
        ],
    )


if __name__ == "__main__":
    address, name, seconds, count = sys.argv[1:]
    asyncio.run(main(address, name, float(seconds), int(count)))
