"""The disk spool against a small model, through everything that a disk does."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sysmonstm_agent.disk_spool import RETRY_S, DiskSpool
from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.metric import Metric, Series
from sysmonstm_agent.spool import Spooled

from tests.spools import Clock, disk_spool

HEAT = Metric("system.temperature", "Cel", "How hot it is.")
LAYOUTS = [Layout(tuple(Series(HEAT, (("sensor", str(n)),)) for n in range(1, 4)))]
LAYOUTS.append(Layout(LAYOUTS[0].series[:2]))
CAPACITY = 30
SIDES = ("", "-wal")


def payload(number: int) -> Sample:
    """Return the sample of a number that is never used twice."""
    layout = LAYOUTS[number % 7 == 0]
    return Sample(1_700_000_000_000 + number, layout, number.to_bytes(12, "little"))


class SpoolMachine(RuleBasedStateMachine):
    """`given` says which sample went under which number, in this epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="spool-"))
        self.clock = Clock()
        self.made = 0
        self.given: dict[int, Sample] = {}
        self.acknowledged = 0
        # How many the hub has of this epoch.
        self.settled = 0
        # All that a hub was ever given, across epochs.
        self.delivered: list[Sample] = []
        self.full = False
        self.spool = self.open()

    def open(self) -> DiskSpool:
        started_s = time.monotonic()
        spool = disk_spool(self.base, samples=CAPACITY, size=12, clock=self.clock)
        assert time.monotonic() - started_s < 30
        return spool

    @property
    def database(self) -> Path:
        return self.base / "web-1" / "spool.db"

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.base)

    # -- what an agent does

    @rule(count=st.integers(1, 12))
    def append(self, count: int) -> None:
        for _ in range(count):
            self.clock.now_s += 5
            self.made += 1
            sample = payload(self.made)
            sequence = self.spool.append(sample)
            assert sequence == self.spool.last
            assert sequence not in self.given
            self.given[sequence] = sample

    @rule(limit=st.integers(1, 20))
    def read(self, limit: int) -> None:
        found = self.spool.read(self.acknowledged, limit)
        assert len(found) <= limit
        numbers = [sequence for sequence, _ in found]
        assert numbers == sorted(set(numbers))
        for sequence, sample in found:
            assert sequence > self.acknowledged
            assert sample == self.given[sequence]

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        """Deliver what is read, as far as the hub gets with it."""
        found = self.held()
        for sequence, sample in found[: round(len(found) * share)]:
            self.delivered.append(sample)
            self.acknowledged = sequence
            self.settled += 1
        self.spool.forget(self.acknowledged)

    @rule()
    def renew(self) -> None:
        if self.full:
            return
        before = self.spool.last
        self.spool.renew()
        # By how much the numbers moved: all that is not here any more.
        offset = before - self.spool.last
        self.given = {n - offset: s for n, s in self.given.items() if n > offset}
        self.acknowledged = self.settled = 0

    def held(self) -> list[Spooled]:
        found: list[Spooled] = []
        while more := self.spool.read(found[-1].sequence if found else 0, 7):
            found += more
        return found

    # -- what befalls it

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.reopen()

    @rule()
    def crash(self) -> None:
        """Kill it: what SQLite wrote is there, nothing is put away."""
        copies = {side: self.copy(side) for side in SIDES}
        self.spool.close()
        self.put_back(copies)
        self.reopen()

    @precondition(lambda self: not self.full)
    @rule(data=st.data())
    def lose_what_was_not_synced(self, data: st.DataObject) -> None:
        """Cut the log off anywhere: a disk that lied about its fsync."""
        copies = {side: self.copy(side) for side in SIDES}
        self.spool.close()
        log = copies["-wal"]
        copies["-wal"] = log[: data.draw(st.integers(0, len(log)))]
        self.put_back(copies)
        self.reopen()
        # An eviction may have been undone, of a number that the hub has passed.
        # Reading comes first: it may find more damage, and count that.
        held = len(self.held())
        undone = self.spool.produced - self.spool.evicted - held
        assert undone >= self.settled
        self.settled = undone

    @precondition(lambda self: not self.full)
    @rule(data=st.data())
    def flip_a_bit(self, data: st.DataObject) -> None:
        self.spool.close()
        content = bytearray(self.database.read_bytes())
        where = data.draw(st.integers(0, len(content) * 8 - 1))
        note(f"bit {where} in page {where // 8 // 4096 + 1}")
        content[where // 8] ^= 1 << where % 8
        self.database.write_bytes(content)
        self.reopen()

    @precondition(lambda self: not self.full)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        self.spool.close()
        os.truncate(
            self.database,
            data.draw(st.integers(0, self.database.stat().st_size)),
        )
        self.reopen()

    @precondition(lambda self: not self.full)
    @rule()
    def fill_the_disk(self) -> None:
        self.full = True
        self.limit_pages(1)

    @precondition(lambda self: self.full)
    @rule()
    def make_room(self) -> None:
        self.full = False
        self.limit_pages(2**30)

    def limit_pages(self, pages: int) -> None:
        assert self.spool._file
        writer: sqlite3.Connection = self.spool._file.connection
        writer.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def copy(self, side: str) -> bytes:
        path = Path(f"{self.database}{side}")
        return path.read_bytes() if path.exists() else b""

    def put_back(self, copies: dict[str, bytes]) -> None:
        for side in (*SIDES, "-shm"):
            Path(f"{self.database}{side}").unlink(missing_ok=True)
        for side, content in copies.items():
            if content:
                Path(f"{self.database}{side}").write_bytes(content)

    def reopen(self) -> None:
        """Say Hello again, as Stream does."""
        self.full = False
        before, epoch = self.spool, self.spool.epoch
        self.spool = self.open()
        self.clock.now_s += RETRY_S
        assert not self.spool.degraded
        if self.spool.epoch != epoch:
            # Nothing of the old one can come again.
            assert self.spool.last == 0
            self.given, self.acknowledged, self.settled = {}, 0, 0
            return
        assert self.spool.last <= before.last
        self.given = {n: s for n, s in self.given.items() if n <= self.spool.last}
        if self.acknowledged > self.spool.handed_out:
            self.spool.forget(self.spool.handed_out)
            # There is nothing else here yet.
            self.spool.renew()
            self.given, self.acknowledged, self.settled = {}, 0, 0
        self.spool.forget(self.acknowledged)

    # -- what always holds

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        assert len(self.delivered) == len(set(self.delivered))

    @invariant()
    def what_is_here_is_what_was_given(self) -> None:
        held = self.held()
        for sequence, sample in held:
            assert sample == self.given[sequence]
        # Counted to the last one.
        assert self.spool.produced == self.settled + self.spool.evicted + len(held)
        assert len(held) <= CAPACITY + self.full * 1_000


SpoolMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("SPOOL_EXAMPLES", "60")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestSpoolMachine = SpoolMachine.TestCase
