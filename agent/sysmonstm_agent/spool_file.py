"""What happens to a spool on disk: the one transaction of a tick, and reading.

One connection writes, in the thread that measures; another reads, in the event
loop, and so never waits for an fsync.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.spool import Spooled
from sysmonstm_agent.spool_database import (
    DiskTrouble,
    Origin,
    State,
    check,
    connect,
    cost,
    faults,
    insert,
    insert_layout,
    layout_bytes,
    read_origin,
    read_state,
    sample_bytes,
    transaction,
    value,
    write_origin,
    write_state,
)
from sysmonstm_agent.spool_record import (
    Record,
    checksum,
    cost_bytes,
    gravestone,
    pack_layout,
    record,
    unpack_layout,
)

# Besides samples and layouts: that log, its index, the tables' own pages.
FIXED_BYTES = 1024 * 1024
# Acknowledged samples are removed with the next tick, at most this many: a tick
# after a long absence must not take seconds.
MAX_REMOVED = 5_000
# Unused pages beyond this many go back to the file system, a few at a time.
SPARE_PAGES = 256
GIVEN_BACK_PAGES = 128
# Layouts that are kept as they were read.
MAX_LAYOUTS = 8

OLDEST = "SELECT sequence, clock, length(content) FROM sample ORDER BY sequence LIMIT ?"
TIME = (
    "SELECT time FROM sample WHERE sequence >= ? AND content IS NOT NULL"
    " ORDER BY sequence"
)
BETWEEN = (
    "SELECT * FROM sample WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?"
)


class Bounds(NamedTuple):
    size_bytes: int
    age_s: int


class Tick(NamedTuple):
    """What changes with one commit."""

    samples: Sequence[Spooled]
    # Numbers whose samples were lost since the last commit.
    graves: Sequence[int]
    # How many samples were; some of their numbers may be acknowledged by now.
    evicted: int
    forgotten: int
    clock_s: int


class Found(NamedTuple):
    samples: list[Spooled]
    # The numbers between where nothing sound was found.
    missing: list[int]
    # How far this looked.
    end: int


class SpoolFile:
    """Raises DiskTrouble (temporary) and Damaged (permanent), nothing else."""

    def __init__(self, path: Path, *, frozen: bool = False) -> None:
        """Open a spool that is there.

        Frozen: write nothing, not even what SQLite needs for two connections; a
        disk that is full or read-only can be read like this.
        """
        self._frozen = frozen
        # What `commit` saw last: an unchanged layout is most often the same object.
        self._latest: tuple[Layout, int] | None = None
        self._layouts: dict[int, Layout] = {}
        with faults():
            self.inode = os.stat(path).st_ino
        self._path = path
        self._writer = connect(path, frozen=frozen)
        # Opened for the first backlog: it would cost every agent its memory.
        self._reader = self._writer if frozen else None
        try:
            check(self._writer, path)
            self.origin = read_origin(self._writer)
            self.state = read_state(self._writer)
            with faults():
                self._layout_bytes = layout_bytes(self._writer)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Never raises: what is not committed is not promised."""
        for connection in (self._reader, self._writer):
            if connection:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """What can still be read of it, damaged as it may be."""
        return self._writer

    # -- the thread that measures

    def commit(self, tick: Tick, bounds: Bounds) -> None:
        """Write a tick: durable once this returns, undone if it raises."""
        self._thawed()
        try:
            with faults(), transaction(self._writer):
                state = self._remove(self._add(tick), tick, bounds)
                write_state(self._writer, state)
        except BaseException:
            self._latest = None
            raise
        self.state = state

    def give_back(self) -> None:
        """Return space to the file system once there is much of it unused."""
        with faults():
            if value(self._writer, "PRAGMA freelist_count") > SPARE_PAGES:
                pragma = f"PRAGMA incremental_vacuum({GIVEN_BACK_PAGES})"
                self._writer.execute(pragma).fetchall()

    def renew(self, epoch: bytes, *, forgotten: int) -> None:
        """Number what is behind `forgotten` from 1 again, in a new epoch."""
        self._thawed()
        offset = max(forgotten, self.state.first - 1)
        origin = Origin(epoch, self.origin.lost)
        with faults(), transaction(self._writer):
            execute = self._writer.execute
            execute("DELETE FROM sample WHERE sequence <= ?", (offset,))
            execute(
                "UPDATE sample SET sequence = sequence - ?1, sum = sum - ?1", (offset,)
            )
            execute("UPDATE layout SET until = until - ?", (offset,))
            graves = value(self._writer, "SELECT count(*) FROM sample WHERE layout = 0")
            state = State(
                last=max(0, self.state.last - offset),
                evicted=graves,
                damaged=graves,
                graves=graves,
                clock_s=self.state.clock_s,
                size_bytes=sample_bytes(self._writer),
            )
            write_origin(self._writer, origin)
            write_state(self._writer, state)
        self.origin, self.state = origin, state
        with contextlib.suppress(sqlite3.Error):
            # Were this undone, samples would come again under their old numbers.
            # In the file itself it is safe even from a disk that lies.
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _thawed(self) -> None:
        if self._frozen:
            raise DiskTrouble("it could not be written to at the start")

    def _add(self, tick: Tick) -> State:
        records = [
            gravestone(sequence, clock_s=tick.clock_s)
            for sequence in tick.graves
            if sequence > tick.forgotten
        ]
        graves = self.state.graves + len(records)
        for sequence, sample in tick.samples:
            number = self._number(sample.layout, sequence)
            one = record(sequence, sample, layout=number, clock_s=tick.clock_s)
            records.append(one)
        insert(self._writer, records)
        last = self.state.last
        return self.state._replace(
            last=max([last, *(one.sequence for one in records)]),
            evicted=self.state.evicted + tick.evicted,
            damaged=self.state.damaged + sum(n <= last for n in tick.graves),
            graves=graves,
            clock_s=tick.clock_s,
            size_bytes=self.state.size_bytes + sum(map(cost, records)),
        )

    def _number(self, layout: Layout, sequence: int) -> int:
        """Return the layout's row, which says until when samples refer to it."""
        if self._latest and self._latest[0] is layout:
            return self._latest[1]
        execute, body = self._writer.execute, pack_layout(layout)
        execute("UPDATE layout SET until = ? WHERE until IS NULL", (sequence - 1,))
        found = execute("SELECT id FROM layout WHERE body = ?", (body,)).fetchone()
        if found:
            number = int(found[0])
            execute("UPDATE layout SET until = NULL WHERE id = ?", (number,))
        else:
            number = value(self._writer, "SELECT 1 + coalesce(max(id), 0) FROM layout")
            insert_layout(self._writer, number, None, body)
        self._layout_bytes = layout_bytes(self._writer)
        self._latest = layout, number
        return number

    def _remove(self, state: State, tick: Tick, bounds: Bounds) -> State:
        """Remove what is acknowledged, then the oldest as far as must be."""
        aged_s = tick.clock_s - bounds.age_s
        budget = bounds.size_bytes - FIXED_BYTES - self._layout_bytes
        first = max(state.first, min(tick.forgotten, state.last) + 1)
        evicted, damaged, size_bytes = state.evicted, state.damaged, state.size_bytes
        graves, removed = state.graves, 0
        for sequence, clock_s, length in self._writer.execute(OLDEST, (MAX_REMOVED,)):
            if sequence >= first:
                due = size_bytes > budget or clock_s < aged_s
                # The newest stays, however large it is.
                if sequence >= state.last or not due:
                    break
                holes = sequence - first
                damaged += holes
                evicted += holes + (length is not None)
                first = sequence + 1
            graves -= length is None
            size_bytes -= cost_bytes(length or 0)
            removed = sequence
        if removed >= state.last:
            size_bytes = 0
        self._writer.execute("DELETE FROM sample WHERE sequence <= ?", (removed,))
        unused = "DELETE FROM layout WHERE until < ?"
        if self._writer.execute(unused, (first,)).rowcount:
            self._layout_bytes = layout_bytes(self._writer)
        return state._replace(
            first=first,
            evicted=evicted,
            damaged=damaged,
            graves=max(0, graves),
            size_bytes=size_bytes,
        )

    # -- the event loop

    def read(self, start: int, end: int, limit: int) -> Found:
        """Return up to `limit` of the samples numbered from `start` to `end`."""
        if self._reader is None:
            self._reader = connect(self._path)
        reader = self._reader
        with faults(), transaction(reader, "BEGIN"):
            start = max(start, value(reader, "SELECT first FROM state"))
            rows = reader.execute(BETWEEN, (start, end, limit)).fetchall()
            if len(rows) == limit:
                end = min(end, int(rows[-1][0]))
            samples: list[Spooled] = []
            missing = set(range(start, end + 1))
            for one in map(Record._make, rows):
                # A gravestone is counted, sound or not.
                if one.content is None:
                    missing.discard(one.sequence)
                elif one.sound and (layout := self._layout(reader, one.layout)):
                    missing.discard(one.sequence)
                    sample = Sample(one.time_unix_ms, layout, one.content)
                    samples.append(Spooled(one.sequence, sample))
        return Found(samples, sorted(missing), end)

    def times(self) -> tuple[int | None, int | None]:
        """Return when the oldest and the newest sample were taken, Unix ms."""
        with faults():
            found = [
                self._writer.execute(f"{TIME} {direction} LIMIT 1", (self.state.first,))
                for direction in ("ASC", "DESC")
            ]
            oldest, newest = (row.fetchone() for row in found)
        return (oldest[0] if oldest else None), (newest[0] if newest else None)

    def _layout(self, reader: sqlite3.Connection, number: int) -> Layout | None:
        layout = self._layouts.get(number)
        if layout is None:
            chosen = "SELECT body, sum FROM layout WHERE id = ?"
            row = reader.execute(chosen, (number,)).fetchone()
            if row is None or row[1] != checksum(number, row[0]):
                return None
            if len(self._layouts) == MAX_LAYOUTS:
                self._layouts.pop(next(iter(self._layouts)))
            layout = self._layouts[number] = unpack_layout(row[0])
        return layout
