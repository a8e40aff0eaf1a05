"""The agent's values as messages of the wire."""

from __future__ import annotations

from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.metric import Metric
from sysmonstm_agent.spool import Spool, Spooled

KINDS = {"gauge": pb.KIND_GAUGE, "counter": pb.KIND_COUNTER}


def layout_message(layout: Layout, number: int) -> pb.MetricsRequest:
    message = pb.Layout(id=number)
    positions: dict[Metric, int] = {}
    for metric, attributes in layout.series:
        position = positions.setdefault(metric, len(positions))
        message.series.add(metric=position, attributes=dict(attributes))
    message.metrics.extend(map(metric_message, positions))
    return pb.MetricsRequest(layout=message)


def metric_message(metric: Metric) -> pb.Metric:
    return pb.Metric(
        name=metric.name,
        unit=metric.unit,
        kind=KINDS[metric.kind],
        help=metric.help,
    )


def sample_message(spooled: Spooled, layout: int) -> pb.Sample:
    return pb.Sample(
        sequence=spooled.sequence,
        time_unix_ms=spooled.sample.time_unix_ms,
        layout=layout,
        values=spooled.sample.values,
    )


def instant_message(sample: Sample, layout: int) -> pb.MetricsRequest:
    instant = pb.Sample(
        time_unix_ms=sample.time_unix_ms, layout=layout, values=sample.values
    )
    return pb.MetricsRequest(instant=instant)


def account_message(spool: Spool) -> pb.Account:
    return pb.Account(
        produced=spool.produced,
        evicted=spool.evicted,
        oldest_sequence=spool.oldest,
        spool_bytes=spool.size_bytes,
        lost=spool.lost,
        degraded=spool.degraded,
    )
