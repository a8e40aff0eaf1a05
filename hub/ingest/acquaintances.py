"""Machines that said Hello to this process: whom to welcome without a database."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

# About 200 bytes each; whoever was not heard for longest goes first.
LIMIT = 20_000


class Acquaintance(NamedTuple):
    """A machine, and how far its spool is durable at least.

    Another process may know of more: what comes again then is absorbed.
    """

    machine: int
    epoch: bytes
    committed: int


class Acquaintances:
    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: OrderedDict[str, Acquaintance] = OrderedDict()

    def note(self, machine_id: str, known: Acquaintance) -> None:
        """Remember; of one spool the further number counts."""
        before = self._known.pop(machine_id, known)
        if before.machine == known.machine and before.epoch == known.epoch:
            further = max(before.committed, known.committed)
            known = known._replace(committed=further)
        self._known[machine_id] = known
        if len(self._known) > self._limit:
            self._known.popitem(last=False)

    def find(self, machine_id: str, epoch: bytes) -> Acquaintance | None:
        """Return the machine if this is the spool that it had."""
        known = self._known.get(machine_id)
        return known if known and known.epoch == epoch else None
