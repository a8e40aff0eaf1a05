"""The one place that runs the collectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

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
        machine: list[Reading] = []
        for collector in self._collectors:
            duration_s, failure = self._run(collector)
            machine += self._last[collector.name]
            name = self._names.setdefault(collector.name, {"collector": collector.name})
            own.append(Reading(DURATION, duration_s, name))
            own.append(Reading(SUCCESS, not failure, name))
        return own + machine

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


def one_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"[:MAX_FAILURE]
    return "".join(c if c.isprintable() else " " for c in text)


def without_numbers(readings: list[Reading]) -> Iterator[Reading]:
    for metric, _, attributes in readings:
        yield Reading(metric, NAN, attributes)
