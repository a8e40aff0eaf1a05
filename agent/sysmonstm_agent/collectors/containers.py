"""Containers: who runs, how well, and what each uses.

`sysmonstm_agent.containers` finds them, on a thread of its own; here their
counters are read with each tick, and become readings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from sysmonstm_agent.background import AGE, Background
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.containers import cgroups
from sysmonstm_agent.containers.container import STATES, Container, Listing
from sysmonstm_agent.containers.counts import Counts
from sysmonstm_agent.containers.roster import Roster
from sysmonstm_agent.containers.usage import Meter, Usage
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Metric, Reading

COUNT = Metric("container.count", "{container}", "Containers by state.")
OMITTED = Metric(
    "sysmonstm.agent.container.omitted",
    "{container}",
    "Containers that are only counted: the most active 50 are told of.",
)
STATE = Metric(
    "container.state",
    "{state}",
    "0 running, 1 paused, 2 restarting, 3 created, 4 exited, 5 removing, 6 dead,"
    " 7 something else.",
)
UNHEALTHY = Metric(
    "container.unhealthy", "1", "1 while the container's own health check fails."
)
RESTARTS = Metric(
    "container.restarts",
    "{restart}",
    "How often the engine has restarted it by itself.",
    "counter",
)
UPTIME = Metric("container.uptime", "s", "How long the container has been running.")
CPU = Metric(
    "container.cpu.usage",
    "{cpu}",
    "Processor time per time: 1 = one core, all the time.",
)
MEMORY = Metric(
    "container.memory.usage", "By", "Memory without file pages that can be had back."
)
MEMORY_SHARE = Metric(
    "container.memory.utilization", "1", "Share of its memory limit, where it has one."
)
NETWORK = Metric("container.network.io", "By/s", "Bytes through its own interfaces.")
DISK = Metric("container.disk.io", "By/s", "Bytes read from or written to disks.")

# How often the engine is asked who there is.
EVERY_S = 10.0


class Containers:
    name = "containers"
    metrics = (
        *(AGE, COUNT, OMITTED, STATE, UNHEALTHY, RESTARTS, UPTIME),
        *(CPU, MEMORY, MEMORY_SHARE, NETWORK, DISK),
    )

    def __init__(
        self,
        files: Files,
        sockets: Sequence[str],
        *,
        every_s: float = EVERY_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._wall = wall
        self._meter = Meter()
        self._looking = files.looks.get(
            self.name,
            lambda: Background[Listing](
                Roster(files, sockets).look, name=self.name, every_s=every_s
            ),
        )

    def collect(self, now_s: float) -> Iterator[Reading]:
        listing, age_s = self._looking.newest(now_s)
        yield Reading(AGE, age_s, {"collector": self.name})
        for state, count in sorted(listing.states.items()):
            yield Reading(COUNT, count, {"container.state": STATES[state]})
        yield Reading(OMITTED, listing.omitted)
        self._meter.forget_all_but({one.id for one in listing.containers})
        for one in listing.containers:
            yield from self._readings(one, now_s)

    def _readings(self, one: Container, now_s: float) -> Iterator[Reading]:
        place = {"container.name": one.name}
        yield Reading(STATE, one.state, place)
        if one.unhealthy is not None:
            yield Reading(UNHEALTHY, one.unhealthy, place)
        if one.restarts is not None:
            yield Reading(RESTARTS, one.restarts, place)
        counts = self._counts(one, now_s)
        if counts is None:
            return
        if one.started_s == one.started_s:
            yield Reading(UPTIME, max(0.0, self._wall() - one.started_s), place)
        yield from readings(self._meter.usage(one.id, counts), place)

    def _counts(self, one: Container, now_s: float) -> Counts | None:
        if one.group is None:
            return one.counts
        try:
            return cgroups.counts(self._files, one.group, now_s)
        except (NoData, OSError):
            return None  # It ended since the list was made.


def readings(use: Usage, place: dict[str, str]) -> Iterator[Reading]:
    yield Reading(CPU, use.cpu, place)
    yield Reading(MEMORY, use.memory_bytes, place)
    if limit := use.memory_limit_bytes:
        yield Reading(MEMORY_SHARE, min(1.0, use.memory_bytes / limit), place)
    directed = (
        (NETWORK, "network.io.direction", "receive", use.received),
        (NETWORK, "network.io.direction", "transmit", use.sent),
        (DISK, "disk.io.direction", "read", use.read),
        (DISK, "disk.io.direction", "write", use.written),
    )
    for metric, key, direction, value in directed:
        if value is not None:
            yield Reading(metric, value, {**place, key: direction})
