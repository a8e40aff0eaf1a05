"""The wire becomes values that travel: layouts and samples, checked.

Pure. A layout out of bounds is refused as a whole (BadLayout): the agent is
broken and nothing that refers to it has a meaning. A sample is refused alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest import text
from hub.storage.layouts import SeriesInfo
from hub.storage.raw import Incoming, RefusedAt
from hub.storage.sample import StoredSample

# Sequence numbers are kept as a signed 64-bit number.
MAX_SEQUENCE = 2**63 - 1
MAX_METRICS = limits.MAX_SERIES

KINDS: Mapping[int, str] = {pb.KIND_GAUGE: "gauge", pb.KIND_COUNTER: "counter"}


class BadLayout(ValueError):
    """A layout that breaks the contract (permanent)."""


class Refused(NamedTuple):
    """One sample that will never be stored, and why."""

    sequence: int
    reason: pb.RefusalReason.ValueType
    detail: str


@dataclass(slots=True)
class Known:
    """A layout of a stream: its number, and how long its vectors are.

    A provisional number becomes the stored one, for all streams at once.
    """

    id: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Source:
    """Whose samples these are."""

    machine: int
    epoch: bytes
    # A sample that comes so long after its time is backfilled.
    late_ms: int = 30_000


class Decoded(NamedTuple):
    """What became of a message: `last` is the highest sequence number so far."""

    taken: list[Incoming]
    refused: list[Refused]
    last: int


def samples(
    batch: Iterable[pb.Sample],
    source: Source,
    layouts: Mapping[int, Known],
    *,
    last: int,
    now_ms: int,
) -> Decoded:
    """Check each sample against its layout, the clock and the one before it."""
    machine, epoch = source.machine, source.epoch
    earliest = now_ms - limits.MAX_AGE_S * 1000
    latest = now_ms + limits.MAX_AHEAD_S * 1000
    taken: list[Incoming] = []
    refused: list[Refused] = []
    for sample in batch:
        sequence, time_ms, values = sample.sequence, sample.time_unix_ms, sample.values
        layout = layouts.get(sample.layout)
        if not last < sequence <= MAX_SEQUENCE:
            refused.append(_out_of_order(sequence, last))
            continue
        last = sequence
        if layout is None:
            refused.append(_unknown_layout(sample))
        elif len(values) != layout.size_bytes:
            refused.append(_wrong_length(sample, layout))
        elif not earliest <= time_ms <= latest:
            refused.append(_time_out_of_range(sample, now_ms))
        else:
            stored = StoredSample(machine, layout.id, sequence, time_ms, now_ms, values)
            taken.append(Incoming(stored, epoch))
    return Decoded(taken, refused, last)


def settled(refused: Iterable[Refused], source: Source) -> list[RefusedAt]:
    """Return the numbers that the cursor may pass: those that are in order."""
    return [
        RefusedAt(source.machine, source.epoch, one.sequence)
        for one in refused
        if one.reason != pb.REFUSAL_REASON_OUT_OF_ORDER
    ]


def finite(batch: list[Incoming]) -> list[Incoming]:
    """Return the batch with each infinite value turned into NaN: no reading.

    JSON and averages have no place for infinity. One look at the whole batch
    costs a tenth of a look at each sample.
    """
    everything = np.frombuffer(b"".join([i.sample.values for i in batch]), "<f4")
    if not np.isinf(everything).any():
        return batch
    return [
        Incoming(i.sample._replace(values=_finite(i.sample.values)), i.epoch)
        for i in batch
    ]


def _finite(values: bytes) -> bytes:
    vector = np.frombuffer(values, "<f4")
    return np.where(np.isinf(vector), np.float32(np.nan), vector).tobytes()


def layout(message: pb.Layout) -> list[SeriesInfo]:
    """Return the series of a layout, in its order; raise BadLayout."""
    if not 0 < len(message.series) <= limits.MAX_SERIES:
        raise BadLayout(
            f"A layout has 1 to {limits.MAX_SERIES} series, not {len(message.series)}."
        )
    if len(message.metrics) > MAX_METRICS:
        raise BadLayout(f"A layout describes at most {MAX_METRICS} metrics.")
    try:
        metrics = [_metric(metric) for metric in message.metrics]
        series = [_series(one, metrics) for one in message.series]
    except text.BadText as bad:
        raise BadLayout(f"{bad}.") from bad
    _refuse_repeats(series)
    return series


def _metric(metric: pb.Metric) -> SeriesInfo:
    kind = KINDS.get(metric.kind)
    if kind is None:
        raise BadLayout(
            f"The metric {text.plain(metric.name)!r} is neither gauge nor counter."
        )
    if len(metric.help.encode()) > limits.MAX_HELP_BYTES:
        raise BadLayout(f"A help text is longer than {limits.MAX_HELP_BYTES} bytes.")
    return SeriesInfo(
        metric=text.name(metric.name, "the metric"),
        unit=text.plain(_bounded(metric.unit, "a unit")),
        kind=kind,
        help=text.plain(metric.help, limit_bytes=limits.MAX_HELP_BYTES),
        attributes=(),
    )


def _series(series: pb.Series, metrics: Sequence[SeriesInfo]) -> SeriesInfo:
    if series.metric >= len(metrics):
        raise BadLayout(f"A series names metric {series.metric}, which is not there.")
    if len(series.attributes) > limits.MAX_ATTRIBUTES:
        raise BadLayout(f"A series has at most {limits.MAX_ATTRIBUTES} attributes.")
    attributes = sorted(
        (text.name(key, "the attribute"), _bounded(value, "an attribute's value"))
        for key, value in series.attributes.items()
    )
    return replace(metrics[series.metric], attributes=tuple(attributes))


def _bounded(value: str, what: str) -> str:
    if len(value.encode()) > limits.MAX_TEXT_BYTES:
        raise text.BadText(f"{what} is longer than {limits.MAX_TEXT_BYTES} bytes")
    # An escape may be six times as long as the character it stands for.
    return text.plain(value, limit_bytes=6 * limits.MAX_TEXT_BYTES)


def _refuse_repeats(series: Iterable[SeriesInfo]) -> None:
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for one in series:
        key = (one.metric, one.attributes)
        if key in seen:
            raise BadLayout(f"The series {one.metric} {dict(one.attributes)} is twice.")
        seen.add(key)


def _out_of_order(sequence: int, last: int) -> Refused:
    return Refused(
        sequence,
        pb.REFUSAL_REASON_OUT_OF_ORDER,
        f"Sequence {sequence} does not follow {last}.",
    )


def _unknown_layout(sample: pb.Sample) -> Refused:
    return Refused(
        sample.sequence,
        pb.REFUSAL_REASON_UNKNOWN_LAYOUT,
        f"Layout {sample.layout} was not sent in this stream.",
    )


def _wrong_length(sample: pb.Sample, known: Known) -> Refused:
    return Refused(
        sample.sequence,
        pb.REFUSAL_REASON_WRONG_LENGTH,
        f"{len(sample.values)} bytes of values, the layout needs {known.size_bytes}.",
    )


def _time_out_of_range(sample: pb.Sample, now_ms: int) -> Refused:
    ahead_s = (sample.time_unix_ms - now_ms) / 1000
    side = f"{ahead_s:.0f} s ahead of" if ahead_s > 0 else f"{-ahead_s:.0f} s behind"
    return Refused(
        sample.sequence,
        pb.REFUSAL_REASON_TIME_OUT_OF_RANGE,
        f"Its time is {side} the hub's clock.",
    )
