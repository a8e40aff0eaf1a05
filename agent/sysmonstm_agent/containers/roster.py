"""Keeps the list of containers: from the engine where it may be asked, else from
the kernel.

Runs on a thread of its own: an engine may take seconds, or never answer.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.containers import cgroups
from sysmonstm_agent.containers.cgroups import Group
from sysmonstm_agent.containers.container import (
    MAX_LISTED,
    RUNNING,
    Container,
    Listing,
)
from sysmonstm_agent.containers.counts import Counts
from sysmonstm_agent.files import Files
from sysmonstm_agent.log import log
from sysmonstm_agent.meminfo import meminfo
from sysmonstm_agent.metric import NAN

if TYPE_CHECKING:
    from sysmonstm_agent.containers.engine import Detail, Engine

# What the list does not tell is asked for again after this long, or when the
# container's state has changed.
REFRESH_S = 60.0
# A machine with more containers than this has them counted less often.
MAX_ASKED = 100
# One that is shown stays until another is this much busier, so that the list
# does not change with every look.
STAY = 2.0


class Roster:
    def __init__(
        self,
        files: Files,
        sockets: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask the first of these sockets that there is."""
        self._files = files
        self._sockets = sockets
        self._clock = clock
        self._details: dict[str, Known] = {}
        self._cpu_s: dict[str, float] = {}
        self._busy: dict[str, float] = {}
        self._listed: set[str] = set()
        self._refused = False

    def look(self) -> Listing:
        """Raises NoData where there are no containers, EngineFailed, OSError."""
        groups: dict[str, Group] = {}
        with contextlib.suppress(NoData):
            groups = {group.id: group for group in cgroups.groups(self._files)}
        found = self._ask_engine(groups)
        if found is None:
            found = [
                # Docker itself shows as many digits; an LXC name is whole.
                Container(id=id_, name=id_[:12] if len(id_) == 64 else id_, group=group)
                for id_, group in groups.items()
            ]
        if not found:
            raise NoData("no containers")
        return self._choose(found)

    def _ask_engine(self, groups: dict[str, Group]) -> list[Container] | None:
        path = next(filter(os.path.exists, self._sockets), None)
        if path is None:
            return None
        # It brings the email package along: 1 MB that most agents do without.
        from sysmonstm_agent.containers.engine import Engine

        engine = Engine(path)
        try:
            return self._converse(engine, groups)
        except PermissionError:
            if not self._refused:
                self._refused = True
                log.info("containers.socket_refused", path=path)
            return None
        except ConnectionRefusedError:
            return None  # What a stopped engine left behind.
        finally:
            engine.close()

    def _converse(self, engine: Engine, groups: dict[str, Group]) -> list[Container]:
        found = []
        asked = 0
        # Those that run first, should time run out.
        for one in sorted(engine.containers(), key=lambda one: one.state != RUNNING):
            one = self._detailed(engine, one)
            # Podman may leave the group of one that has ended.
            one = replace(one, group=groups.get(one.id) if one.lives else None)
            if one.group is None and one.counted and asked < MAX_ASKED:
                asked += 1
                one = replace(one, counts=self._counts(engine, one))
            found.append(one)
        known = {one.id for one in found}
        self._details = {k: v for k, v in self._details.items() if k in known}
        return found

    def _detailed(self, engine: Engine, one: Container) -> Container:
        now_s = self._clock()
        known = self._details.get(one.id)
        # A young one may have been restarted since, and look as it did.
        if (
            known is None
            or known.state != one.state
            or known.until_s <= now_s
            or one.young
        ):
            detail = engine.inspect(one)
            if detail is None:
                return one
            known = Known(one.state, now_s + REFRESH_S, detail)
            self._details[one.id] = known
        detail = known.detail
        # What the list says of its health is newer, but not every engine says it.
        healthy = detail.unhealthy if one.unhealthy is None else one.unhealthy
        return replace(
            one,
            unhealthy=healthy,
            restarts=detail.restarts,
            started_s=detail.started_s,
        )

    def _counts(self, engine: Engine, one: Container) -> Counts | None:
        counts = engine.stats(one)
        # An engine says how much there is where there is no limit.
        if counts and counts.memory_limit_bytes >= self._installed():
            return counts._replace(memory_limit_bytes=NAN)
        return counts

    def _installed(self) -> float:
        if not self._files.linux:
            return NAN
        return meminfo(self._files).get("MemTotal", NAN)

    def _choose(self, found: list[Container]) -> Listing:
        states = Counter(one.state for one in found)
        if len(found) > MAX_LISTED:
            self._rank(found)
            found = sorted(found, key=self._worth)[:MAX_LISTED]
        self._listed = {one.id for one in found}
        omitted = sum(states.values()) - len(found)
        return Listing(tuple(unique(found)), omitted, dict(states))

    def _rank(self, found: list[Container]) -> None:
        """Measure who was busy since the look before."""
        before, self._cpu_s = self._cpu_s, {}
        for one in found:
            with contextlib.suppress(NoData, OSError):
                self._cpu_s[one.id] = spent_s(one)
        self._busy = {
            id_: now - before[id_] for id_, now in self._cpu_s.items() if id_ in before
        }

    def _worth(self, one: Container) -> tuple[bool, bool, float, bool, str]:
        """Sort those first that a person would want to see."""
        listed = one.id in self._listed
        busy = self._busy.get(one.id, 0.0) * (STAY if listed else 1.0)
        return not one.in_trouble, one.state != RUNNING, -busy, not listed, one.name


@dataclass(frozen=True, slots=True)
class Known:
    """What an engine told of a container, while it was in this state."""

    state: int
    until_s: float
    detail: Detail


def spent_s(one: Container) -> float:
    if one.group is not None:
        return cgroups.cpu_s(one.group)
    return one.counts.cpu_s if one.counts else 0.0


def unique(found: Iterable[Container]) -> Iterator[Container]:
    """Number the second and later containers of one name: LXC beside Docker."""
    taken: set[str] = set()
    for one in found:
        number, name = 1, one.name
        while name in taken:
            number += 1
            name = f"{one.name} {number}"
        taken.add(name)
        yield one if name == one.name else replace(one, name=name)
