"""The one place that runs the collectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from sysmonstm_proto import limits

from sysmonstm_agent.collector import Collector, NoData
from sysmonstm_agent.layout import Layouts, Sample
from sysmonstm_agent.log import log
from sysmonstm_agent.metric import NAN, Metric, Reading

DURATION = Metric(
    "sysmonstm.agent.collector.duration", "s", "Time that a collector took."
)
SUCCESS = Metric(
    "sysmonstm.agent.collector.success", "1", "1 = the collector worked, 0 = it failed."
)
OMITTED = Metric(
    "sysmonstm.agent.collector.omitted",
    "{series}",
    "Series that were left out of a collector's, since a machine has too many.",
)
# Of what a failure says of itself.
MAX_FAILURE = 200


class State(NamedTuple):
    """How a collector did, the last time it ran."""

    duration_s: float = 0.0
    # One line; empty = well.
    failure: str = ""


class Sampler:
    """Takes samples: runs each collector, times it, survives it."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        seen: Callable[[list[Reading]], object] | None = None,
    ) -> None:
        """`seen` is shown the readings of each sample, by whoever takes it."""
        self._collectors = collectors
        self._clock = clock
        self._wall = wall
        self._seen = seen
        self._layouts = Layouts()
        self._last: dict[str, list[Reading]] = {}
        # Of the readings about collectors.
        self._names: dict[str, dict[str, str]] = {}
        # How many series each was cut by in the last sample.
        self._omitted: dict[str, int] = {}
        # Safe to be read in any thread.
        self.states: dict[str, State] = {}

    def change(
        self, collectors: Sequence[Collector], *, anew: Collection[str] = ()
    ) -> None:
        """Go on with these; one whose name is known stays as it is, unless `anew`.

        What is new runs once, so that its rates have numbers in the next sample.
        """
        known = {c.name: c for c in self._collectors if c.name not in anew}
        self._collectors = [known.get(c.name, c) for c in collectors]
        names = {c.name for c in collectors}
        self._last = {k: v for k, v in self._last.items() if k in names}
        self.states = {k: v for k, v in self.states.items() if k in names}
        for collector in self._collectors:
            if collector.name not in known:
                self._run(collector)

    def sample(self) -> Sample:
        """Measure the machine now."""
        time_unix_ms = int(self._wall() * 1000)
        readings = self.readings()
        if self._seen is not None:
            self._seen(readings)
        layout, values = self._layouts.arrange(readings)
        return Sample(time_unix_ms, layout, values)

    def readings(self) -> list[Reading]:
        """Run every collector once; the agent's own readings come first."""
        own: list[Reading] = []
        for collector in self._collectors:
            duration_s, failure = self._run(collector)
            name = self._names.setdefault(collector.name, {"collector": collector.name})
            own.append(Reading(DURATION, duration_s, name))
            own.append(Reading(SUCCESS, not failure, name))
        return own + self._fitting(limits.MAX_SERIES - len(own))

    def _fitting(self, room: int) -> list[Reading]:
        """Return what all have read; of too many, each its first ones.

        What one machine has hundreds of must not hide its processor.
        """
        read = {c.name: self._last[c.name] for c in self._collectors}
        omitted: dict[str, int] = {}
        if sum(map(len, read.values())) > room:
            # Each may be told to be cut.
            most = fair(map(len, read.values()), room - len(read))
            omitted = {k: len(v) - most for k, v in read.items() if len(v) > most}
            read = {name: readings[:most] for name, readings in read.items()}
        if omitted.keys() != self._omitted.keys() and omitted:
            log.warning("series.too_many", most=limits.MAX_SERIES, omitted=omitted)
        self._omitted = omitted
        told = [Reading(OMITTED, n, self._names[name]) for name, n in omitted.items()]
        return told + [reading for readings in read.values() for reading in readings]

    def _run(self, collector: Collector) -> State:
        """Leave the collector's readings in `_last`; return how it did.

        A collector that fails keeps its series, without numbers, so that one bad
        tick does not change the layout.
        """
        name, failure = collector.name, ""
        failed = bool(self.states.get(name, State()).failure)
        started_s = self._clock()
        try:
            self._last[name] = list(collector.collect(started_s))
        except NoData:
            self._last[name] = []
        # A collector is anybody's code over a foreign machine's files, and none
        # may stop the others.
        except Exception as error:  # noqa: BLE001
            self._last[name] = list(without_numbers(self._last.get(name, [])))
            failure = one_line(error)
            if not failed:
                log.exception("collector.failed", collector=name)
        if failed and not failure:
            log.info("collector.recovered", collector=name)
        self.states[name] = state = State(self._clock() - started_s, failure)
        return state


def fair(counts: Iterable[int], room: int) -> int:
    """Return how many each may have, so that together they have room."""
    waiting = sorted(counts)
    while waiting:
        share = room // len(waiting)
        if waiting[0] > share:
            return share
        room -= waiting.pop(0)
    return room


def one_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"[:MAX_FAILURE]
    return "".join(c if c.isprintable() else " " for c in text)


def without_numbers(readings: list[Reading]) -> Iterator[Reading]:
    for metric, _, attributes in readings:
        yield Reading(metric, NAN, attributes)
