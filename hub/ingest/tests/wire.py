"""Messages as an agent would send them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence

from sysmonstm_proto import metrics_pb2 as pb

EPOCH = bytes(range(16))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def vector(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def hello(machine_id: str = "web-1", epoch: bytes = EPOCH) -> pb.MetricsRequest:
    return pb.MetricsRequest(
        hello=pb.Hello(
            machine_id=machine_id,
            agent_version="1.0",
            os="Debian GNU/Linux 12 (bookworm)",
            spool_epoch=epoch,
            clock_unix_ms=now_ms(),
            interval_ms=5000,
        )
    )


def layout(*mounts: str, id: int = 1) -> pb.MetricsRequest:
    return pb.MetricsRequest(
        layout=pb.Layout(
            id=id,
            metrics=[
                pb.Metric(
                    name="system.filesystem.utilization",
                    unit="1",
                    kind=pb.KIND_GAUGE,
                    help="Share of the filesystem that is used.",
                )
            ],
            series=[
                pb.Series(metric=0, attributes={"mountpoint": mount})
                for mount in mounts
            ],
        )
    )


def sample(
    sequence: int,
    *values: float,
    layout: int = 1,
    time_ms: int | None = None,
    raw: bytes | None = None,
) -> pb.Sample:
    return pb.Sample(
        sequence=sequence,
        time_unix_ms=now_ms() if time_ms is None else time_ms,
        layout=layout,
        values=vector(*values) if raw is None else raw,
    )


def samples(*batch: pb.Sample) -> pb.MetricsRequest:
    return pb.MetricsRequest(samples=pb.SampleBatch(samples=batch))


def ticks(sequences: Iterable[int], values: Sequence[float]) -> pb.MetricsRequest:
    """One sample for each number, a second apart and all in the past."""
    start = now_ms() - 100_000
    return samples(*(sample(n, *values, time_ms=start + n * 1000) for n in sequences))
