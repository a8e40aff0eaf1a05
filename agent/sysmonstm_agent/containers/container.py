"""A container, as its engine or the kernel tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sysmonstm_agent.containers.cgroups import Group
from sysmonstm_agent.containers.counts import Counts
from sysmonstm_agent.metric import NAN

# Their places are what `container.state` tells: only ever add to the end.
STATES = (
    "running",
    "paused",
    "restarting",
    "created",
    "exited",
    "removing",
    "dead",
    "unknown",
)
RUNNING = STATES.index("running")
PAUSED = STATES.index("paused")
RESTARTING = STATES.index("restarting")
UNKNOWN = STATES.index("unknown")
# About ten series each: half of what one machine may have.
MAX_LISTED = 50


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `id` is its engine's, in hexadecimal."""

    id: str
    name: str
    state: int = RUNNING
    # None: it has no health check.
    unhealthy: bool | None = None
    restarts: int | None = None
    # Its engine says that it started less than a minute ago.
    young: bool = False
    # Unix time; NaN = it is not known.
    started_s: float = NAN
    # Where the kernel counts; None where that cannot be seen.
    group: Group | None = None
    # What the engine counted, where the kernel's counters cannot be seen.
    counts: Counts | None = None

    @property
    def lives(self) -> bool:
        """Whether it may have processes: a state not known here may mean so."""
        return self.state in (RUNNING, PAUSED, RESTARTING, UNKNOWN)

    @property
    def counted(self) -> bool:
        """Whether its engine can say what it uses."""
        return self.state in (RUNNING, PAUSED)

    @property
    def in_trouble(self) -> bool:
        return bool(self.unhealthy) or self.state == RESTARTING


class Listing(NamedTuple):
    """Who there is, as far as there is room; the others are counted."""

    containers: tuple[Container, ...]
    omitted: int
    # How many are in each state, whether listed or not. Without an engine only
    # those that run are known.
    states: dict[int, int]
