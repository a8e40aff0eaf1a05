"""How far each spool comes with a batch: what is new, what repeats, what never came.

Pure. Within a spool every number up to its cursor is settled, so that

    sequence = before + stored + refused + skipped

holds by counting and not by belief.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.storage.sample import StoredSample

# What a machine's cursor says: spool epoch and sequence. A new one has no epoch.
Position = tuple[bytes, int]

# Returns how far a spool came that is not the machine's present one; 0 = nowhere.
Recall = Callable[[int, bytes], int]


class Incoming(NamedTuple):
    """A sample that wants to be stored, and the spool it was numbered in."""

    sample: StoredSample
    epoch: bytes


class RefusedAt(NamedTuple):
    """A sample that will never be stored; its number is settled all the same."""

    machine: int
    epoch: bytes
    sequence: int


@dataclass(slots=True)
class Move:
    """What a batch adds to the account of one spool."""

    machine: int
    epoch: bytes
    # The last number that is settled now.
    sequence: int
    # Numbers before the first that this hub ever heard of.
    before: int = 0
    stored: int = 0
    refused: int = 0
    skipped: int = 0
    duplicates: int = 0
    # The last that was stored.
    last: StoredSample | None = None

    @property
    def is_plain(self) -> bool:
        """Nothing but the next samples: nearly always."""
        return not (self.duplicates or self.skipped or self.refused or self.before)


@dataclass(slots=True)
class Settlement:
    """A batch, sifted."""

    fresh: list[StoredSample] = field(default_factory=list)
    # Per machine the spools that moved, the one that is now its present one last.
    moves: dict[int, list[Move]] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        return sum(move.duplicates for moves in self.moves.values() for move in moves)


def machine_of(item: Incoming | RefusedAt) -> int:
    return item.machine if isinstance(item, RefusedAt) else item.sample.machine


def settle(
    batch: Iterable[Incoming] | Iterable[Incoming | RefusedAt],
    positions: Mapping[int, Position],
    recall: Recall,
) -> Settlement:
    """Sift a batch that is in each spool's order.

    A spool's numbers only grow; another epoch starts at its own number. Machines
    without a position are left out: they do not exist any more.
    """
    settlement = Settlement()
    fresh, moves = settlement.fresh, settlement.moves
    current: dict[int, Move] = {}
    for item in batch:
        if isinstance(item, RefusedAt):
            sample, machine, number = None, item.machine, item.sequence
        else:
            sample = item.sample
            machine, number = sample.machine, sample.sequence
        move = current.get(machine)
        if move is None or move.epoch != item.epoch:
            if machine not in positions:
                continue
            move = _turn(moves, positions[machine], machine, item.epoch, recall)
            current[machine] = move
        hole = number - move.sequence - 1
        if hole < 0:
            move.duplicates += 1
            continue
        if hole:
            _skip(move, hole)
        move.sequence = number
        if sample is None:
            move.refused += 1
        else:
            move.stored += 1
            move.last = sample
            fresh.append(sample)
    return settlement


def in_order(
    batch: Sequence[Incoming], refused: Sequence[RefusedAt]
) -> list[Incoming | RefusedAt]:
    """Put refused samples at their places among those of the same spool."""
    concerned = {item.machine for item in refused}
    others: list[Incoming | RefusedAt] = []
    spools: dict[tuple[int, bytes], list[tuple[int, Incoming | RefusedAt]]] = {}
    for incoming in batch:
        sample = incoming.sample
        if sample.machine in concerned:
            key = sample.machine, incoming.epoch
            spools.setdefault(key, []).append((sample.sequence, incoming))
        else:
            others.append(incoming)
    for item in refused:
        key = item.machine, item.epoch
        spools.setdefault(key, []).append((item.sequence, item))
    for numbered in spools.values():
        numbered.sort(key=lambda pair: pair[0])
        others.extend(item for _, item in numbered)
    return others


def _turn(
    moves: dict[int, list[Move]],
    position: Position,
    machine: int,
    epoch: bytes,
    recall: Recall,
) -> Move:
    """Make a spool its machine's present one."""
    known = moves.setdefault(machine, [])
    move = next((move for move in known if move.epoch == epoch), None)
    if move is not None:
        known.remove(move)
    elif position[0] == epoch:
        move = Move(machine, epoch, position[1])
    else:
        move = Move(machine, epoch, recall(machine, epoch) if position[0] else 0)
    known.append(move)
    return move


def _skip(move: Move, hole: int) -> None:
    if move.sequence:
        move.skipped += hole
    else:
        # The spool is older than what this hub knows of its machine.
        move.before = hole
