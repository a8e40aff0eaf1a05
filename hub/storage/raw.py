"""The raw tier: each sample once, with the cursor that says how far we are.

    lock the cursors → sift the repeats out → insert the rows → move the cursors
    → mark what is late

is one transaction, so a cursor never runs ahead of the rows or behind them, and
no roll-up misses a row.
`raw_postgres.py` and `raw_sqlite.py` hold the four steps in their database's words.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from django.db import IntegrityError, OperationalError, connection, transaction

from hub.storage import late, raw_postgres, raw_sqlite, spools
from hub.storage.database import DatabaseDown, guard, is_collision
from hub.storage.models import Cursor
from hub.storage.sample import StoredSample
from hub.storage.settle import (
    Incoming,
    Move,
    Position,
    RefusedAt,
    in_order,
    machine_of,
    settle,
)

__all__ = ["DatabaseDown", "Incoming", "RefusedAt", "Written", "cursor", "write"]

# Deadlocks and serialization failures pass at once or not at all.
TRIES = 4
PAUSE_S = 0.02

Items = Sequence[Incoming] | Sequence[Incoming | RefusedAt]


@dataclass(slots=True)
class Written:
    """What became of a batch, once it is committed."""

    stored: list[StoredSample] = field(default_factory=list)
    duplicates: int = 0
    # Per machine of the batch: everything up to this sequence is durable.
    cursors: dict[int, int] = field(default_factory=dict)
    # Machines that were deleted meanwhile; their samples are not kept.
    gone: set[int] = field(default_factory=set)


def write(
    batch: Sequence[Incoming],
    refused: Sequence[RefusedAt] = (),
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Written:
    """Store a batch durably; a repeat is recognised and not stored again.

    The cursors also step over what was refused, wherever between the samples.
    Blocks; uses the connection of the calling thread. Raises DatabaseDown when
    nothing was stored and trying again will help.
    """
    items = in_order(batch, refused) if refused else batch
    if not items:
        return Written()
    with guard():
        for tries_left in reversed(range(TRIES)):
            try:
                return _write(items)
            except OperationalError as error:
                if not (tries_left and is_collision(error)):
                    raise
            sleep(random.uniform(0, PAUSE_S * 2 ** (TRIES - tries_left)))
    raise AssertionError("the last try returns or raises")


def cursor(machine: int, epoch: bytes) -> int:
    """Return the last settled sequence of a spool; 0 = none. Raises DatabaseDown."""
    with guard():
        found = (
            Cursor.objects.filter(machine=machine)
            .values_list("spool_epoch", "sequence")
            .first()
        )
        if found is not None and bytes(found[0]) == epoch:
            return found[1]
        return spools.reached(machine, epoch)


def restore(sample: StoredSample) -> None:
    """Store a sample whose number was settled before; its cursor stays.

    Nothing happens when it is there already. Raises what the database says.
    """
    with transaction.atomic():
        _database().lock([sample.machine])
        _database().insert_missing([sample])
        late.mark([sample])


def _write(batch: Items) -> Written:
    database = _database()
    try:
        return _transact(batch, database, database.insert)
    except IntegrityError:
        # A row of another spool has the same machine, time and sequence, or a
        # cursor was lost. One such row must not hold up all the others.
        return _transact(batch, database, database.insert_missing)


def _database() -> ModuleType:
    return raw_postgres if connection.vendor == "postgresql" else raw_sqlite


def _transact(
    batch: Items,
    database: ModuleType,
    insert: Callable[[list[StoredSample]], list[StoredSample]],
) -> Written:
    machines = sorted({machine_of(item) for item in batch})
    with transaction.atomic():
        positions, closing_ms = database.lock(machines)
        settlement = settle(batch, positions, spools.reached)
        written = Written(
            duplicates=settlement.duplicates,
            gone=set(machines) - positions.keys(),
        )
        if settlement.fresh:
            written.stored = insert(settlement.fresh)
            written.duplicates += len(settlement.fresh) - len(written.stored)
            if closing_ms is not None:
                behind = [s for s in written.stored if s.time_ms < closing_ms]
                if behind:
                    late.mark(behind)
        _move(database, settlement.moves, positions)
    written.cursors = {
        machine: moves[-1].sequence for machine, moves in settlement.moves.items()
    }
    return written


def _move(
    database: ModuleType,
    moves: Mapping[int, list[Move]],
    positions: Mapping[int, Position],
) -> None:
    """Move the cursors on; seldom, to another spool."""
    onward = []
    for machine, spools_moved in moves.items():
        [*_, last] = spools_moved
        if len(spools_moved) == 1 and positions[machine][0] in (b"", last.epoch):
            onward.append(last)
        else:
            spools.turn(machine, spools_moved)
    if onward:
        database.move(onward)
