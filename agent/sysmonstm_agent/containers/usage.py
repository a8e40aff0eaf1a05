"""A container's counters become rates."""

from __future__ import annotations

from typing import NamedTuple

from sysmonstm_agent.containers.counts import Counts
from sysmonstm_agent.metric import NAN


class Usage(NamedTuple):
    """Per second, and now. NaN = not known yet; None = there is no such thing."""

    cpu: float = NAN
    memory_bytes: float = NAN
    memory_limit_bytes: float | None = None
    received: float | None = None
    sent: float | None = None
    read: float | None = None
    written: float | None = None


class Meter:
    """Remembers the counts of the look before, container by container."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Counts, Usage]] = {}

    def usage(self, id_: str, now: Counts) -> Usage:
        """Return the use since the last counts, or the last where these are those."""
        before, last = self._before.get(id_, (None, None))
        if before is not None and last is not None and before.at_s == now.at_s:
            return last
        used = usage(before, now)
        self._before[id_] = now, used
        return used

    def forget_all_but(self, ids: set[str]) -> None:
        for gone in self._before.keys() - ids:
            del self._before[gone]

    def cpu(self, id_: str) -> float:
        """Return what the container last used of the processor, 0 = not known."""
        _, last = self._before.get(id_, (None, None))
        return last.cpu if last is not None and last.cpu > 0 else 0.0


def usage(before: Counts | None, now: Counts) -> Usage:
    elapsed_s = now.at_s - before.at_s if before is not None else NAN
    limit = now.memory_limit_bytes

    def rate(count: float, name: str) -> float:
        # A new container under an old name has counters that begin again.
        grown = count - getattr(before, name) if before is not None else NAN
        return grown / elapsed_s if grown >= 0 and elapsed_s > 0 else NAN

    def known(count: float, name: str) -> float | None:
        return rate(count, name) if count == count else None

    return Usage(
        cpu=rate(now.cpu_s, "cpu_s"),
        memory_bytes=now.memory_bytes,
        memory_limit_bytes=limit if limit == limit else None,
        received=known(now.received_bytes, "received_bytes"),
        sent=known(now.sent_bytes, "sent_bytes"),
        read=known(now.read_bytes, "read_bytes"),
        written=known(now.written_bytes, "written_bytes"),
    )
