"""The one place that runs the collectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

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
        self._failing: set[str] = set()

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
            started_s = self._clock()
            success = self._run(collector, started_s)
            machine += self._last[collector.name]
            name = {"collector": collector.name}
            own.append(Reading(DURATION, self._clock() - started_s, name))
            own.append(Reading(SUCCESS, success, name))
        return own + machine

    def _run(self, collector: Collector, now_s: float) -> bool:
        """Leave the collector's readings in `_last`; say whether it worked.

        A collector that fails keeps its series, without numbers, so that one bad
        tick does not change the layout.
        """
        name = collector.name
        try:
            self._last[name] = list(collector.collect(now_s))
        except NoData:
            self._last[name] = []
        # A collector is anybody's code over a foreign machine's files, and none
        # may stop the others.
        except Exception:  # noqa: BLE001
            self._last[name] = list(without_numbers(self._last.get(name, [])))
            if name not in self._failing:
                self._failing.add(name)
                log.exception("collector.failed", collector=name)
            return False
        if name in self._failing:
            self._failing.remove(name)
            log.info("collector.recovered", collector=name)
        return True


def without_numbers(readings: list[Reading]) -> Iterator[Reading]:
    for metric, _, attributes in readings:
        yield Reading(metric, NAN, attributes)
