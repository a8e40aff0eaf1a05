"""The list of this moment, over a /proc written down here."""

from __future__ import annotations

from pathlib import Path

import pytest
from sysmonstm_agent.process_list import LEAST_S, MOST_S, ProcessList
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from tests.proc import Proc


class Listing:
    """A list whose time is moved by hand; while it waits, processes are busy."""

    def __init__(self, proc: Proc) -> None:
        self.now_s, self.slept_s = 1_000.0, 0.0
        self._proc = proc
        self.list = ProcessList(
            proc.files,
            clock=lambda: self.now_s,
            wall=lambda: 1_700_000_900.0 + self.now_s,
            sleep=self._sleep,
        )

    def _sleep(self, pause_s: float) -> None:
        self.slept_s += pause_s
        self.now_s += pause_s
        self._proc.has(
            7,
            "busy",
            cpu_s=self.now_s - 1_000,
            memory=8192,
            command="busy --token abc",
        )

    def ask(self, limit: int = 0) -> pb.ProcessList:
        return self.list.answer(limit, "masked")


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    proc = Proc(tmp_path)
    proc.has(7, "busy", memory=8192, command="busy --token abc")
    proc.has(8, "idle", memory=4096)
    return Listing(proc)


def test_who_asks_first_waits_for_the_rates(listing: Listing) -> None:
    found = listing.ask()

    assert listing.slept_s == LEAST_S
    assert (found.total, found.span_ms) == (2, LEAST_S * 1000)
    entries = {entry.pid: entry for entry in found.entries}
    assert entries[7].cpu == pytest.approx(1)
    assert entries[7].command == "busy --token ***"
    assert entries[8].cpu == 0


def test_who_asks_again_gets_rates_since_then_without_waiting(listing: Listing) -> None:
    listing.ask()
    slept_s = listing.slept_s
    listing.now_s += 5

    found = listing.ask()

    assert listing.slept_s == slept_s
    assert found.span_ms == 5_000


def test_two_who_ask_at_once_get_the_same(listing: Listing) -> None:
    first = listing.ask()

    assert listing.ask() == first
    assert len(listing.ask(limit=1).entries) == 1
    # What was cut for one is there for the next.
    assert listing.ask() == first


def test_after_a_while_it_begins_anew(listing: Listing) -> None:
    listing.ask()
    listing.now_s += MOST_S + 1

    assert listing.ask().span_ms == LEAST_S * 1000


def test_other_rules_for_command_lines_hold_at_once(listing: Listing) -> None:
    listing.ask()

    found = listing.list.answer(0, "none")

    assert {entry.command for entry in found.entries} == {""}


def test_it_is_no_longer_than_there_may_be_and_fits_a_message(
    tmp_path: Path,
) -> None:
    proc = Proc(tmp_path)
    for pid in range(1, limits.MAX_LISTED_PROCESSES + 200):
        proc.has(pid, "ü" * 60, memory=4096 * pid, command="word " * 80, started_s=pid)
    found = Listing(proc).ask(limit=2**32 - 1)

    assert found.total == limits.MAX_LISTED_PROCESSES + 199
    assert len(found.entries) == limits.MAX_LISTED_PROCESSES
    assert found.ByteSize() < limits.MAX_MESSAGE_BYTES
    # Those that use least are the ones left out.
    assert min(entry.pid for entry in found.entries) == 200
