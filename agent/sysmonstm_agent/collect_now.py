"""A sample on demand, apart from those that are stored."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.layout import within_bounds
from sysmonstm_agent.metric import Reading
from sysmonstm_agent.sampler import Sampler
from sysmonstm_agent.wire import metric_message

# Rates need two readings.
APART_S = 1.0
# Of the answer, with room to spare for the framing.
MAX_BYTES = limits.MAX_MESSAGE_BYTES - 4096


def collect(
    machine_id: str,
    sampler: Sampler,
    *,
    apart_s: float = APART_S,
    sleep: Callable[[float], object] = time.sleep,
    wall: Callable[[], float] = time.time,
) -> pb.MachineState:
    """Measure with collectors that nobody else uses: takes as long as `apart_s`."""
    sampler.readings()
    sleep(apart_s)
    state = pb.MachineState(machine_id=machine_id, time_unix_ms=int(wall() * 1000))
    size = 0
    for reading in sampler.readings()[: limits.MAX_SERIES]:
        if math.isfinite(reading.value):
            message = _message(reading)
            size += message.ByteSize() + 8
            if size > MAX_BYTES:
                break
            state.readings.append(message)
    return state


def _message(reading: Reading) -> pb.Reading:
    metric, attributes = within_bounds(reading.series)
    return pb.Reading(
        metric=metric_message(metric),
        attributes=dict(attributes),
        value=reading.value,
    )
