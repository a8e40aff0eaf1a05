"""The newest sample of a machine, as programs ask for it over gRPC."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from sysmonstm_proto import metrics_pb2 as pb

from hub.machines.models import Machine
from hub.storage import layouts, states
from hub.storage.layouts import SeriesInfo
from hub.storage.sample import StoredSample

KINDS = {"gauge": pb.KIND_GAUGE, "counter": pb.KIND_COUNTER}


def newest(machines: Iterable[Machine]) -> list[pb.MachineState]:
    """Return the states of those machines that have one, by machine_id. Blocking."""
    wanted = sorted(machines, key=lambda machine: machine.machine_id)
    samples = states.latest(wanted)
    return [
        _state(machine.machine_id, samples[machine.pk])
        for machine in wanted
        if machine.pk in samples
    ]


def _state(machine_id: str, sample: StoredSample) -> pb.MachineState:
    series = layouts.get(sample.layout).series
    return pb.MachineState(
        machine_id=machine_id,
        time_unix_ms=sample.time_ms,
        received_unix_ms=sample.received_ms,
        readings=_readings(series, sample.values),
    )


def _readings(series: Iterable[SeriesInfo], values: bytes) -> Iterator[pb.Reading]:
    vector = np.frombuffer(values, "<f4").tolist()
    for info, value in zip(series, vector, strict=True):
        if math.isfinite(value):
            yield pb.Reading(
                metric=pb.Metric(
                    name=info.metric,
                    unit=info.unit,
                    kind=KINDS.get(info.kind, pb.KIND_UNSPECIFIED),
                    help=info.help,
                ),
                attributes=dict(info.attributes),
                value=value,
            )
