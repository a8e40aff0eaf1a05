"""A damaged spool is moved aside, and what is sound in it goes on in a new one.

Where its epoch can still be read, samples keep their numbers, so that the hub takes
none twice, and gravestones stand for the lost. Where it cannot, none may be sent:
the hub may have any of them. Then a new epoch begins, and they count as lost.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from sysmonstm_proto import limits

from sysmonstm_agent.log import log
from sysmonstm_agent.spool_database import (
    Origin,
    State,
    connect,
    cost,
    create,
    faults,
    insert,
    insert_layout,
    read_origin,
    read_state,
    transaction,
    value,
    write_state,
)
from sysmonstm_agent.spool_file import SpoolFile
from sysmonstm_agent.spool_folder import SpoolFolder, remove
from sysmonstm_agent.spool_record import Damaged, Record, checksum, gravestone

# What is not saved by then is given up: the machine is to be measured.
RESCUE_S = 3.0
CHUNK = 1_000


def open_file(folder: SpoolFolder, epoch: bytes) -> SpoolFile:
    """Open the spool; save it where it is damaged; make one, of this epoch."""
    with faults():
        absent = not folder.database.exists()
    if absent:
        make(folder, Origin(epoch, 0), State())
    try:
        return SpoolFile(folder.database)
    except Damaged as damage:
        log.warning("spool.damaged", reason=str(damage))
        rescue(folder, epoch)
        return SpoolFile(folder.database)


def make(folder: SpoolFolder, origin: Origin, state: State) -> None:
    with faults():
        # Whatever is under this name was not finished, or its source is still there.
        remove(folder.rescue)
        create(folder.rescue, origin, state)
        folder.adopt_rescue()


def replace(folder: SpoolFolder, origin: Origin, state: State) -> None:
    """Move the spool aside, all of it, and begin another."""
    with faults():
        remove(folder.rescue)
        create(folder.rescue, origin, state)
        folder.move_aside()
        folder.adopt_rescue()


def rescue(
    folder: SpoolFolder, epoch: bytes, *, opened: SpoolFile | None = None
) -> None:
    """Save what is sound; `opened` knows its origin and state, and is closed here.

    `epoch` is for the case that there is no knowing them.
    """
    with faults():
        remove(folder.rescue)
    origin, state = (opened.origin, opened.state) if opened else (None, None)
    source: sqlite3.Connection | None = None
    try:
        with suppress(Damaged):
            source = opened.connection if opened else connect(folder.database)
            with suppress(Damaged):
                origin = origin or read_origin(source)
            with suppress(Damaged):
                state = state or read_state(source)
        if origin and source:
            save(source, folder, origin, state)
        else:
            given_up = count(source, state)
            log.warning("spool.given_up", samples=given_up)
            create(folder.rescue, Origin(epoch, given_up), State())
    finally:
        if source:
            source.close()
        if opened:
            opened.close()
    with faults():
        folder.move_aside()
        folder.adopt_rescue()


def save(
    source: sqlite3.Connection,
    folder: SpoolFolder,
    origin: Origin,
    state: State | None,
) -> None:
    """Copy samples, with their layouts and numbers, into the new database."""
    create(folder.rescue, origin, state or State())
    target = connect(folder.rescue)
    try:
        with faults(), transaction(target):
            layouts = copy_layouts(source, target)
            found: set[int] = set()
            size_bytes = stones = 0
            sound = (r for r in records(source) if belongs(r, state, layouts))
            while chunk := list(islice(sound, CHUNK)):
                insert(target, chunk)
                found.update(one.sequence for one in chunk)
                size_bytes += sum(map(cost, chunk))
                stones += sum(one.content is None for one in chunk)
            if state is None:
                first = min(found, default=1)
                state = State(first=first, last=max(found, default=0), graves=stones)
            missing = set(range(state.first, state.last + 1)) - found
            graves = [gravestone(n, clock_s=state.clock_s) for n in sorted(missing)]
            insert(target, graves)
            size_bytes += sum(map(cost, graves))
            # Where a gravestone was on the broken page, its sample is counted already.
            damaged = max(0, len(missing) - (state.graves - stones))
            write_state(
                target,
                state._replace(
                    evicted=state.evicted + damaged,
                    damaged=state.damaged + damaged,
                    graves=stones + len(missing),
                    size_bytes=size_bytes,
                ),
            )
    finally:
        target.close()
    log.warning("spool.saved", samples=len(found), damaged=damaged)


def belongs(one: Record, state: State | None, layouts: set[int]) -> bool:
    within = state is None or state.first <= one.sequence <= state.last
    return one.sound and within and (one.content is None or one.layout in layouts)


def records(source: sqlite3.Connection) -> Iterator[Record]:
    """Yield every record that can be read, stepping over what cannot.

    The numbers of a broken page fail one by one: nobody knows which it held.
    """
    deadline_s = time.monotonic() + RESCUE_S
    after, last = 0, None
    statement = "SELECT * FROM sample WHERE sequence > ? ORDER BY sequence"
    while last is None or after < last:
        try:
            for one in map(Record._make, source.execute(statement, (after,))):
                if one.sound:
                    after = one.sequence
                yield one
                if time.monotonic() > deadline_s:
                    return
        except (sqlite3.Error, OverflowError):
            after += 1
            last = newest(source) if last is None else last
            if time.monotonic() > deadline_s:
                return
        else:
            return


def newest(source: sqlite3.Connection) -> int:
    with suppress(sqlite3.Error):
        return value(source, "SELECT coalesce(max(sequence), 0) FROM sample")
    with suppress(Damaged):
        return read_state(source).last
    return 0


def copy_layouts(source: sqlite3.Connection, target: sqlite3.Connection) -> set[int]:
    copied: set[int] = set()
    with suppress(sqlite3.Error):
        for number, until, body, mark in source.execute("SELECT * FROM layout"):
            if mark == checksum(number, body):
                insert_layout(target, number, until, body)
                copied.add(number)
    return copied


def count(source: sqlite3.Connection | None, state: State | None) -> int:
    """Return how many samples are lost with it, as well as that can be known."""
    if state:
        return state.last - state.first + 1
    if source is None:
        return 0
    return sum(one.sound and one.content is not None for one in records(source))


def new_epoch() -> bytes:
    return os.urandom(limits.SPOOL_EPOCH_BYTES)
