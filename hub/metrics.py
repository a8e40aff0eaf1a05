"""What this process counts about itself, in Prometheus' terms.

Every instrument is named here, with its unit in its name; who has something to
count imports it and says so in one line. `hub.health` shows them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# When a counter began is told once, by process_start_time_seconds.
disable_created_metrics()  # type: ignore[no-untyped-call]

registry = CollectorRegistry()
ProcessCollector(registry=registry)

Read = Callable[[], float]


class Followed(Collector):
    """A number that somebody keeps anyway: read when it is asked for.

    Without anybody to ask it is absent: this process does no such work.
    """

    def __init__(self, kind: Literal["counter", "gauge"], name: str, text: str) -> None:
        self._kind, self._name, self._text = kind, name, text
        self._read: Read | None = None
        registry.register(self)

    def follow(self, read: Read) -> None:
        """Read here from now on; whoever comes last is read."""
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return [self._family(None)]

    def collect(self) -> Iterable[Metric]:
        return [self._family(float(self._read()))] if self._read else []

    def _family(self, value: float | None) -> Metric:
        made = GaugeMetricFamily if self._kind == "gauge" else CounterMetricFamily
        return made(self._name, self._text, value=value)


class Role:
    """What this process is called beside the others."""

    # Said by the command that runs it; daphne is started by a name of its own.
    name = "web"
    # Tells two processes of one role apart.
    place = f"{socket.gethostname()}:{os.getpid()}"


SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SAMPLES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 5_000)

# -- samples come in

STREAMS = Followed(
    "gauge", "sysmonstm_streams", "Agents that are connected, the prober among them."
)
QUEUE = Followed(
    "gauge", "sysmonstm_writer_queue_samples", "Samples that wait for COMMIT."
)
FAILING = Followed(
    "gauge", "sysmonstm_writer_failing", "1 while the database takes nothing."
)
STORED = Followed("counter", "sysmonstm_samples_stored", "Samples committed.")
DUPLICATES = Followed(
    "counter", "sysmonstm_samples_duplicate", "Samples that came again, absorbed."
)
REFUSED = Followed(
    "counter", "sysmonstm_samples_refused", "Samples that the database refused."
)
UNTOLD = Followed(
    "counter",
    "sysmonstm_samples_untold",
    "Samples stored but not told to the live view: Redis was away or slow.",
)
BATCH = Histogram(
    "sysmonstm_writer_batch_samples",
    "Samples of one transaction.",
    buckets=SAMPLES,
    registry=registry,
)
COMMIT = Histogram(
    "sysmonstm_writer_commit_seconds",
    "Time of one transaction, COMMIT included.",
    buckets=SECONDS,
    registry=registry,
)
ACK = Histogram(
    "sysmonstm_ack_latency_seconds",
    "From received to acknowledged, of the sample that waited longest in its batch.",
    buckets=SECONDS,
    registry=registry,
)
REFUSALS = Counter(
    "sysmonstm_refusals",
    "Samples refused, by reason.",
    ["reason"],
    registry=registry,
)

# -- browsers watch

SOCKETS = Followed(
    "gauge", "sysmonstm_sockets", "Browsers that are connected, the prober among them."
)
FRAMES = Counter("sysmonstm_frames", "Frames sent to browsers.", registry=registry)
FRAME_BYTES = Counter(
    "sysmonstm_frame_bytes", "Size of the frames sent to browsers.", registry=registry
)
EVENT_LAG = Histogram(
    "sysmonstm_event_lag_seconds",
    "From a sample's arrival to its event being read for the live view.",
    buckets=SECONDS,
    registry=registry,
)

# -- rules are watched, and people told

JUDGED = Followed(
    "counter", "sysmonstm_alerts_judged_samples", "Samples held against the rules."
)
UNJUDGED = Followed(
    "gauge", "sysmonstm_alerts_waiting_samples", "Samples that wait to be judged."
)
UNHEARD = Followed(
    "counter",
    "sysmonstm_alerts_lost_samples",
    "Samples that the evaluation was too slow to take in; they are stored.",
)
OPEN = Followed(
    "gauge", "sysmonstm_alerts_open", "Alerts that are open, of this process's share."
)
JUDGED_AFTER = Histogram(
    "sysmonstm_alerts_lag_seconds",
    "From a sample's arrival to its being judged, of the oldest of each turn.",
    buckets=SECONDS,
    registry=registry,
)
DELIVERIES = Counter(
    "sysmonstm_deliveries",
    "Attempts to deliver a message, by result: sent, failed, dead.",
    ["result"],
    registry=registry,
)
MESSAGES_WAITING = Followed(
    "gauge",
    "sysmonstm_messages_waiting",
    "Messages that wait to be sent, in the whole hub.",
)
MESSAGES_DEAD = Followed(
    "gauge",
    "sysmonstm_messages_dead",
    "Messages given up within seven days, in the whole hub.",
)

# -- the process, and the whole way

LOOP_LAG = Histogram(
    "sysmonstm_event_loop_lag_seconds",
    "How late the event loop came back to a task that had slept.",
    buckets=SECONDS,
    registry=registry,
)
CANARY = Histogram(
    "sysmonstm_canary_duration_seconds",
    "From a test sample being sent to this stage of its way.",
    ["stage"],
    buckets=SECONDS,
    registry=registry,
)
CANARY_UNANSWERED = Counter(
    "sysmonstm_canary_unanswered",
    "Test samples that did not come to this stage in time.",
    ["stage"],
    registry=registry,
)
