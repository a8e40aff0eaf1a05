"""What every collector is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sysmonstm_agent.metric import Metric, Reading


class NoData(Exception):
    """This machine has none of this: no swap, no sensors, no PSI."""


class Collector(Protocol):
    """Reads one thing. Knows nothing of other collectors, timing or sending."""

    @property
    def name(self) -> str: ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that `collect` may ever yield."""

    def collect(self, now_s: float) -> Iterable[Reading]:
        """Yield readings of the declared metrics.

        `now_s` is the monotonic clock, for rates. The first time, a rate is NaN,
        so that the series exist from the start. Raises NoData when the machine
        has none of it; any other exception is a failure, which the sampler
        survives.
        """
