"""What would a rule have done? The same judging and the same states, over the tiers.

    past_values     thresholds and changes, by the minutes where they matter
    past_forecast   forecasts, every half hour, each by what was known then
    past_silence    machines that are silent, by the gaps between their samples

Machines are tried some at a time: one query reads them all. What the time does not
allow is left out, and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hub.alerts import past_forecast, past_silence, past_values
from hub.alerts.plan import bound
from hub.alerts.replay import Tried
from hub.alerts.spec import Kind, Spec
from hub.machines.models import Machine

DAYS = 7
# Of a page: the answer is wanted while one types. A hundred machines take up to
# 1.05 s of CPU (bench.backtests), most rules far less.
BUDGET_S = 2.0
# A week of minutes of so many machines is some 20 MB for each series.
BATCH = 25
MAX_LINES = 3


@dataclass(slots=True)
class BackTest:
    start: datetime
    end: datetime
    # Machines that were looked at, of all that the rule is about.
    looked_at: int = 0
    covered: int = 0
    series: int = 0
    fired: list[Tried] = field(default_factory=list)
    # Of those that did not fire, the one that came closest.
    closest: list[Tried] = field(default_factory=list)

    @property
    def times(self) -> int:
        return sum(len(tried.firings) for tried in self.fired)

    @property
    def machines(self) -> int:
        return len({tried.machine.pk for tried in self.fired})

    @property
    def lines(self) -> list[Tried]:
        ranked = sorted(self.fired, key=lambda tried: -len(tried.firings))
        return (ranked or self.closest)[:MAX_LINES]


def back_test(
    spec: Spec,
    machines: Sequence[Machine],
    now: datetime,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> BackTest:
    """Try a rule on the last days of these machines, within BUDGET_S."""
    found = BackTest(now - timedelta(days=DAYS), now, covered=len(machines))
    started_s = clock()
    closest: tuple[float, Tried] | None = None
    for at in range(0, len(machines), BATCH):
        some = machines[at : at + BATCH]
        for tried in _TRY[spec.kind](spec, some, found.start, now):
            found.series += 1
            if tried.firings:
                found.fired.append(tried)
            distance = _distance(spec, tried)
            if closest is None or distance < closest[0]:
                closest = distance, tried
        found.looked_at += len(some)
        if clock() - started_s > BUDGET_S:
            break
    found.closest = [closest[1]] if closest else []
    return found


_Past = Callable[[Spec, Sequence[Machine], datetime, datetime], Iterator[Tried]]
_TRY: dict[Kind, _Past] = {
    Kind.THRESHOLD: past_values.tried,
    Kind.CHANGE: past_values.tried,
    Kind.DOWN: past_silence.tried,
    Kind.FORECAST: past_forecast.tried,
}


def _distance(spec: Spec, tried: Tried) -> float:
    """Return how far a series stayed from the mildest threshold."""
    sign, least = bound(spec)
    worst = tried.high.max() if sign > 0 else -tried.low.min()
    return float(least - worst)
